/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "base/util.h"

static void widths(void **state)
{
	(void)state;
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("\u00b12 \u2013 \u00fc"), 6);
}

static void one_line(void **state)
{
	static const char *const pairs[][2] = {
		{ "plain", "plain" },
		{ "two\nlines\t\033[31mred", "two lines  [31mred" },
		{ "\u00fcber", "\u00fcber" },
		{ "b\xff\xfe"
		  "d",
		  "b??d" },
		{ "cut \xc3", "cut ?" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		_cleanup_free_ char *line = text_line(pairs[i][0]);

		assert_string_equal(line, pairs[i][1]);
		assert_true(text_is_utf8(line));
	}
	assert_false(text_is_utf8("\xff"));
}

static void markdown(void **state)
{
	_cleanup_free_ char *text = text_markdown("a|b *c* <d>\n[e]_\\");

	(void)state;
	assert_string_equal(text, "a\\|b \\*c\\* \\<d\\> \\[e\\]\\_\\\\");
}

/* What is quoted comes back from a shell as it was. */
static void shell_words(void **state)
{
	static const char *const words[] = { "plain", "",	    "a b", "it's", "$HOME `x` \"q\" \\",
					     "'''",   "--name=a b", "*" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		_cleanup_free_ char *typed = text_shell(words[i]),
				    *command = xasprintf("printf '<%%s>' %s", typed);
		char back[100] = "", want[100];
		FILE *f = popen(command, "r"); /* NOLINT(cert-env33-c): a shell is what is tested */

		assert_non_null(f);
		if (!fgets(back, sizeof(back), f))
			back[0] = '\0';
		assert_int_equal(pclose(f), 0);
		snprintf(want, sizeof(want), "<%s>", words[i]);
		assert_string_equal(back, want);
	}
	_cleanup_free_ char *plain = text_shell("--out=runs/a,b:c%5");
	assert_string_equal(plain, "--out=runs/a,b:c%5");
}

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
		cmocka_unit_test(widths),	    cmocka_unit_test(one_line),
		cmocka_unit_test(shell_words),	    cmocka_unit_test(text_from_elsewhere_is_made_fit),
		cmocka_unit_test(messages_are_fit), cmocka_unit_test(markdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
