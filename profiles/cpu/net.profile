; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = net
summary = Sends an Ethernet frame 18 times a second

[parameters]
per_tick = 1
