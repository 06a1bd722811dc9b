; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = One second at 5 %, one at 50 %

[wave]
shape = square
low = 5%
high = 50%
period = 2s
