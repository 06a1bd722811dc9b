; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = hello
summary = Says a text, then sleeps

[parameters]
text = Hello, world!
