/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/util.h"

static struct ini_file *parsed(const char *text)
{
	struct ini_file *f = NULL;
	_cleanup_err_ error *e = ini_parse_text(text, "some.ini", &f);

	if (e)
		fail_msg("%s", e->msg);
	return f;
}

static void says(error *given, const char *words)
{
	_cleanup_err_ error *e = given;

	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, words))
		fail_msg("'%s' lacks '%s'", e->msg, words);
}

static void reads_entries(void **state)
{
	(void)state;
	_cleanup_(ini_freep) struct ini_file *f = parsed(
		"# a comment\n[one]\nkey = first\nkey = a value with blanks\nn=5\n\n[two]\nkey=other\n");

	assert_string_equal(ini_get(f, "one", "key"), "a value with blanks");
	assert_string_equal(ini_get(f, "two", "key"), "other");
	assert_null(ini_get(f, "two", "n"));
	assert_null(ini_get(f, "three", "key"));
	assert_int_equal(f->entries[0].line, 3);
	assert_int_equal(f->entries[3].line, 8);
}

static void numbers(void **state)
{
	long v = 0;

	(void)state;
	_cleanup_(ini_freep) struct ini_file *f = parsed("[s]\na = 12\nb = 12x\nc = -1\nd =\n");
	assert_null(ini_get_long(f, "s", "a", 0, 100, 7, &v));
	assert_int_equal(v, 12);
	assert_null(ini_get_long(f, "s", "absent", 0, 100, 7, &v));
	assert_int_equal(v, 7);
	says(ini_get_long(f, "s", "b", 0, 100, 7, &v), "some.ini:3: b = 12x");
	says(ini_get_long(f, "s", "c", 0, 100, 7, &v), "from 0 to 100");
	says(ini_get_long(f, "s", "d", 0, 100, 7, &v), "some.ini:5");
	says(ini_get_long(f, "s", "a", 0, 11, 7, &v), "from 0 to 11");
}

static void damage_is_named(void **state)
{
	struct ini_file *f = NULL;

	(void)state;
	says(ini_parse_text("[s]\nno equals sign\n", "some.ini", &f), "some.ini: line 2");
	says(ini_parse_text("[s\n", "some.ini", &f), "line 1");
	says(ini_load("/nonexistent/x.ini", &f), "/nonexistent/x.ini");
	assert_null(f);
}

static void values_go_on_in_indented_lines(void **state)
{
	struct ini_file *f = NULL;

	(void)state;
	assert_null(ini_parse_text("[s]\na = one\n  two\n\tthree\nb = x\n", "some.ini", &f));
	assert_string_equal(ini_get(f, "s", "a"), "one two three");
	assert_string_equal(ini_get(f, "s", "b"), "x");
	ini_free(f);
}

static void lines_that_are_too_long_are_named(void **state)
{
	char text[600] = "[s]\na = ";
	struct ini_file *f = NULL;

	(void)state;
	memset(text + 8, 'x', 500);
	memcpy(text + 508, "\nb = 1\n", 8);
	says(ini_parse_text(text, "some.ini", &f), "line 2 is longer than");
	assert_null(f);
}

static void nul_bytes_are_no_text(void **state)
{
	char path[] = "/tmp/mvm-ini-XXXXXX";
	int fd = mkstemp(path);
	struct ini_file *f = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[s]\0a=1\n", 8), 8);
	close(fd);
	error *e = ini_load(path, &f);
	unlink(path);
	says(e, "NUL");
}

static void only_known_keys(void **state)
{
	static const char *const all[] = { "s.a", "free.*", NULL }, *const some[] = { "s.b", "free.*", NULL };

	(void)state;
	_cleanup_(ini_freep) struct ini_file *f = parsed("[s]\na = 1\n[free]\nx = 1\ny = 2\n");
	assert_null(ini_only(f, all));
	says(ini_only(f, some), "some.ini:2: unknown key 'a' in section [s]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_entries),
		cmocka_unit_test(numbers),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(only_known_keys),
		cmocka_unit_test(nul_bytes_are_no_text),
		cmocka_unit_test(values_go_on_in_indented_lines),
		cmocka_unit_test(lines_that_are_too_long_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
