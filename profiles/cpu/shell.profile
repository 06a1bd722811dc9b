; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = shell
summary = A few commands to look around in a sleeping guest: its seed and phase, peek and poke
