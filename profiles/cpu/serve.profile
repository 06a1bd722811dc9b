; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = serve
summary = Answers requests by texts of their own, and GET / by HTTP/1.0; asleep between them
