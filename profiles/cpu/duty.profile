; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = Busy for 50 ms of every 500: a service that is asked now and then

[wave]
shape = duty
period = 500ms
duty = 10%
high = 100%
