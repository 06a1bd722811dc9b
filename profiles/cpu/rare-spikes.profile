; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = Idle, one second of full load every minute

[wave]
shape = rare-spikes
low = 0%
high = 100%
period = 60s
width = 1s
