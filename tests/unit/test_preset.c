/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "backend/qemu/preset.h"
#include "base/fs.h"
#include "base/util.h"

#define TCG "[tcg]\nbinary = qemu-a qemu-b\nargs = -M isapc -bios {firmware}\nboot = firmware\n"

static error *load_text(const char *text, struct preset **ret)
{
	_cleanup_free_ char *dir = xstrdup("/tmp/mvm-preset-XXXXXX");

	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/mine.preset", dir);
	assert_null(fs_write_atomic(path, text, strlen(text)));
	error *e = preset_load(path, ret);
	fs_remove_tree(dir);
	return e;
}

static void reads_a_file(void **state)
{
	_cleanup_(preset_freep) struct preset *p = NULL;

	(void)state;
	assert_null(
		load_text("[preset]\nsummary = mine\nlaunch = fork\nprefer = tcg\n" TCG "mem_kb = 77\n", &p));
	assert_string_equal(p->name, "mine");
	assert_string_equal(p->summary, "mine");
	assert_string_equal(p->launch, "fork");
	assert_string_equal(p->prefer, "tcg");
	assert_true(p->accel[ACCEL_TCG].present);
	assert_true(p->accel[ACCEL_TCG].firmware_boot);
	assert_int_equal(p->accel[ACCEL_TCG].mem_kb, 77);
	assert_false(p->accel[ACCEL_KVM].present);
}

static void defaults(void **state)
{
	_cleanup_(preset_freep) struct preset *p = NULL;

	(void)state;
	assert_null(load_text(TCG, &p));
	assert_string_equal(p->launch, "exec");
	assert_string_equal(p->prefer, "kvm");
	assert_string_equal(p->tune, "");
}

static void bad_files_are_named(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "neither a [tcg] nor a [kvm]" },
		{ "[preset]\nlaunch = exec\n", "neither a [tcg] nor a [kvm]" },
		{ "[preset]\nlaunch = warp\n" TCG, "launch = warp" },
		{ "[preset]\nprefer = xen\n" TCG, "prefer = xen" },
		{ "[preset]\nsumary = x\n" TCG, "unknown key 'sumary'" },
		{ "[xen]\nbinary = x\n" TCG, "[xen]" },
		{ TCG "tasks = none\n", "tasks = none" },
		{ TCG "fds = 0\n", "fds = 0" },
		{ "[tcg]\nbinary = q\n", "needs binary, args and boot" },
		{ "[kvm]\nargs = {image}\nboot = disk\n", "[kvm] needs binary" },
		{ "[tcg]\nbinary = q\nargs = {image}\nboot = tape\n", "boot = tape" },
		{ "[tcg]\nbinary = q\nargs = {image}\nboot = firmware\n", "never uses {firmware}" },
		{ "[tcg]\nbinary = q\nargs = -bios {firmware}\nboot = disk\n", "never uses {image}" },
		{ "what is this\n", "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct preset *p = NULL;
		_cleanup_err_ error *e = load_text(bad[i].text, &p);

		assert_non_null(e);
		assert_null(p);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		if (!strstr(e->msg, bad[i].words) || !strstr(e->msg, "mine.preset"))
			fail_msg("'%s' lacks '%s' or the file", e->msg, bad[i].words);
	}
}

static void unknown_names_list_the_known(void **state)
{
	struct preset *p = NULL;

	(void)state;
	_cleanup_err_ error *e = preset_load("no-such", &p);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, "no-such"));
	assert_non_null(strstr(e->msg, "lean"));
	assert_non_null(strstr(e->msg, "stock"));
}

static void shipped_ones_load(void **state)
{
	struct strlist names = { 0 };

	(void)state;
	preset_names(&names);
	assert_true(names.count >= 2);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_(preset_freep) struct preset *p = NULL;
		_cleanup_err_ error *e = preset_load(names.items[i], &p);

		if (e)
			fail_msg("%s", e->msg);
		assert_string_equal(p->name, names.items[i]);
		assert_true(strlen(p->summary) > 10);
	}
	strlist_clear(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_file),	       cmocka_unit_test(defaults),
		cmocka_unit_test(bad_files_are_named), cmocka_unit_test(unknown_names_list_the_known),
		cmocka_unit_test(shipped_ones_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
