/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables: what each format makes of the same rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/table.h"
#include "base/util.h"

static void escaped(const char *text, enum table_format f, const char *want)
{
	_cleanup_free_ char *got = table_escape(text, f);

	assert_string_equal(got, want);
}

static void every_format_escapes(void **state)
{
	(void)state;
	escaped("a_b & 50% $x #1 {y} ~ ^ \\ | 3 ±0.5", TABLE_LATEX,
		"a\\_b \\& 50\\% \\$x \\#1 \\{y\\} \\textasciitilde{} \\textasciicircum{} \\textbackslash{} \\textbar{} 3 $\\pm$ 0.5");
	escaped("a<b>\"c\"", TABLE_LATEX, "a\\textless{}b\\textgreater{}\"c\"");
	escaped("a|b *c* _d_ `e` [f] \\", TABLE_MARKDOWN, "a\\|b \\*c\\* \\_d\\_ \\`e\\` \\[f\\] \\\\");
	escaped("+ksm,-noaslr \"x\"\ny", TABLE_CSV, "\"+ksm,-noaslr \"\"x\"\"\ny\"");
	escaped("plain", TABLE_CSV, "plain");
	escaped("a\nb\tc", TABLE_TEXT, "a b c");
}

static const struct table_column columns[] = {
	{ .name = "name", .heading = "name" },
	{ .name = "none", .heading = "none", .number = true, .digits = 1 },
	{ .name = "kb", .heading = "RAM kB", .align = TABLE_RIGHT, .number = true, .digits = 1 },
	{ .name = "n", .heading = "n", .align = TABLE_CENTRE, .number = true, .digits = -1, .width = 3 },
	{ .name = "state", .heading = "state", .strong = true },
};

static struct table made(void)
{
	struct table t = table_new(columns, ARRAY_LEN(columns));

	table_row(&t, (char *[]){ xstrdup("é|b"), NULL, NULL, NULL, xstrdup("done") });
	table_set_number(&t, 2, 12.34);
	table_set_number(&t, 3, 1e6 / 3);
	table_add(&t);
	table_set_text(&t, 0, xstrdup("longer, \"x\""));
	table_set_number(&t, 2, (double)NAN);
	return t;
}

static void writes(struct table *t, enum table_format f, const char *want)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	table_write(t, f, out);
	fclose(out);
	assert_string_equal(text, want);
}

static void each_format(void **state)
{
	struct table t = made();
	json_auto_t *rows = table_json(&t);
	const json_t *first = json_array_get(rows, 0), *second = json_array_get(rows, 1);

	(void)state;
	writes(&t, TABLE_CSV, "name,none,kb,n,state\né|b,,12.3,333333.33,done\n\"longer, \"\"x\"\"\",,,,\n");
	assert_true(fabs(json_real_value(json_object_get(first, "kb")) - 12.3) < 1e-9);
	assert_true(json_is_null(json_object_get(first, "none")));
	assert_string_equal(json_string_value(json_object_get(second, "name")), "longer, \"x\"");
	table_drop_empty(&t);
	writes(&t, TABLE_TEXT,
	       "name         RAM kB          n  state\n"
	       "é|b            12.3  333333.33  done\n"
	       "longer, \"x\"       -          -  -\n");
	writes(&t, TABLE_MARKDOWN,
	       "| name | RAM kB | n | state |\n| --- | ---: | :---: | --- |\n"
	       "| é\\|b | 12.3 | 333333.33 | **done** |\n| longer, \"x\" | - | - | **-** |\n");
	writes(&t, TABLE_LATEX,
	       "\\begin{tabular}{lrcl}\n\\hline\nname & RAM kB & n & state \\\\\n\\hline\n"
	       "é\\textbar{}b & 12.3 & 333333.33 & done \\\\\nlonger, \"x\" & - & - & - \\\\\n"
	       "\\hline\n\\end{tabular}\n");
	table_clear(&t);
}

static void without_headings_there_is_no_line_of_them(void **state)
{
	static const struct table_column plain[] = { { .name = "a", .width = 4 }, { .name = "b" } };
	struct table t = table_new(plain, 2);

	(void)state;
	writes(&t, TABLE_TEXT, "");
	table_row(&t, (char *[]){ xstrdup("x"), xstrdup("y") });
	writes(&t, TABLE_TEXT, "x     y\n");
	table_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_escapes),
		cmocka_unit_test(each_format),
		cmocka_unit_test(without_headings_there_is_no_line_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
