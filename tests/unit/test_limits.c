/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "host/limits.h"
#include "host/procfs.h"
#include "host/refusal.h"
#include "host/settings.h"

#define HOSTS "tests/fixtures/hosts"

static const struct vm_cost qemu = { .tasks = 3, .fds_vm = 20, .fds_harness = 1, .mem_kb = 12300 };

static const struct limit *find(const struct limits *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].name, name) == 0)
			return &l->items[i];
	return NULL;
}

static void parsers(void **state)
{
	double soft, hard;

	(void)state;
	assert_true(isinf(limit_value("max\n")));
	assert_true(isinf(limit_value("9223372036854771712\n")));
	assert_true(isnan(limit_value("")));
	assert_true(isnan(limit_value("-1")));
	assert_true(limit_value(" 42\n") == 42);
	rlimit_parse("Max open files            1024                 unlimited            files\n",
		     "Max open files", &soft, &hard);
	assert_true(soft == 1024 && isinf(hard));
	rlimit_parse("", "Max open files", &soft, &hard);
	assert_true(isnan(soft) && isnan(hard));

	static const struct {
		double v;
		const char *text;
	} counts[] = { { 0, "0" },
		       { 999, "999" },
		       { 1000, "1,000" },
		       { 32768, "32,768" },
		       { 4194304, "4,194,304" },
		       { NAN, "unknown" },
		       { INFINITY, "unlimited" } };
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		_cleanup_free_ char *text = count_text(counts[i].v);
		assert_string_equal(text, counts[i].text);
	}
}

static void cgroup_paths(void **state)
{
	static const char v1[] = "29 25 0:26 / /c/memory rw - cgroup cgroup rw,memory\n"
				 "30 25 0:27 /docker/ab /c/pids rw - cgroup cgroup rw,pids\n"
				 "31 25 0:27 / /c/cc rw shared:4 - cgroup cgroup rw,cpu,cpuacct";
	static const char own[] = "8:pids:/docker/ab/x\n4:memory:/a:b\n1:cpu,cpuacct:/\n3:cpuset:/s\n";
	char *top = NULL;

	(void)state;
	_cleanup_free_ char *memory = cgroup_folder(own, v1, "memory", &top);
	assert_string_equal(memory, "/c/memory/a:b");
	assert_string_equal(top, "/c/memory");
	free(top);
	/* only what the container's bind mount shows */
	_cleanup_free_ char *pids = cgroup_folder(own, v1, "pids", &top);
	assert_string_equal(pids, "/c/pids/x");
	free(top);
	_cleanup_free_ char *outside = cgroup_folder("8:pids:/other\n", v1, "pids", &top);
	assert_string_equal(outside, "/c/pids");
	free(top);
	_cleanup_free_ char *cpuacct = cgroup_folder(own, v1, "cpuacct", &top);
	assert_string_equal(cpuacct, "/c/cc");
	free(top);
	assert_null(cgroup_folder(own, v1, "cpuset", &top)); /* not mounted */
	assert_null(cgroup_folder(own, v1, "cpu,cpu", &top));
	assert_null(cgroup_folder(own, v1, NULL, &top));
	_cleanup_free_ char *v2 =
		cgroup_folder("0::/u/s\n", "35 24 0:30 / /c rw - cgroup2 none rw", NULL, &top);
	assert_string_equal(v2, "/c/u/s");
	free(top);
	/* beside the root of our cgroup namespace */
	_cleanup_free_ char *up =
		cgroup_folder("0::/../s\n", "35 24 0:30 / /c rw - cgroup2 none rw", NULL, &top);
	assert_string_equal(up, "/c");
	free(top);
}

/* A fixture's files may or may not be writable for whoever runs the test. */
static void make_writable(struct limit_raw *raw, bool writable)
{
	for (int i = 0; i < SYSCTL_COUNT; i++)
		raw->sysctl[i].writable = writable;
}

static void v1_hybrid(void **state)
{
	struct limit_raw raw;
	struct limits l;

	(void)state;
	limits_read(HOSTS "/v1-hybrid", &raw);
	make_writable(&raw, true);
	assert_true(raw.uid0 && raw.cap_sys_admin && !raw.cap_sys_resource);
	assert_true(raw.fds_self == 3);
	assert_true(raw.keys_used == 3);
	assert_true(raw.memory_cgroups == 9);
	assert_int_equal(raw.cgroup_count, 1); /* what says "unlimited" limits nothing */
	limits_compute(&raw, &qemu, 90, &l);

	/* (24362252 - 2468408.4) / 12300 */
	assert_true(find(&l, "ram")->vms_now == 1779);
	assert_true(find(&l, "ram")->vms_raised == 1779);
	/* (32768 - 1024 - 84) / 3 */
	assert_true(find(&l, "pid_max")->vms_now == 10553);
	assert_true(find(&l, "pid_max")->raisable_to == 4194304);
	assert_true(isinf(find(&l, "RLIMIT_NPROC")->vms_now));
	/* hard = soft and no CAP_SYS_RESOURCE: (20000 - 1000 - 3) / 1 */
	assert_true(find(&l, "RLIMIT_NOFILE")->vms_now == 18997);
	assert_true(find(&l, "RLIMIT_NOFILE")->vms_raised == 18997);
	assert_true(isinf(find(&l, "file-max")->vms_now)); /* CAP_SYS_ADMIN */
	assert_null(find(&l, "overcommit"));
	/* 2 GiB less 5 %, less 200 MiB in use without the reclaimable cache */
	assert_true(find(&l, "cgroup-memory")->current_use == 204800);
	assert_true(find(&l, "cgroup-memory")->vms_now == floor((2097152 - 104857 - 204800) / 12300.0));
	assert_ptr_equal(limits_binding(&l, false), find(&l, "cgroup-memory"));
	assert_ptr_equal(limits_binding(&l, true), find(&l, "cgroup-memory"));
	_cleanup_free_ char *sentence = limits_sentence(&l, false);
	assert_non_null(strstr(sentence, "you will stop near 145 VMs because of cgroup-memory ("));
	assert_non_null(strstr(sentence, "agent/0a1b/memory.limit_in_bytes"));
	json_t *a = limits_json(&l);
	assert_int_equal(json_array_size(a), l.count);
	json_decref(a);
	limits_free(&l);
	limit_raw_free(&raw);
}

static void v2_user(void **state)
{
	static const struct vm_cost cost = { .tasks = 3,
					     .mem_kb = 600,
					     .commit_kb = 100000,
					     .fds_vm = 20,
					     .keys = 1,
					     .fds_harness = 1,
					     .mappings = 2 };
	struct limit_raw raw;
	struct limits l;
	size_t pids = 0;

	(void)state;
	limits_read(HOSTS "/v2-systemd", &raw);
	make_writable(&raw, false);
	assert_false(raw.uid0 || raw.cap_sys_admin || raw.cap_sys_resource);
	assert_true(raw.user_tasks == 5);
	limits_compute(&raw, &cost, 90, &l);
	/* memory.high of the scope, memory.max of it, pids.max of the slice (TasksMax) */
	assert_int_equal(raw.cgroup_count, 3);
	for (size_t i = 0; i < l.count; i++)
		pids += strcmp(l.items[i].name, "cgroup-pids") == 0;
	assert_int_equal(pids, 1);
	assert_true(find(&l, "cgroup-pids")->current_max == 10813);
	assert_true(find(&l, "cgroup-pids")->current_use == 300);
	assert_true(find(&l, "overcommit")->vms_now == 600);
	assert_true(find(&l, "RLIMIT_NPROC")->current_max == 63000);
	assert_true(find(&l, "RLIMIT_NPROC")->raisable_to == 126000);
	assert_true(find(&l, "RLIMIT_NOFILE")->raisable_to == 524288);
	assert_true(isinf(find(&l, "file-max")->current_max)); /* LONG_MAX is no limit */
	assert_true(find(&l, "keys")->vms_now == 170);	       /* (200 - 10 - 20) / 1 */
	assert_non_null(strstr(find(&l, "threads-max")->how, "not writable"));
	assert_ptr_equal(limits_binding(&l, false), find(&l, "keys"));
	limits_free(&l);
	limit_raw_free(&raw);
}

static void sparse(void **state)
{
	struct limit_raw raw;
	struct limits l;

	(void)state;
	limits_read(HOSTS "/sparse", &raw);
	assert_false(raw.uid0); /* root of an inner user namespace */
	limits_compute(&raw, &qemu, 90, &l);
	assert_true(isinf(find(&l, "ram")->vms_now));
	assert_non_null(strstr(find(&l, "threads-max")->how, "unknown"));
	assert_ptr_equal(limits_binding(&l, false), find(&l, "pid_max"));
	limits_free(&l);
	limit_raw_free(&raw);

	limits_read(HOSTS "/no-such-host", &raw);
	limits_compute(&raw, &qemu, 90, &l);
	assert_null(limits_binding(&l, false));
	_cleanup_free_ char *sentence = limits_sentence(&l, false);
	assert_non_null(strstr(sentence, "no limit"));
	limits_free(&l);
	limit_raw_free(&raw);
}

/* A host that shows nothing. */
static void unknown_host(struct limit_raw *raw)
{
	limits_read(HOSTS "/no-such-host", raw);
}

static void never_below_zero(void **state)
{
	struct limit_raw raw;
	struct limits l;

	(void)state;
	unknown_host(&raw);
	raw.mem_total_kb = 1000;
	raw.mem_available_kb = 50;
	limits_compute(&raw, &qemu, 90, &l);
	assert_true(find(&l, "ram")->vms_now == 0);
	limits_free(&l);
	limit_raw_free(&raw);
}

static void needed(void **state)
{
	struct limit pids = { .current_use = 100, .per_vm = 3, .headroom = 4096, .raisable_to = 4194304 };

	(void)state;
	assert_true(limit_needed(&pids, 46000) == 100 + 151800 + 4096);
	assert_true(limit_needed(&pids, 1e7) == 4194304);
}

static char *state_dir(void)
{
	char *dir = xstrdup("/tmp/mvm-test-limits-XXXXXX");

	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *state = xasprintf("%s/state", dir);
	setenv("MVMSCALE_STATE", state, 1);
	setenv("MVMSCALE_HOST_STATE", state, 1);
	return dir;
}

static void raising(void **state)
{
	_cleanup_free_ char *dir = state_dir(), *pid_max = xasprintf("%s/pid_max", dir);
	struct settings *s = NULL;
	struct limit_raw raw;
	struct limits l;
	struct limit_raises r;
	struct strlist said = { 0 };
	long long v;

	(void)state;
	assert_null(fs_write_atomic(pid_max, "32768\n", 6));
	unknown_host(&raw);
	raw.tasks = 100;
	raw.uid0 = true;
	free(raw.sysctl[SYSCTL_PID_MAX].file);
	raw.sysctl[SYSCTL_PID_MAX].file = xstrdup(pid_max);
	raw.sysctl[SYSCTL_PID_MAX].value = 32768;
	raw.sysctl[SYSCTL_PID_MAX].writable = true;
	raw.sysctl[SYSCTL_THREADS_MAX].value = 20000; /* not writable */
	limits_compute(&raw, &qemu, 90, &l);
	assert_null(settings_open(&s));
	limits_raise(s, &l, 46000, &r);
	assert_int_equal(r.count, 2);
	assert_string_equal(r.items[0].name, "pid_max");
	assert_null(r.items[0].failure);
	assert_true(r.items[0].to == 155996);
	assert_string_equal(r.items[1].name, "threads-max");
	assert_non_null(strstr(r.items[1].failure, "not writable"));
	assert_true(fs_read_number(pid_max, &v) && v == 155996);
	assert_true(find(&l, "pid_max")->raised);
	assert_true(find(&l, "pid_max")->vms_now >= 46000);
	json_t *a = limit_raises_json(&r);
	assert_int_equal(json_array_size(a), 2);
	json_decref(a);
	limit_raises_free(&r);

	/* nothing is left to do, or asked for */
	limits_raise(s, &l, 100, &r);
	assert_int_equal(r.count, 0);
	limit_raises_free(&r);
	assert_null(settings_restore(s, &said));
	assert_true(fs_read_number(pid_max, &v) && v == 32768);
	strlist_clear(&said);
	settings_close(s);
	limits_free(&l);
	limit_raw_free(&raw);
	fs_remove_tree(dir);
}

static void raising_descriptors(void **state)
{
	_cleanup_free_ char *dir = state_dir();
	struct settings *s = NULL;
	struct rlimit low = { .rlim_cur = 256 }, now;
	struct limit_raw raw;
	struct limits l;
	struct limit_raises r;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	low.rlim_max = now.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	limits_read("", &raw);
	assert_true(raw.nofile_soft == 256);
	struct vm_cost cost = { .fds_harness = 1 };
	limits_compute(&raw, &cost, 90, &l);
	assert_null(settings_open(&s));
	limits_raise(s, &l, 1000, &r);
	assert_int_equal(r.count, 1);
	assert_null(r.items[0].failure);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_true((double)now.rlim_cur == r.items[0].to);
	assert_true(find(&l, "RLIMIT_NOFILE")->vms_now >= 1000);
	limit_raises_free(&r);
	settings_close(s);
	limits_free(&l);
	limit_raw_free(&raw);
	fs_remove_tree(dir);
}

/* A host on which nothing is near its end. */
static struct limit_raw roomy(void)
{
	struct limit_raw r = { .tasks = 900,
			       .user_tasks = 100,
			       .nproc_soft = 4000,
			       .mem_total_kb = 8e6,
			       .mem_available_kb = 6e6,
			       .commit_limit_kb = 4e6,
			       .committed_kb = 1e6,
			       .maps_self = 50,
			       .as_soft = INFINITY };

	r.sysctl[SYSCTL_PID_MAX].value = 32768;
	r.sysctl[SYSCTL_THREADS_MAX].value = 60000;
	r.sysctl[SYSCTL_MAX_MAP_COUNT].value = 65530;
	return r;
}

static void attributed(const struct limit_raw *before, const struct limit_raw *now, int sys,
		       const char *limit, const char *evidence)
{
	struct refusal r;

	limits_attribute(before, now, sys, &r);
	assert_string_equal(r.limit, limit);
	if (!evidence)
		assert_null(r.evidence);
	else if (!r.evidence || !strstr(r.evidence, evidence))
		fail_msg("'%s' is not in: %s", evidence, r.evidence ? r.evidence : "nothing");
	free(r.evidence);
}

/* What the errno alone tells, and what is left where nothing is nearly full. */
static void refused_by_errno(void **state)
{
	struct limit_raw a = roomy();

	(void)state;
	attributed(&a, &a, ENOSPC, "disk", NULL);
	attributed(&a, &a, EMFILE, "RLIMIT_NOFILE", NULL);
	attributed(&a, &a, ENFILE, "file-max", NULL);
	attributed(&a, &a, EAGAIN, "fork", NULL);
	attributed(&a, &a, ENOMEM, "memory", NULL);
}

static void refused_tasks(void **state)
{
	struct limit_raw a = roomy(), b = roomy();

	(void)state;
	b.tasks = 32700;
	attributed(&a, &b, EAGAIN, "pid_max", "32,700 of 32,768 in use");
	b.sysctl[SYSCTL_THREADS_MAX].value = 32701;
	attributed(&a, &b, EAGAIN, "threads-max", "32,700 of 32,701");
	b = roomy();
	b.user_tasks = 3999;
	attributed(&a, &b, EAGAIN, "RLIMIT_NPROC", "3,999 of 4,000");
	b.uid0 = true;
	attributed(&a, &b, EAGAIN, "fork", NULL);
	b.uid0 = false;
	b.user_tasks = NAN;
	attributed(&a, &b, EAGAIN, "fork", NULL);
}

static void refused_by_cgroup(void **state)
{
	struct limit_cgroup was[] = {
		{ .file = (char *)"/c/pids.max", .use = 10, .max = 300, .refusals = 2 },
		{ .file = (char *)"/c/memory.max", .memory = true, .use = 1000, .max = 50000, .refusals = 7 }
	};
	struct limit_cgroup is[ARRAY_LEN(was)];
	struct limit_raw a = roomy(), b = roomy();

	(void)state;
	memcpy(is, was, sizeof(is));
	a.cgroups = was;
	b.cgroups = is;
	a.cgroup_count = b.cgroup_count = ARRAY_LEN(was);
	/* what it refused before this run says nothing */
	attributed(&a, &b, EAGAIN, "fork", NULL);
	/* proof goes before nearness: those that were in the way have ended since */
	is[0].refusals = 5;
	b.tasks = 32700;
	attributed(&a, &b, EAGAIN, "cgroup-pids", "/c/pids.max is 300, and refused 3 times");
	/* a kernel that does not count */
	was[0].refusals = is[0].refusals = NAN;
	b.tasks = 900;
	is[0].use = 299;
	attributed(&a, &b, EAGAIN, "cgroup-pids", "299 of 300");
	attributed(&a, &b, ENOMEM, "memory", NULL);
	/* page cache that was given back is counted as a refusal, too */
	is[1].refusals = 9;
	attributed(&a, &b, ENOMEM, "memory", NULL);
	is[1].use = 49900;
	attributed(&a, &b, ENOMEM, "cgroup-memory", "/c/memory.max is 50,000 kB, and refused 2 times");
}

static void refused_memory(void **state)
{
	struct limit_raw a = roomy(), b = roomy();

	(void)state;
	b.committed_kb = 3.99e6;
	attributed(&a, &b, ENOMEM, "memory", NULL);
	b.overcommit = 2;
	attributed(&a, &b, ENOMEM, "overcommit", "3,990,000 of 4,000,000");
	b = roomy();
	b.maps_self = 65529;
	attributed(&a, &b, ENOMEM, "max_map_count", "65,529");
	b = roomy();
	b.mem_available_kb = 1000;
	attributed(&a, &b, ENOMEM, "memory", "of 8,000,000 kB");
	b = roomy();
	b.as_soft = 1 << 20;
	attributed(&a, &b, ENOMEM, "RLIMIT_AS", "1,024 kB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsers),
		cmocka_unit_test(cgroup_paths),
		cmocka_unit_test(v1_hybrid),
		cmocka_unit_test(v2_user),
		cmocka_unit_test(sparse),
		cmocka_unit_test(never_below_zero),
		cmocka_unit_test(needed),
		cmocka_unit_test(raising),
		cmocka_unit_test(raising_descriptors),
		cmocka_unit_test(refused_by_errno),
		cmocka_unit_test(refused_tasks),
		cmocka_unit_test(refused_by_cgroup),
		cmocka_unit_test(refused_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
