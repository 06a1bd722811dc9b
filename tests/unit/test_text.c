/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/util.h"

static void assert_clean(const char *dirty, const char *clean)
{
	_cleanup_free_ char *s = xstrdup(dirty);

	text_clean(s);
	assert_string_equal(s, clean);
	assert_true(text_is_utf8(s));
}

static void text_from_elsewhere_is_made_fit(void **state)
{
	(void)state;
	assert_clean("", "");
	assert_clean("two\nlines\tand a tab", "two\nlines\tand a tab");
	assert_clean("caf\xc3\xa9", "caf\xc3\xa9");
	assert_clean("caf\xe9", "caf?");
	assert_clean("\xc3\xa9 and \xff", "?? and ?");
	assert_clean("\033[31mred\x7f\r", "?[31mred??");
	assert_false(text_is_utf8("\xc3"));
}

static void messages_are_fit(void **state)
{
	(void)state;
	error *e = err_wrap(err_new(EXIT_CANNOT, "it said %s", "\033\xff"), "QEMU");

	assert_string_equal(e->msg, "QEMU: it said ??");
	err_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_from_elsewhere_is_made_fit),
		cmocka_unit_test(messages_are_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
