/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "measure/iocount.h"

/* A partition and a mapping repeat what their disk counts: only named devices add up. */
static const char diskstats[] = " 253       0 vda 100 5 2000 30 50 6 4000 40 0 50 60 1 2 3 4 5 6\n"
				" 253       1 vda1 99 5 1990 30 50 6 4000 40 0 50 60 1 2 3 4 5 6\n"
				"   8       0 sda 1 0 8 0 2 0 16 0 0 0 0\n"
				" 254       0 dm-0 100 0 2000 0 50 0 4000 0 0 0 0\n";

static const char netdev[] =
	"Inter-|   Receive                                                |  Transmit\n"
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	"    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0\n"
	"  eth0:5000 50 0 0 0 0 0 0 700 7 0 0 0 0 0 0\n"
	" veth1: 900 9 0 0 0 0 0 0 900 9 0 0 0 0 0 0\n";

static void test_disks(void **state)
{
	struct strlist names = { 0 };
	struct disk_counters c;

	(void)state;
	parse_diskstats(diskstats, &names, &c);
	assert_int_equal(c.operations, -1);
	strlist_add_words(&names, "vda sda");
	parse_diskstats(diskstats, &names, &c);
	assert_int_equal(c.read_bytes, 2008 * 512);
	assert_int_equal(c.written_bytes, 4016 * 512);
	assert_int_equal(c.operations, 153);
	parse_diskstats("", &names, &c);
	assert_int_equal(c.read_bytes, -1);
	parse_diskstats("253 0 vda 1 2\nno numbers here\n\n", &names, &c);
	assert_int_equal(c.written_bytes, -1);
	strlist_clear(&names);
}

static void test_interfaces(void **state)
{
	struct strlist names = { 0 };
	struct net_counters c;

	(void)state;
	strlist_add_words(&names, "lo eth0");
	parse_netdev(netdev, &names, &c);
	assert_int_equal(c.bytes, 1000 + 5000 + 700);
	assert_int_equal(c.packets, 10 + 50 + 7);
	parse_netdev("eth0: 1 2\n", &names, &c);
	assert_int_equal(c.bytes, -1);
	strlist_clear(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_disks), cmocka_unit_test(test_interfaces) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
