/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .matrix files: what is read, what is refused, what it expands to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/util.h"
#include "matrix/spec.h"

#define TWO "[dimensions]\nprofile = idle sleep\n"

static struct matrix_spec *parse(const char *text)
{
	struct matrix_spec *s = NULL;
	error *e = matrix_parse(text, "dir/mine.matrix", &s);

	if (e)
		fail_msg("%s", e->msg);
	return s;
}

static char *labels(const char *text)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *s = parse(text);
	struct matrix_cells c;
	struct strlist l = { 0 };
	error *e = matrix_expand(s, &c);

	if (e)
		fail_msg("%s", e->msg);
	for (size_t i = 0; i < c.count; i++)
		strlist_addf(&l, "%s%s", i ? "| " : "", c.items[i].label);
	char *all = strlist_join(&l);
	strlist_clear(&l);
	matrix_cells_clear(&c);
	return all;
}

static void expands_to(const char *text, const char *want)
{
	_cleanup_free_ char *got = labels(text);

	assert_string_equal(got, want);
}

static void reads_a_file(void **state)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *s = parse(
		"# c\n[matrix]\nsummary = two words\nmax = auto\nstop-on = ram,swap\nsample_time = 0.1\n" TWO
		"accel = tcg\n  kvm\n[config one]\nmax = 7\n");

	(void)state;
	assert_string_equal(s->name, "mine");
	assert_string_equal(s->value[KEY_SUMMARY], "two words");
	assert_string_equal(s->value[KEY_STOP_ON], "ram,swap");
	assert_string_equal(s->value[KEY_SAMPLE_TIME], "0.1");
	assert_null(s->value[KEY_PRESET]);
	assert_int_equal(s->dim_count, 2);
	assert_int_equal(s->dims[1].key, KEY_ACCEL);
	assert_int_equal(s->dims[1].values.count, 2);
	assert_int_equal(s->config_count, 1);
	assert_string_equal(s->configs[0].value[KEY_MAX], "7");
}

static void the_last_dimension_turns_fastest(void **state)
{
	(void)state;
	expands_to(TWO "accel = tcg kvm\n", "idle tcg | idle kvm | sleep tcg | sleep kvm");
}

static void rules_leave_out(void **state)
{
	(void)state;
	expands_to(TWO "accel = tcg kvm\n[exclude a]\nprofile = idle\naccel = kvm\n",
		   "idle tcg | sleep tcg | sleep kvm");
	expands_to(TWO "accel = tcg kvm\n[only a]\nprofile = sleep\n[only b]\naccel = kvm\n",
		   "idle kvm | sleep tcg | sleep kvm");
	expands_to(TWO "accel = tcg kvm\n[only]\naccel = kvm\n[exclude]\nprofile = idle\n", "sleep kvm");
	expands_to("[dimensions]\naccel = default kvm\n[exclude x]\naccel = default\n", "kvm");
}

static void configs_stand_beside(void **state)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *s =
		parse("[matrix]\npreset = lean\nrate = 5\n" TWO
		      "[config big one/2]\npreset = stock\nrate = default\n");
	struct matrix_cells c;

	(void)state;
	assert_null(matrix_expand(s, &c));
	assert_int_equal(c.count, 3);
	assert_string_equal(c.items[0].value[KEY_PRESET], "lean");
	assert_string_equal(c.items[0].value[KEY_PROFILE], "idle");
	assert_string_equal(c.items[2].label, "big one/2");
	assert_string_equal(c.items[2].name, "big-one-2");
	assert_string_equal(c.items[2].value[KEY_PRESET], "stock");
	assert_null(c.items[2].value[KEY_RATE]);
	assert_null(c.items[2].value[KEY_PROFILE]);
	assert_true(c.items[2].config);
	matrix_cells_clear(&c);
}

static void names_say_of_what_and_are_unique(void **state)
{
	(void)state;
	expands_to("[dimensions]\nrate = 5 10\ntune = default +ksm\n",
		   "rate=5 tune-default | rate=5 +ksm | rate=10 tune-default | rate=10 +ksm");
	expands_to("[dimensions]\nqemu = /a/qemu /b/qemu\n", "qemu | qemu (2)");
}

static void bad_files_are_named(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "[matrix]\nmaximum = 3\n" TWO, ":2: unknown key 'maximum'" },
		{ "[matrix]\nmax = many\n" TWO,
		  ":2: [matrix] max = many: 'many' will not do: it needs a whole" },
		{ "[matrix]\nmax = 0\n" TWO, ":2:" },
		{ "[matrix]\nthreshold = 100\n" TWO, "a number from 1 to 99" },
		{ "[matrix]\norder = random\n" TWO, "one of reverse rotate listed" },
		{ "[matrix]\naccel = xen\n" TWO, "one of auto tcg kvm" },
		{ "[matrix]\npreset =\n" TWO, "it needs a value" },
		{ "[matrix]\nmax = 3\nmax = 4\n" TWO, ":3: [matrix] max = 4: the key is given twice" },
		{ "[matrix x]\nmax = 3\n" TWO, ":2: unknown section [matrix x]" },
		{ "[dimension]\nprofile = a\n", ":2: unknown section [dimension]" },
		{ TWO "rounds = 1 2\n", ":3: misplaced key 'rounds'" },
		{ TWO "max = 1 2\n", ":3: misplaced key 'max'" },
		{ TWO "accel = tcg tcg\n", ":3: [dimensions] accel = tcg tcg: the same value" },
		{ TWO "profile = x\n", ":3: [dimensions] profile = x: this dimension is given twice" },
		{ TWO "accel = \"\"\n", "" },
		{ TWO "[config]\nmax = 3\n", ":4: [config] needs a name" },
		{ TWO "[config a]\nmax = 3\n[config b]\nmax = 3\n[config a]\nrate = 3\n",
		  ":8: there are two sections" },
		{ TWO "[config a]\nrounds = 3\n", ":4: misplaced key 'rounds'" },
		{ "[matrix]\nmax = 3\n", "nothing to run" },
		{ "", "nothing to run" },
		{ "[matrix]\nsummary = \xff\n" TWO, "not UTF-8" },
		{ "max = 3\n", ":1: unknown section []" },
		{ "[matrix\n", "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct matrix_spec *s = NULL;
		_cleanup_err_ error *e = matrix_parse(bad[i].text, "mine.matrix", &s);

		assert_null(s);
		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		if (!strstr(e->msg, bad[i].words) || !strstr(e->msg, "mine.matrix"))
			fail_msg("'%s' lacks '%s' or the file", e->msg, bad[i].words);
	}
}

static void bad_combinations_are_named(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ TWO "[exclude a]\nprofile = dile\n", "mine.matrix:4: [exclude a] matches no combination" },
		{ TWO "[exclude a]\nprofile = idle sleep\n", "leave out every combination" },
		{ "[matrix]\nqemu = /x\n[dimensions]\narch = i386\n", "'i386' has both arch and qemu" },
		{ "[dimensions]\nimage = a b\n[config x]\nimage = a\nprofile = b\n",
		  "both profile and image" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct matrix_spec *s = NULL;
		struct matrix_cells c;

		assert_null(matrix_parse(bad[i].text, "mine.matrix", &s));
		_cleanup_err_ error *e = matrix_expand(s, &c);
		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		if (!strstr(e->msg, bad[i].words))
			fail_msg("'%s' lacks '%s'", e->msg, bad[i].words);
		matrix_cells_clear(&c);
		matrix_spec_free(s);
	}
}

static void too_many_are_refused(void **state)
{
	struct strlist l = { 0 };
	struct matrix_spec *s = NULL;
	struct matrix_cells c;

	(void)state;
	strlist_add(&l, "[dimensions]\nseed =");
	for (int i = 0; i < 40; i++)
		strlist_addf(&l, "%d", i);
	strlist_add(&l, "\njobs =");
	for (int i = 1; i < 41; i++)
		strlist_addf(&l, "%d", i);
	_cleanup_free_ char *text = strlist_join(&l);
	strlist_clear(&l);
	assert_null(matrix_parse(text, "mine.matrix", &s));
	_cleanup_err_ error *e = matrix_expand(s, &c);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "more than 1000"));
	matrix_cells_clear(&c);
	matrix_spec_free(s);
}

static void differences_are_told(void **state)
{
	_cleanup_free_ char *none = matrix_difference("a\nb\n", "a\nb\n"), *value = NULL, *more = NULL;

	(void)state;
	assert_null(none);
	value = matrix_difference("a\nb = 1\nc\n", "a\nb = 2\nc\n");
	assert_string_equal(value, "line 2: 'b = 1' there, 'b = 2' here");
	more = matrix_difference("a\n", "a\nb\n");
	assert_string_equal(more, "line 2: '' there, 'b' here");
}

static void shipped_ones_expand(void **state)
{
	struct strlist names;

	(void)state;
	matrix_names(&names);
	assert_true(names.count >= 6);
	for (size_t i = 0; i < names.count; i++) {
		struct matrix_spec *s = NULL;
		struct matrix_cells c;
		error *e = matrix_load(names.items[i], &s);

		if (!e)
			e = matrix_expand(s, &c);
		if (e)
			fail_msg("%s", e->msg);
		assert_string_equal(s->name, names.items[i]);
		assert_non_null(s->value[KEY_SUMMARY]);
		matrix_cells_clear(&c);
		matrix_spec_free(s);
	}
	strlist_clear(&names);
}

static void unknown_names_list_the_known(void **state)
{
	struct matrix_spec *s = NULL;
	_cleanup_err_ error *e = matrix_load("no-such", &s);

	(void)state;
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, "table1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_file),
		cmocka_unit_test(the_last_dimension_turns_fastest),
		cmocka_unit_test(rules_leave_out),
		cmocka_unit_test(configs_stand_beside),
		cmocka_unit_test(names_say_of_what_and_are_unique),
		cmocka_unit_test(bad_files_are_named),
		cmocka_unit_test(bad_combinations_are_named),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(differences_are_told),
		cmocka_unit_test(shipped_ones_expand),
		cmocka_unit_test(unknown_names_list_the_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
