; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = A new load between 0 and 30 % every half second, of random length

[wave]
shape = random
high = 30%
period = 12s
steps = 24
jitter = 40%
