/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "host/cgroup.h"
#include "measure/nodes.h"

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
	struct cgroup v1 = { .path = (char *)"/sys/fs/cgroup/cpu,cpuacct/mvmscale-7",
			     .mount = (char *)"/sys/fs/cgroup/cpu,cpuacct",
			     .version = 1 };
	struct cgroup v2 = { .path = (char *)"/sys/fs/cgroup/user.slice/mvmscale-7",
			     .mount = (char *)"/sys/fs/cgroup",
			     .version = 2 };

	(void)state;
	assert_string_equal(cgroup_relative(&v1), "/mvmscale-7");
	assert_string_equal(cgroup_relative(&v2), "/user.slice/mvmscale-7");
}

/* Trees of files that stand for cgroup hierarchies, below a folder that is made anew for each test. */
static char root[64];

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/mvm-cgroup.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	_cleanup_free_ char *journals = xasprintf("%s/state", root);
	return setenv("MVMSCALE_STATE", journals, 1) || setenv("MVMSCALE_HOST_STATE", journals, 1);
}

static int drop_root(void **state)
{
	(void)state;
	fs_remove_tree(root);
	return unsetenv("MVMSCALE_STATE") || unsetenv("MVMSCALE_HOST_STATE");
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name);
	_cleanup_free_ char *folder = xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);

	assert_null(fs_mkdirs(folder));
	assert_null(fs_write_atomic(path, text, strlen(text)));
}

static void holds(const char *name, const char *wanted)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name), *text = NULL;

	assert_null(fs_read(path, &text, NULL));
	assert_string_equal(text, wanted);
}

static void is_below_root(const char *path, const char *wanted)
{
	assert_non_null(path);
	assert_memory_equal(path, root, strlen(root));
	assert_string_equal(path + strlen(root), wanted);
}

/* v2 as the only hierarchy, with a cgroup that the host's administrator made. */
static void put_v2(const char *controllers, const char *handed_down)
{
	put("cgroup.controllers", controllers);
	put("cgroup.subtree_control", handed_down);
	put("bench/cgroup.controllers", controllers);
	put("bench/cgroup.subtree_control", handed_down);
	put("bench/mvmscale-7/cgroup.controllers", controllers);
	put("bench/mvmscale-7/cgroup.procs", "");
	put("bench/mvmscale-7/cpu.stat", "usage_usec 1500\nuser_usec 1000\nthrottled_usec 7000\n");
	put("bench/mvmscale-7/cpu.max", "max 100000\n");
	put("bench/mvmscale-7/memory.max", "max\n");
	put("bench/mvmscale-7/memory.current", "8192000\n");
	put("bench/mvmscale-7/memory.peak", "9216000\n");
	put("bench/mvmscale-7/memory.stat", "anon 5\ninactive_file 192000\n");
	put("bench/mvmscale-7/memory.events", "low 0\noom 1\noom_kill 2\n");
	put("bench/mvmscale-7/pids.max", "max\n");
	put("bench/mvmscale-7/pids.current", "12\n");
	put("bench/mvmscale-7/pids.events", "max 3\n");
}

static void limits_of_v2_are_set_and_read_back(void **state)
{
	const struct cgroup_limits l = { .cores = 1.5, .mem_bytes = 512 << 20, .pids = 40 };
	struct strlist said = { 0 };
	struct settings *settings;
	struct cgroup_hits h;
	struct cgroup c;

	(void)state;
	put_v2("cpuset cpu memory pids\n", "cpuset memory\n");
	_cleanup_free_ char *where = xasprintf("%s/bench/", root);
	assert_null(cgroup_choose(root, where, "mvmscale-7", &c));
	assert_int_equal(c.version, 2);
	is_below_root(c.path, "/bench/mvmscale-7");
	assert_string_equal(cgroup_relative(&c), "/bench/mvmscale-7");
	assert_null(cgroup_create(&c));
	assert_int_equal(cgroup_cpu_ns(&c), 1500000);
	assert_null(settings_open(&settings));
	assert_null(cgroup_confine(&c, &l, true, settings, &said));
	assert_int_equal(said.count, 0);
	assert_int_equal(c.more, 0);
	holds("bench/mvmscale-7/cpu.max", "150000 100000");
	holds("bench/mvmscale-7/memory.max", "536870912");
	holds("bench/mvmscale-7/pids.max", "40");
	/* memory was handed down already, cpu was not though its name begins cpuset: the last that was
	 * missing */
	holds("bench/cgroup.subtree_control", "+pids");
	holds("cgroup.subtree_control", "cpuset memory\n");
	assert_int_equal(cgroup_mem_bytes(&c), 8192000);
	assert_int_equal(cgroup_tasks(&c), 12);
	cgroup_read_hits(&c, &h);
	assert_int_equal(h.throttled_ms, 7);
	assert_int_equal(h.oom_kills, 2);
	assert_int_equal(h.mem_bytes, 8000000);
	assert_int_equal(h.mem_peak_bytes, 9216000);
	assert_int_equal(h.refused_pids, 3);
	cgroup_remove(&c);
	assert_null(settings_restore(settings, &said));
	/* of the controllers that were switched on, the first noted is the last put back */
	holds("bench/cgroup.subtree_control", "-cpu");
	strlist_clear(&said);
	settings_close(settings);
}

static void what_v2_lacks_is_told(void **state)
{
	const struct cgroup_limits none = { 0 }, memory = { .mem_bytes = 512 << 20 };
	struct strlist said = { 0 };
	struct settings *settings;
	struct cgroup c;

	(void)state;
	/* mounted beside v1 it has no controller of use, but counts CPU time */
	put("unified/cgroup.controllers", "hugetlb\n");
	put("unified/cgroup.subtree_control", "");
	put("unified/mvmscale-7/cgroup.procs", "");
	put("unified/mvmscale-7/cpu.stat", "usage_usec 1\n");
	assert_null(cgroup_choose(root, NULL, "mvmscale-7", &c));
	is_below_root(c.path, "/unified/mvmscale-7");
	assert_string_equal(cgroup_relative(&c), "/mvmscale-7");
	assert_null(cgroup_create(&c));
	assert_null(settings_open(&settings));
	assert_null(cgroup_confine(&c, &none, true, settings, &said));
	assert_int_equal(said.count, 2);
	assert_non_null(strstr(said.items[0], "memory cannot be counted"));
	assert_int_equal(cgroup_mem_bytes(&c), -1);
	assert_int_equal(cgroup_tasks(&c), -1);
	error *e = cgroup_confine(&c, &memory, false, settings, &said);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_CANNOT);
	assert_non_null(strstr(e->msg, "does not have the controller memory"));
	err_free(e);
	cgroup_remove(&c);
	strlist_clear(&said);
	settings_close(settings);
}

static void v1_is_joined_controller_by_controller(void **state)
{
	const struct cgroup_limits l = { .pids = 9 };
	struct strlist said = { 0 };
	struct settings *settings;
	struct cgroup c;

	(void)state;
	put("cpu,cpuacct/cpuacct.usage", "5\n");
	put("cpu,cpuacct/bench/cpuacct.usage", "5\n");
	put("cpu,cpuacct/bench/mvmscale-7/cgroup.procs", "");
	put("cpu,cpuacct/bench/mvmscale-7/cpuacct.usage", "77\n");
	put("pids/bench/mvmscale-7/cgroup.procs", "");
	put("pids/bench/mvmscale-7/pids.max", "max\n");
	put("pids/bench/mvmscale-7/pids.current", "4\n");
	put("unified/cgroup.controllers", "\n");
	assert_null(cgroup_choose(root, "/bench", "mvmscale-7", &c));
	assert_int_equal(c.version, 1);
	is_below_root(c.path, "/cpu,cpuacct/bench/mvmscale-7");
	assert_string_equal(cgroup_relative(&c), "/bench/mvmscale-7");
	assert_null(cgroup_create(&c));
	assert_int_equal(cgroup_cpu_ns(&c), 77);
	assert_null(settings_open(&settings));
	assert_null(cgroup_confine(&c, &l, true, settings, &said));
	/* there is no hierarchy with memory */
	assert_int_equal(said.count, 1);
	assert_int_equal(c.more, 1);
	holds("pids/bench/mvmscale-7/pids.max", "9");
	assert_int_equal(cgroup_tasks(&c), 4);
	assert_int_equal(cgroup_mem_bytes(&c), -1);
	cgroup_remove(&c);
	strlist_clear(&said);
	settings_close(settings);
}

static void a_folder_that_is_no_cgroup_is_refused(void **state)
{
	struct cgroup c;

	(void)state;
	assert_null(cgroup_choose(root, NULL, "mvmscale-7", &c));
	assert_null(c.path);
	error *e = cgroup_choose(root, "bench", "mvmscale-7", &c);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "no cgroup hierarchy"));
	err_free(e);
	put("cpuacct/cpuacct.usage", "5\n");
	put("memory/memory.usage_in_bytes", "5\n");
	_cleanup_free_ char *memory = xasprintf("%s/memory", root);
	const char *const wheres[][2] = { { "bench", "there is no cgroup" },
					  { memory, "counts no CPU time" } };
	for (size_t i = 0; i < ARRAY_LEN(wheres); i++) {
		e = cgroup_choose(root, wheres[i][0], "mvmscale-7", &c);
		assert_non_null(e);
		assert_int_equal(e->code, EXIT_CANNOT);
		assert_non_null(strstr(e->msg, wheres[i][1]));
		assert_null(c.path);
		err_free(e);
	}
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

static void cpu_time_by_node(void **state)
{
	/* CPU 1 is of a node that has no column, CPU 3 is not known */
	const char *stat = "cpu  100 0 0 900 0 0 0 0 0 0\ncpu0 10 1 2 80 3 4 5 6 7 8\ncpu1 50 0 0 50\n"
			   "cpu2 1 0 0 99 0 0 0 0\ncpu3 9 9 9 9\nintr 5 5 5 5 5\nctxt 7\n";
	const short node_of[] = { 0, NODES_SHOWN, 0 };
	struct node_ticks t[NODES_SHOWN];

	(void)state;
	node_ticks_parse(stat, node_of, ARRAY_LEN(node_of), t);
	assert_int_equal(t[0].busy, 22 + 1);
	assert_int_equal(t[0].total, 22 + 80 + 3 + 6 + 100);
	assert_int_equal(t[1].total, 0);
	node_ticks_parse(NULL, node_of, ARRAY_LEN(node_of), t);
	assert_int_equal(t[0].total, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_parsed),
		cmocka_unit_test(what_is_no_limit_is_refused),
		cmocka_unit_test(flat_values_are_whole_words),
		cmocka_unit_test(a_path_below_its_hierarchy),
		cmocka_unit_test(memory_of_a_node),
		cmocka_unit_test(cpu_time_by_node),
		cmocka_unit_test_setup_teardown(limits_of_v2_are_set_and_read_back, make_root, drop_root),
		cmocka_unit_test_setup_teardown(what_v2_lacks_is_told, make_root, drop_root),
		cmocka_unit_test_setup_teardown(v1_is_joined_controller_by_controller, make_root, drop_root),
		cmocka_unit_test_setup_teardown(a_folder_that_is_no_cgroup_is_refused, make_root, drop_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
