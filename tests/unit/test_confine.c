/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sample/cgroup.h"
#include "sample/nodes.h"

static void limits_are_parsed(void **state)
{
	struct cgroup_limits l;

	(void)state;
	assert_null(cgroup_limits_parse(NULL, NULL, NULL, 4, &l));
	assert_false(cgroup_limits_any(&l));
	assert_null(cgroup_limits_parse("50%", "512M", "1000", 4, &l));
	assert_true(cgroup_limits_any(&l));
	assert_true(l.cores > 1.999 && l.cores < 2.001);
	assert_true(l.mem_bytes > 536870911.0 && l.mem_bytes < 536870913.0);
	assert_int_equal(l.pids, 1000);
	assert_null(cgroup_limits_parse("1.5", NULL, NULL, 4, &l));
	assert_true(l.cores > 1.499 && l.cores < 1.501);
}

static void what_is_no_limit_is_refused(void **state)
{
	static const struct {
		const char *cpu, *mem, *pids, *part;
	} cases[] = {
		{ "0", NULL, NULL, "--cgroup-cpu 0" }, { "150%", NULL, NULL, "150%" },
		{ "much", NULL, NULL, "much" },	       { "%", NULL, NULL, "--cgroup-cpu" },
		{ NULL, "1k", NULL, "at least 1M" },   { NULL, "-5", NULL, "--cgroup-mem" },
		{ NULL, "", NULL, "--cgroup-mem" },    { NULL, NULL, "0", "--cgroup-pids 0" },
		{ NULL, NULL, "5.5", "whole number" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cgroup_limits l;
		error *e = cgroup_limits_parse(cases[i].cpu, cases[i].mem, cases[i].pids, 4, &l);

		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		if (!strstr(e->msg, cases[i].part))
			fail_msg("'%s' lacks '%s'", e->msg, cases[i].part);
		err_free(e);
	}
}

static void flat_values_are_whole_words(void **state)
{
	const char *text = "low 1\nmax 7\noom 2\noom_kill 3\n";

	(void)state;
	assert_int_equal(cgroup_flat_value(text, "max"), 7);
	assert_int_equal(cgroup_flat_value(text, "oom"), 2);
	assert_int_equal(cgroup_flat_value(text, "oom_kill"), 3);
	assert_int_equal(cgroup_flat_value(text, "kill"), -1);
	assert_int_equal(cgroup_flat_value("", "max"), -1);
}

static void a_path_below_its_hierarchy(void **state)
{
	struct cgroup v1 = { .path = (char *)"/sys/fs/cgroup/cpu,cpuacct/mvmscale-7", .version = 1 };
	struct cgroup v2 = { .path = (char *)"/sys/fs/cgroup/user.slice/mvmscale-7", .version = 2 };

	(void)state;
	assert_string_equal(cgroup_relative(&v1), "/mvmscale-7");
	assert_string_equal(cgroup_relative(&v2), "/user.slice/mvmscale-7");
}

static void memory_of_a_node(void **state)
{
	/* the form of Linux 6.x; Node and field are padded */
	const char *text = "Node 1 MemTotal:       24684084 kB\nNode 1 MemFree:        19682440 kB\n"
			   "Node 1 MemUsed:         5001644 kB\nNode 1 AnonPages:        262776 kB\n"
			   "Node 1 KernelStack:       62832 kB\nNode 1 HugePages_Total:     0\n";
	struct node_memory m;

	(void)state;
	assert_true(node_memory_parse(text, &m));
	assert_int_equal(m.node, 1);
	assert_int_equal(m.total, 24684084);
	assert_int_equal(m.used, 5001644);
	assert_int_equal(m.kernel_stack, 62832);
	assert_int_equal(m.slab, -1);
	assert_false(node_memory_parse("", &m));
	assert_false(node_memory_parse("MemTotal: 5 kB\n", &m));
	assert_false(node_memory_parse("Node 0 MemFree: 5 kB\n", &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_parsed),
		cmocka_unit_test(what_is_no_limit_is_refused),
		cmocka_unit_test(flat_values_are_whole_words),
		cmocka_unit_test(a_path_below_its_hierarchy),
		cmocka_unit_test(memory_of_a_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
