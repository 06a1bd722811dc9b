; SPDX-License-Identifier: GPL-3.0-or-later
[profile]
guest = sleep
summary = No timer at all: asleep until asked over serial, at no CPU cost between requests
