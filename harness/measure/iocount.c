/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "measure/iocount.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Sectors in /proc/diskstats are of this size whatever the disk's own are. */
#define SECTOR_BYTES 512

/* Names in a folder of sysfs behind which there is a device. */
static void with_device(const char *dir, struct strlist *ret)
{
	struct dirent **found = NULL;
	int n = scandir(dir, &found, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s/device", dir, found[i]->d_name);

		if (*found[i]->d_name != '.' && access(link, F_OK) == 0)
			strlist_add(ret, found[i]->d_name);
		free(found[i]);
	}
	free(found);
}

void devices_disks(struct strlist *ret)
{
	*ret = (struct strlist){ 0 };
	with_device("/sys/block", ret);
}

void devices_interfaces(struct strlist *ret)
{
	*ret = (struct strlist){ 0 };
	strlist_add(ret, "lo");
	with_device("/sys/class/net", ret);
}

static bool has(const struct strlist *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (str_eq(names->items[i], name))
			return true;
	return false;
}

void parse_diskstats(const char *text, const struct strlist *names, struct disk_counters *ret)
{
	char line[512], name[128];

	*ret = (struct disk_counters){ -1, -1, -1 };
	while ((text = str_line(text, line, sizeof(line)))) {
		long long reads, read_sectors, writes, written_sectors;

		if (sscanf(line, "%*d %*d %127s %lld %*d %lld %*d %lld %*d %lld", name, &reads, &read_sectors,
			   &writes, &written_sectors) != 5 ||
		    !has(names, name))
			continue;
		if (ret->operations < 0)
			*ret = (struct disk_counters){ 0 };
		ret->read_bytes = add_sat(ret->read_bytes, mul_sat(read_sectors, SECTOR_BYTES));
		ret->written_bytes = add_sat(ret->written_bytes, mul_sat(written_sectors, SECTOR_BYTES));
		ret->operations = add_sat(ret->operations, add_sat(reads, writes));
	}
}

void parse_netdev(const char *text, const struct strlist *names, struct net_counters *ret)
{
	char line[512], name[128];

	*ret = (struct net_counters){ -1, -1 };
	while ((text = str_line(text, line, sizeof(line)))) {
		long long rx, rx_packets, tx, tx_packets;

		/* "  eth0:123 ..." has no blank before the first number on old kernels */
		if (sscanf(line, " %127[^: ]: %lld %lld %*d %*d %*d %*d %*d %*d %lld %lld", name, &rx,
			   &rx_packets, &tx, &tx_packets) != 5 ||
		    !has(names, name))
			continue;
		if (ret->bytes < 0)
			*ret = (struct net_counters){ 0 };
		bool loopback = str_eq(name, "lo");
		ret->bytes = add_sat(ret->bytes, add_sat(tx, loopback ? 0 : rx));
		ret->packets = add_sat(ret->packets, add_sat(tx_packets, loopback ? 0 : rx_packets));
	}
}
