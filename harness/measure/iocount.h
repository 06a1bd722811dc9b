/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MEASURE_IOCOUNT_H
#define MVM_MEASURE_IOCOUNT_H

#include "base/util.h"

/* Counters since boot, over some devices; -1 where the file has none of them. */
struct disk_counters {
	long long read_bytes, written_bytes, operations;
};
struct net_counters {
	long long bytes, packets;
};

/*
 * Disks and interfaces that are things of their own: every layer on top of them (loop, dm, md, zram,
 * bridges, veth) would count the same bytes once more. The loopback interface is one of them too.
 */
void devices_disks(struct strlist *ret);
void devices_interfaces(struct strlist *ret);

/* Sums over the named devices in /proc/diskstats. Pure. */
void parse_diskstats(const char *text, const struct strlist *names, struct disk_counters *ret);
/* Sums over the named interfaces in /proc/net/dev, sent and received; of lo, where all that is sent is
   received, only what was sent. Pure. */
void parse_netdev(const char *text, const struct strlist *names, struct net_counters *ret);

#endif
