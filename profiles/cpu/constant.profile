; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = A vCPU that is busy for a tenth of the time, evenly

[wave]
shape = constant
high = 10%
