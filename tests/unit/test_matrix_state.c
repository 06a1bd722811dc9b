/* SPDX-License-Identifier: GPL-3.0-or-later */
/* matrix.json, what may be gone on with, command lines of runs, governors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "host/governor.h"
#include "host/settings.h"
#include "matrix/matrix.h"

#define TEXT                                                                         \
	"[matrix]\nrounds = 2\nmax = 30\nseed = 7\nno_raise = yes\norder = rotate\n" \
	"[dimensions]\nprofile = idle sleep\n[config c]\nrate = 5\noptions = --jobs 2\n"

static struct matrix *make(unsigned rounds, long max)
{
	struct matrix_spec *s = NULL;
	struct matrix *m = NULL;

	assert_null(matrix_parse(TEXT, "m", &s));
	assert_null(matrix_new(s, rounds, max, &m));
	m->dir = xstrdup("out");
	m->host = json_pack("{s:s,s:i}", "cpu", "x", "cores", 2);
	return m;
}

static void a_new_one_is_all_pending(void **state)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 0), *more = make(5, 0);

	(void)state;
	assert_int_equal(m->rounds, 2);
	assert_int_equal(m->order, ORDER_ROTATE);
	assert_int_equal(m->cells.count, 3);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(m->runs[i].state, CELL_PENDING);
	assert_int_equal(more->rounds, 5);
}

static void json_keeps_all_of_it(void **state)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 12), *back = NULL;
	struct cell_run *run = matrix_run_at(m, 1, 2);

	(void)state;
	m->plans[0].cannot = xstrdup("no such program");
	m->plans[1].max = 30;
	m->plans[1].qemu = xstrdup("/bin/q");
	m->plans[1].target = xstrdup("i386");
	*run = (struct cell_run){ .state = CELL_FAILED,
				  .attempts = 3,
				  .exit_status = 3,
				  .seconds = 1.5,
				  .dir = xstrdup("r2-03-c"),
				  .error = xstrdup("it \"broke\""),
				  .command = xstrdup("mvmscale run") };
	json_t *j = matrix_json(m, "running");
	error *e = matrix_from_json(j, "matrix.json", &back);
	if (e)
		fail_msg("%s", e->msg);
	json_t *again = matrix_json(back, "running");
	assert_true(json_equal(j, again));
	assert_int_equal(matrix_run_at(back, 1, 2)->state, CELL_FAILED);
	assert_string_equal(matrix_run_at(back, 1, 2)->error, "it \"broke\"");
	assert_int_equal(back->max, 12);
	json_decref(j);
	json_decref(again);
}

static void refused(json_t *j, const char *words)
{
	struct matrix *back = NULL;
	_cleanup_err_ error *e = matrix_from_json(j, "out/matrix.json", &back);

	assert_null(back);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, words) || !strstr(e->msg, "out/matrix.json"))
		fail_msg("'%s' lacks '%s' or the file", e->msg, words);
	json_decref(j);
}

static json_t *changed(const char *key, json_t *value)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 0);
	json_t *j = matrix_json(m, "running");

	json_object_set_new(j, key, value);
	return j;
}

static void damaged_json_is_refused(void **state)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 0);
	json_t *j = matrix_json(m, "running"), *run;

	(void)state;
	run = json_array_get(json_object_get(json_array_get(json_object_get(j, "cells"), 1), "runs"), 0);
	json_object_set_new(run, "state", json_string("fine"));
	refused(j, "cell 2");
	j = matrix_json(m, "running");
	run = json_array_get(json_object_get(json_array_get(json_object_get(j, "cells"), 0), "runs"), 1);
	json_object_set_new(run, "dir", json_string("../elsewhere"));
	refused(j, "cell 1");
	refused(json_integer(3), "text");
	refused(changed("text", json_null()), "text");
	refused(changed("text", json_string("[matrix]\nx = 1\n")), "unknown key");
	refused(changed("text", json_string("[dimensions]\nprofile = a b c d\n")), "cells");
	refused(changed("format", json_integer(2)), "format 2");
	refused(changed("rounds", json_integer(0)), "rounds");
	refused(changed("rounds", json_integer(3)), "cell 1");
	refused(changed("cells", json_array()), "cells");
}

static void may_not(const struct matrix *m, const char *text, unsigned rounds, long max, const json_t *host,
		    const char *words)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *s = NULL;

	assert_null(matrix_parse(text, "m", &s));
	_cleanup_err_ error *e = matrix_may_resume(m, s, rounds, max, host);
	if (!words && e)
		fail_msg("%s", e->msg);
	if (!words)
		return;
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, words))
		fail_msg("'%s' lacks '%s'", e->msg, words);
}

static void only_the_same_is_gone_on_with(void **state)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 0), *given = make(0, 50);
	json_t *same = json_pack("{s:s,s:i}", "cpu", "x", "cores", 2);
	json_t *other = json_pack("{s:s,s:i}", "cpu", "x", "cores", 4);

	(void)state;
	may_not(m, TEXT, 0, 0, same, NULL);
	may_not(m, TEXT, 2, 0, NULL, NULL);
	may_not(m, TEXT, 3, 0, same, NULL);
	may_not(m, TEXT "max = 8\n", 0, 0, NULL, "line 12: '' there, 'max = 8' here");
	may_not(m, TEXT, 1, 0, NULL, "2 rounds");
	may_not(m, TEXT, 0, 40, NULL, "made without --max, not with --max 40");
	may_not(given, TEXT, 0, 40, NULL, "made with --max 50, not with --max 40");
	may_not(given, TEXT, 0, 50, NULL, NULL);
	may_not(m, TEXT, 0, 0, other, "cores is 2 there, 4 here");
	json_object_set_new(m->host, "ram_kb", json_integer(25165824));
	json_object_set_new(same, "ram_kb", json_integer(25160000));
	may_not(m, TEXT, 0, 0, same, NULL);
	json_object_set_new(same, "ram_kb", json_integer(16777216));
	may_not(m, TEXT, 0, 0, same, "ram_kb is 25165824 there, 16777216 here");
	json_decref(same);
	json_decref(other);
}

static void rounds_can_be_added(void **state)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 0);

	(void)state;
	matrix_run_at(m, 1, 2)->state = CELL_DONE;
	matrix_set_rounds(m, 3);
	assert_int_equal(m->rounds, 3);
	assert_int_equal(matrix_run_at(m, 1, 2)->state, CELL_DONE);
	assert_int_equal(matrix_run_at(m, 2, 2)->state, CELL_PENDING);
	matrix_set_rounds(m, 1);
	assert_int_equal(m->rounds, 3);
}

static void command_lines(void **state)
{
	_cleanup_(matrix_freep) struct matrix *m = make(0, 0);
	struct strlist argv = { 0 };

	(void)state;
	m->plans[2].max = 30;
	m->plans[2].qemu = xstrdup("/x/qemu");
	matrix_run_argv(m, 1, 2, "out/r2-03-c", &argv);
	_cleanup_free_ char *text = strlist_join(&argv);
	strlist_clear(&argv);
	assert_string_equal(
		text,
		"run --max=30 --rate=5 --no-raise --qemu=/x/qemu --jobs 2 --seed=8 --name=c --out=out/r2-03-c");
}

static void put(const char *root, const char *file, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/sys/devices/system/cpu/%s", root, file),
			    *dir = xstrdup(path);

	*strrchr(dir, '/') = '\0';
	assert_null(fs_mkdirs(dir));
	assert_null(fs_write_atomic(path, text, strlen(text)));
}

static void governors_that_all_cpus_offer(void **state)
{
	_cleanup_free_ char *root = xstrdup("/tmp/mvm-governor-XXXXXX");
	struct strlist names;

	(void)state;
	assert_non_null(mkdtemp(root));
	governor_names(root, &names);
	assert_int_equal(names.count, 0);
	put(root, "cpu0/cpufreq/scaling_available_governors", "performance powersave ondemand\n");
	put(root, "cpu1/cpufreq/scaling_available_governors", "powersave performance\n");
	governor_names(root, &names);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.items[0], "powersave");
	strlist_clear(&names);
	fs_remove_tree(root);
}

static void is(const char *root, const char *file, const char *want)
{
	_cleanup_free_ char *path = xasprintf("%s/sys/devices/system/cpu/%s", root, file), *text = NULL;

	assert_null(fs_read(path, &text, NULL));
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, want);
}

static void a_governor_is_put_back(void **state)
{
	_cleanup_free_ char *root = xstrdup("/tmp/mvm-governor-XXXXXX");
	_cleanup_(strlist_clear) struct strlist said = { 0 };
	struct settings *s = NULL;

	(void)state;
	assert_non_null(mkdtemp(root));
	_cleanup_free_ char *journal = xasprintf("%s/state", root);
	setenv("MVMSCALE_STATE", journal, 1);
	setenv("MVMSCALE_HOST_STATE", journal, 1);
	assert_null(settings_open(&s));
	_cleanup_err_ error *none = governor_set(s, root, "powersave");
	assert_non_null(none);
	assert_int_equal(none->code, EXIT_CANNOT);
	put(root, "cpu0/cpufreq/scaling_governor", "ondemand\n");
	put(root, "cpu11/cpufreq/scaling_governor", "performance\n");
	assert_null(governor_set(s, root, "powersave"));
	is(root, "cpu0/cpufreq/scaling_governor", "powersave");
	is(root, "cpu11/cpufreq/scaling_governor", "powersave");
	assert_null(settings_restore(s, &said));
	is(root, "cpu0/cpufreq/scaling_governor", "ondemand");
	is(root, "cpu11/cpufreq/scaling_governor", "performance");
	settings_close(s);
	unsetenv("MVMSCALE_STATE");
	unsetenv("MVMSCALE_HOST_STATE");
	fs_remove_tree(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_is_all_pending),
		cmocka_unit_test(json_keeps_all_of_it),
		cmocka_unit_test(damaged_json_is_refused),
		cmocka_unit_test(only_the_same_is_gone_on_with),
		cmocka_unit_test(rounds_can_be_added),
		cmocka_unit_test(command_lines),
		cmocka_unit_test(governors_that_all_cpus_offer),
		cmocka_unit_test(a_governor_is_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
