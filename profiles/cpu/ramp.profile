; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = Rises from 0 to 50 % in 20 s, then starts again

[wave]
shape = ramp
high = 50%
period = 20s
steps = 20
