; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = wave
summary = Almost idle, 100 ms of full load every 2 s

[wave]
shape = thin-spikes
low = 2%
high = 100%
period = 2s
width = 100ms
