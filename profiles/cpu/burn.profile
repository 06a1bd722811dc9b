; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = burn
summary = Computes for a number of iterations per request: a service time that can be set

[parameters]
iterations = 1000000
