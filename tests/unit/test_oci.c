/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "backend/oci/oci.h"

static const char *text_of(const json_t *o, const char *a, const char *b)
{
	const char *s = json_string_value(json_object_get(json_object_get(o, a), b));

	return s ? s : "";
}

static void a_container_is_apart(void **state)
{
	json_auto_t *c = oci_config("/r/rootfs", "mvm", "/mvmscale-1/7");
	json_t *namespaces = json_object_get(json_object_get(c, "linux"), "namespaces"), *ns;
	const char *wanted[] = { "pid", "network", "ipc", "uts", "mount" };
	size_t i, found = 0;

	(void)state;
	assert_non_null(c);
	assert_string_equal(json_string_value(json_object_get(c, "ociVersion")), "1.0.2");
	json_array_foreach(namespaces, i, ns) for (size_t k = 0; k < ARRAY_LEN(wanted); k++) found +=
		!strcmp(json_string_value(json_object_get(ns, "type")), wanted[k]);
	assert_int_equal(found, ARRAY_LEN(wanted));
	assert_string_equal(text_of(c, "root", "path"), "/r/rootfs");
	assert_true(json_is_true(json_object_get(json_object_get(c, "root"), "readonly")));
	assert_string_equal(text_of(c, "linux", "cgroupsPath"), "/mvmscale-1/7");
}

static void its_process_may_nothing(void **state)
{
	json_auto_t *c = oci_config("/r", "mvm", NULL);
	json_t *p = json_object_get(c, "process");

	(void)state;
	assert_true(json_is_true(json_object_get(p, "noNewPrivileges")));
	assert_int_equal(json_object_size(json_object_get(p, "capabilities")), 0);
	assert_true(json_is_false(json_object_get(p, "terminal")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(p, "args"), 0)), "/init");
	/* the runtime chooses where no cgroup is given */
	assert_null(json_object_get(json_object_get(c, "linux"), "cgroupsPath"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_is_apart),
		cmocka_unit_test(its_process_may_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
