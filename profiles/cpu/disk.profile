; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = disk
summary = Writes a sector to a disk of its own 18 times a second

[parameters]
per_tick = 1
