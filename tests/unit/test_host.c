/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "host/facts.h"
#include "host/procfs.h"

#define HOSTS "tests/fixtures/hosts"

static void parsers(void **state)
{
	(void)state;
	_cleanup_free_ char *model = proc_field("a: 1\nmodel name\t: Big (R) CPU\nb: 2\n", "model name");
	assert_string_equal(model, "Big (R) CPU");
	assert_null(proc_field("model name long: x\n", "model name"));
	assert_int_equal(proc_number("MemTotal:       24684084 kB\n", "MemTotal"), 24684084);
	assert_int_equal(proc_number("MemTotal:\n", "MemTotal"), -1);
	assert_int_equal(proc_number("", "MemTotal"), -1);

	assert_int_equal(cpulist_count("0-3,8\n"), 5);
	assert_int_equal(cpulist_count("0\n"), 1);
	assert_int_equal(cpulist_count(""), -1);
	assert_int_equal(cpulist_count("3-1"), -1);
	assert_int_equal(cpulist_count("0-x"), -1);

	_cleanup_free_ char *thp = setting_chosen("always [madvise] never\n");
	assert_string_equal(thp, "madvise");
	_cleanup_free_ char *plain = setting_chosen(" 413\t0\t2466170 \n");
	assert_string_equal(plain, "413 0 2466170");
	_cleanup_free_ char *empty = setting_chosen("\n");
	assert_string_equal(empty, "");

	assert_string_equal(cgroup_version(""), "");
	assert_string_equal(cgroup_version("35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), "2");
	assert_string_equal(cgroup_version("35 24 0:30 / /c rw - cgroup cgroup rw,pids\n"), "1");
	_cleanup_free_ char *name = os_release_value("ID=x\nPRETTY_NAME='Q \"1\"'\n", "PRETTY_NAME");
	assert_string_equal(name, "Q \"1\"");
	assert_null(os_release_value("ID=x\n", "NAME"));
}

static void v1_hybrid(void **state)
{
	struct host h;
	struct strlist warnings = { 0 };

	(void)state;
	host_read(&h, HOSTS "/v1-hybrid");
	assert_string_equal(h.cpu_model, "AMD EPYC 7R13");
	assert_int_equal(h.cores_online, 2);
	assert_int_equal(h.numa_nodes, 1);
	assert_int_equal(h.mem_total_kb, 24684084);
	assert_int_equal(h.mem_available_kb, 24362252);
	assert_int_equal(h.swap_total_kb, 0);
	assert_string_equal(h.kernel, "6.18.44");
	assert_string_equal(h.cgroup, "hybrid");
	assert_string_equal(h.thp, "madvise");
	assert_string_equal(h.governor, "");
	assert_string_equal(h.mitigations,
			    "spectre_v2: Mitigation: Retpolines; STIBP: disabled; 2 not affected");
	assert_string_equal(h.distribution, "Debian GNU/Linux 12 (bookworm)");
	assert_int_equal(h.ksm_present, 1);
	assert_int_equal(h.ksm_run, 0);
	assert_int_equal(h.nested, 1);
	assert_int_equal(h.container, 0);
	assert_int_equal(h.root, 1);
	assert_int_equal(h.kdamond, 1);
	host_warnings(&h, &warnings);
	assert_int_equal(warnings.count, 2);
	assert_non_null(strstr(warnings.items[0], "DAMON"));
	assert_non_null(strstr(warnings.items[1], "virtual machine"));
	strlist_clear(&warnings);
	host_free(&h);
}

static void v2_warns(void **state)
{
	static const char *const expected[] = { "powersave", "KSM already runs", "388608 kB of swap",
						"load average is", "'always'" };
	struct host h;
	struct strlist warnings = { 0 };

	(void)state;
	host_read(&h, HOSTS "/v2-systemd");
	assert_string_equal(h.cgroup, "2");
	assert_int_equal(h.cores_online, 40);
	assert_int_equal(h.numa_nodes, 2);
	assert_int_equal(h.nested, 0);
	assert_int_equal(h.root, 0);
	assert_int_equal(h.overcommit, 2);
	assert_string_equal(h.distribution, "Fedora Linux 40");
	host_warnings(&h, &warnings);
	assert_int_equal(warnings.count, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_non_null(strstr(warnings.items[i], expected[i]));
	strlist_clear(&warnings);
	host_free(&h);
}

static void sparse_is_unknown(void **state)
{
	struct host h;

	(void)state;
	host_read(&h, HOSTS "/sparse");
	assert_string_equal(h.cpu_model, "");
	assert_int_equal(h.cores_online, -1);
	assert_int_equal(h.mem_available_kb, -1);
	assert_int_equal(h.swap_total_kb, -1);
	assert_int_equal(h.nested, -1);
	assert_int_equal(h.ksm_present, 0);
	assert_int_equal(h.ksm_run, -1);
	assert_int_equal(h.container, 1);
	assert_string_equal(h.container_reason, "process 1 has $container set");
	json_t *o = host_json(&h);
	assert_true(json_is_null(json_object_get(o, "ram_available_kb")));
	assert_true(json_is_null(json_object_get(o, "nested")));
	assert_int_equal(json_integer_value(json_object_get(o, "ram_kb")), 2048000);
	json_decref(o);
	host_free(&h);

	host_read(&h, HOSTS "/no-such-host");
	assert_int_equal(h.container, -1);
	assert_int_equal(h.kdamond, -1);
	assert_int_equal(h.root, -1);
	host_free(&h);
}

static void this_host(void **state)
{
	struct host h;

	(void)state;
	host_read(&h, "");
	assert_true(h.cores_online >= 1);
	assert_true(h.mem_total_kb > 0);
	assert_true(*h.kernel != '\0');
	json_t *o = host_json(&h);
	assert_non_null(o);
	json_decref(o);
	host_free(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsers),	     cmocka_unit_test(v1_hybrid), cmocka_unit_test(v2_warns),
		cmocka_unit_test(sparse_is_unknown), cmocka_unit_test(this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
