/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes out of an outer machine, and files about its kernel: archives, consoles, modules. An input that
 * begins with "0707" is an archive too.
 */
#include <string.h>

#include "driver.h"
#include "nested/console.h"
#include "nested/cpio.h"
#include "nested/modules.h"

static void modules(const char *text, size_t len)
{
	struct strlist order = { 0 }, needs = { 0 };

	if (modules_order(text, "zram", &order))
		fuzz_must(order.count > 0, "a module that was found is not in the order");
	for (size_t i = 0; i < order.count; i++)
		for (size_t k = 0; k < i && order.count < 50; k++)
			fuzz_must(!str_eq(order.items[i], order.items[k]), "'%s' would be loaded twice",
				  order.items[i]);
	modules_depends(text, len, &needs);
	for (size_t i = 0; i < needs.count; i++)
		fuzz_must(*needs.items[i] && !strchr(needs.items[i], ','), "it needs '%s'", needs.items[i]);
	modules_same(text, len, "zram", 4);
	strlist_clear(&order);
	strlist_clear(&needs);
}

static void consoles(const char *text)
{
	_cleanup_free_ char *cause = console_cause(text), *tail = console_tail(text);

	fuzz_must(!strpbrk(tail, "\x1b\r\x7f\x01"), "a terminal would hide something");
	fuzz_must(strlen(tail) <= strlen(text), "the tail is longer than the whole");
	(void)cause;
}

static void archives(const char *data, size_t len)
{
	size_t n = cpio_whole(data, len), names = 0;

	fuzz_must(n <= len, "an archive of %zu bytes in %zu", n, len);
	fuzz_must(!n || cpio_whole(data, n) == n, "the archive is not whole by itself");
	/* into a folder that cannot be: nothing may be written, whatever the names are */
	error *e = cpio_unpack(data, len, "x.cpio", "/proc/self/none");
	if (e)
		names = strlen(e->msg);
	fuzz_must(!e || names, "an error without words");
	err_free(e);
}

static void run(const char *text, size_t len)
{
	if (len >= 4 && memcmp(text, "0707", 4) == 0)
		archives(text, len);
	modules(text, len);
	consoles(text);
}

static const char *const words[] = { "070701",
				     "00000000",
				     "000081a4",
				     "TRAILER!!!",
				     ".ko",
				     ".ko.xz",
				     ": ",
				     "zram",
				     "-",
				     "../",
				     "Kernel panic - not syncing: ",
				     "depends=",
				     "Out of memory",
				     NULL };
static const struct fuzz_shape shapes[] = {
	{ "kernel/zram.ko:", " a.ko", "\n" },
	{ "", "kernel/zram.ko: b.ko c.ko\n", "" },
	{ "", "a", "" },
	{ "", "\n", "" },
	{ "", "Kernel panic\n", "" },
	{ "kernel/zram.ko:", " ", "\n" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "kernel", .run = run, .words = words, .shapes = shapes, .binary = true
};
