; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = Up and down between 0 and 40 % in 20 s

[wave]
shape = sine
high = 40%
period = 20s
steps = 24
