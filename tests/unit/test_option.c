/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/option.h"

enum colour { RED, GREEN, BLUE };

struct config {
	bool flag;
	unsigned whole;
	double real;
	const char *text;
	enum colour colour;
	struct strlist list;
};

#define AT(field) offsetof(struct config, field)

static const struct option_row flag = { "flag", .kind = OPT_FLAG, .offset = AT(flag) };
static const struct option_row whole = { "whole",  .kind = OPT_WHOLE, .offset = AT(whole),
					 .min = 1, .max = 10,	      .words = "auto" };
static const struct option_row real = { "real",	    .kind = OPT_REAL, .offset = AT(real),
					.min = 0.5, .max = 2,	      .words = "auto" };
static const struct option_row text = { "text", .kind = OPT_TEXT, .offset = AT(text) };
static const struct option_row word = { "word", .kind = OPT_WORD, .offset = AT(text), .words = "one two" };
static const struct option_row colour = { "colour", .kind = OPT_CHOICE, .offset = AT(colour),
					  .words = "red green blue" };
static const struct option_row blue = { "blue", .kind = OPT_CHOICE, .offset = AT(colour),
					.words = "red green blue", .bare = "blue" };
static const struct option_row list = { "list", .kind = OPT_LIST, .offset = AT(list) };

static void refuses(const struct option_row *o, const char *arg, const char *message)
{
	struct config c = { 0 };
	_cleanup_err_ error *e = option_take(o, arg, &c);

	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_string_equal(e->msg, message);
}

static void values_are_kept(void **state)
{
	struct config c = { 0 };

	(void)state;
	assert_null(option_take(&flag, NULL, &c));
	assert_true(c.flag);
	assert_null(option_take(&whole, "7", &c));
	assert_int_equal(c.whole, 7);
	assert_null(option_take(&whole, "auto", &c));
	assert_int_equal(c.whole, 0);
	assert_null(option_take(&real, "auto", &c));
	assert_true(c.real < 0);
	assert_null(option_take(&word, "two", &c));
	assert_string_equal(c.text, "two");
	assert_null(option_take(&colour, "green", &c));
	assert_int_equal(c.colour, GREEN);
	assert_null(option_take(&blue, NULL, &c));
	assert_int_equal(c.colour, BLUE);
	assert_null(option_take(&list, "a", &c));
	assert_null(option_take(&list, "b c", &c));
	assert_int_equal(c.list.count, 2);
	assert_string_equal(c.list.items[1], "b c");
	strlist_clear(&c.list);
}

static void others_are_refused(void **state)
{
	(void)state;
	refuses(&whole, "11", "--whole '11': needs a whole number from 1 to 10");
	refuses(&whole, "au", "--whole 'au': needs a whole number from 1 to 10");
	refuses(&real, "0", "--real '0': needs a number from 0.5 to 2");
	refuses(&text, "", "--text '': needs a value");
	refuses(&word, "three", "--word three: must be one or two");
	refuses(&colour, "re", "--colour re: must be red, green or blue");
	refuses(&colour, "", "--colour : must be red, green or blue");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_kept),
		cmocka_unit_test(others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
