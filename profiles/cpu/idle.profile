; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = idle
summary = The PIT left ticking at 18.2 Hz: the "PIT on" case; against sleep it shows what the timer costs
