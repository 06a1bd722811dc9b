; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = touch
summary = Keeps 64 pages (256 kB) of its memory dirty, a page 18 times a second; no two VMs' pages are alike
memory_mb = 1

[parameters]
per_tick = 1
