; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = A working day in 24 s: nights at 2 %, noon at 60 %

[wave]
shape = daynight
low = 2%
high = 60%
period = 24s
