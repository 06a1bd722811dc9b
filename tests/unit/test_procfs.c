/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "host/procfs.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
#define STAT_TAIL " S 1 42 42 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 3 0 123456 1000000 500"

static void plain_name(void **state)
{
	struct pid_stat s;

	(void)state;
	assert_true(parse_pid_stat("42 (qemu-system-x86)" STAT_TAIL, &s));
	assert_string_equal(s.comm, "qemu-system-x86");
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 1);
	assert_int_equal(s.ticks, 100);
	assert_int_equal(s.threads, 3);
	assert_int_equal(s.start_time, 123456);
}

static void odd_names(void **state)
{
	static const char *const names[] = { "CPU 0/KVM",    "(sd-pam)", "a) R 7 (b",
					     "tmux: server", "",	 ") S 1 1 1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *text = xasprintf("42 (%s)%s", names[i], STAT_TAIL);
		struct pid_stat s;

		assert_true(parse_pid_stat(text, &s));
		assert_string_equal(s.comm, names[i]);
		assert_int_equal(s.ppid, 1);
		assert_int_equal(s.start_time, 123456);
	}
}

/* A name that is longer than any kernel's is cut, not written past its room. */
static void long_name_is_cut(void **state)
{
	char name[301];
	struct pid_stat s;

	(void)state;
	memset(name, 'x', 300);
	name[300] = '\0';
	_cleanup_free_ char *text = xasprintf("42 (%s)%s", name, STAT_TAIL);
	assert_true(parse_pid_stat(text, &s));
	assert_int_equal(strlen(s.comm), sizeof(s.comm) - 1);
}

/* The kernel may hand over any part of a line: each is refused or read, never misread. */
static void cut_anywhere(void **state)
{
	static const char *const whole = "42 (CPU 0/KVM)" STAT_TAIL;

	(void)state;
	for (size_t len = 0; len < strlen(whole); len++) {
		_cleanup_free_ char *text = xasprintf("%.*s", (int)len, whole);
		struct pid_stat s;

		if (parse_pid_stat(text, &s))
			assert_int_equal(s.ticks, 100);
		else
			assert_true(len <
				    strlen("42 (CPU 0/KVM)") + strlen(STAT_TAIL) - strlen(" 1000000 500"));
	}
}

static void meminfo_fields(void **state)
{
	struct meminfo m;

	(void)state;
	parse_meminfo("MemTotal:       1000 kB\nMemFree:   1 kB\nMemAvailable:    250 kB\n"
		      "Active(file):   7 kB\nSwapTotal:  0 kB\nSwapFree: 0 kB\nAnonPages:  12 kB\n",
		      &m);
	assert_int_equal(m.total, 1000);
	assert_int_equal(m.active_file, 7);
	assert_int_equal(m.anon, 12);
	assert_int_equal(m.percpu, -1);
	assert_int_equal(m.sec_page_tables, -1);
	assert_near(meminfo_ram_pct(&m), 75, 1e-9);
	assert_near(meminfo_swap_pct(&m), 0, 1e-9);
}

static void meminfo_without(void **state)
{
	struct meminfo m;

	(void)state;
	parse_meminfo("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailableish: 3 kB\nXMemAvailable: 3 kB\n", &m);
	assert_int_equal(m.available, -1);
	assert_true(isnan(meminfo_ram_pct(&m)));
	assert_true(isnan(meminfo_swap_pct(&m)));
	parse_meminfo("", &m);
	assert_int_equal(m.total, -1);
	parse_meminfo("MemTotal:\nMemAvailable: -\nSwapTotal: kB", &m);
	assert_int_equal(m.total, -1);
	assert_int_equal(m.available, -1);
	parse_meminfo("MemTotal: 100 kB\nSwapTotal: 400 kB\nSwapFree: 100 kB\nMemAvailable: 20 kB", &m);
	assert_near(meminfo_swap_pct(&m), 75, 1e-9);
	assert_near(meminfo_ram_pct(&m), 80, 1e-9);
}

static void stat_ticks(void **state)
{
	struct cpu_ticks t;

	(void)state;
	parse_stat("cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1\nctxt 12345\n", &t);
	assert_int_equal(t.busy, 10 + 20 + 30 + 6 + 7);
	assert_int_equal(t.total, 10 + 20 + 30 + 400 + 50 + 6 + 7 + 8);
	assert_int_equal(t.steal, 8);
	assert_int_equal(t.ctxt, 12345);
	assert_int_equal(t.cpus, 1);
	parse_stat("cpu  10 20 30 400\ncpu0 1 1 1 1\ncpu12 1 1 1 1\nintr 5 cpu\n", &t);
	assert_int_equal(t.cpus, 2);
	/* an old kernel, then none at all */
	parse_stat("cpu  10 20 30 400\n", &t);
	assert_int_equal(t.busy, 60);
	assert_int_equal(t.total, 460);
	assert_int_equal(t.steal, -1);
	assert_int_equal(t.ctxt, -1);
	parse_stat("", &t);
	assert_int_equal(t.total, -1);
	assert_int_equal(t.cpus, 0);
}

static void small_files(void **state)
{
	struct process_memory m;
	struct loadavg l;
	struct vmstat v;
	long long a, b;

	(void)state;
	parse_loadavg("0.25 0.10 0.05 2/345 6789\n", &l);
	assert_near(l.load1, 0.25, 1e-9);
	assert_int_equal(l.tasks, 345);
	parse_loadavg("", &l);
	assert_true(isnan(l.load1));
	assert_int_equal(l.tasks, -1);
	parse_vmstat("pswpin 3\npswpout 4\npswpout_x 9\npgmajfault 5\n", &v);
	assert_int_equal(v.swap_in, 3);
	assert_int_equal(v.swap_out, 4);
	assert_int_equal(v.majfault, 5);
	assert_int_equal(parse_zone_lists("Node 0, zone Normal\n  pages free 7\n  pagesets\n    cpu: 0\n"
					  "              count:    13274\n              high:     13410\n"
					  "    cpu: 1\n              count:    9254\n"),
			 13274 + 9254);
	assert_int_equal(parse_zone_lists("    cpu: 0\n              count: 0\n"), 0);
	assert_int_equal(parse_zone_lists("Node 0, zone Normal\n  pages free 7\n"), -1);
	parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n"
		       "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
		       &a, &b);
	assert_int_equal(a, 77);
	assert_int_equal(b, 5);
	parse_pressure("some avg10=0.00 total=9\n", &a, &b);
	assert_int_equal(a, 9);
	assert_int_equal(b, -1);
	parse_smaps_rollup("5581-7ffc ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss: 6 kB\nPss_Anon: 4 kB\n"
			   "Private_Clean: 1 kB\nPrivate_Dirty: 2 kB\n",
			   &m);
	assert_int_equal(m.rss, 9);
	assert_int_equal(m.pss, 6);
	assert_int_equal(m.uss, 3);
	parse_smaps_rollup("", &m);
	assert_int_equal(m.rss, -1);
	assert_int_equal(m.pss, -1);
	assert_int_equal(m.uss, -1);
	assert_int_equal(parse_schedstat("123 4 5\n"), 123);
	assert_int_equal(parse_schedstat(""), -1);
	assert_int_equal(parse_cgroup_cpu_stat("usage_usec 12\nuser_usec 3\n"), 12000);
	assert_int_equal(parse_cgroup_cpu_stat("user_usec 3\n"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_name),	    cmocka_unit_test(odd_names),
		cmocka_unit_test(long_name_is_cut), cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(meminfo_fields),   cmocka_unit_test(meminfo_without),
		cmocka_unit_test(stat_ticks),	    cmocka_unit_test(small_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
