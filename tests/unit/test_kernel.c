/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives for another kernel: what is packed comes out again; damage and tricks are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/util.h"
#include "nested/console.h"
#include "nested/cpio.h"
#include "nested/modules.h"
#include "nested/needs.h"
#include "nested/pack.h"

static char *scratch(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = xasprintf("%s/mvm-cpio-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);

	assert_non_null(mkdtemp(dir));
	return dir;
}

/* An archive of one folder and two files; the caller frees it. */
static char *archive(size_t *ret_len, const char *name)
{
	char *text = NULL;
	struct cpio c = { .out = open_memstream(&text, ret_len) };

	cpio_folder(&c, "a");
	cpio_data(&c, name, 0644, "x\0y", 3);
	cpio_data(&c, "a/empty", 0644, NULL, 0);
	cpio_end(&c);
	fclose(c.out);
	return text;
}

static void comes_out_again(void **state)
{
	_cleanup_free_ char *dir = scratch(), *file = xasprintf("%s/a/b", dir), *data = NULL;
	size_t len, got = 0;
	_cleanup_free_ char *text = archive(&len, "a/b");

	(void)state;
	assert_int_equal(len % 4, 0);
	/* the kernel's parser wants this magic, and 8 hexadecimal digits a field */
	assert_memory_equal(text, "07070100000001000041ed", 22);
	assert_null(cpio_unpack(text, len, "it", dir));
	assert_null(fs_read(file, &data, &got));
	assert_int_equal(got, 3);
	assert_memory_equal(data, "x\0y", 3);
	fs_remove_tree(dir);
}

static void refused(const char *text, size_t len, const char *words)
{
	_cleanup_free_ char *dir = scratch();
	_cleanup_err_ error *e = cpio_unpack(text, len, "it", dir);

	if (!e || e->code != EXIT_BAD_INPUT || !strstr(e->msg, words))
		fail_msg("'%s' lacks '%s'", e ? e->msg : "no error", words);
	fs_remove_tree(dir);
}

static void damage_is_refused(void **state)
{
	size_t len;
	_cleanup_free_ char *text = archive(&len, "a/b");

	(void)state;
	for (size_t n = 0; n < len - 4; n++) {
		/* cut anywhere: never read beyond the end, never taken for whole */
		_cleanup_free_ char *cut = xcalloc(n + 1, 1);
		_cleanup_free_ char *dir = scratch();

		memcpy(cut, text, n);
		error *e = cpio_unpack(cut, n, "it", dir);
		assert_non_null(e);
		err_free(e);
		fs_remove_tree(dir);
	}
	_cleanup_free_ char *huge = xcalloc(len, 1);
	memcpy(huge, text, len);
	memset(huge + 6 + (size_t)8 * 11, 'f', 8); /* the length of a name */
	refused(huge, len, "cut");
	huge[5] = '2'; /* another format of cpio */
	refused(huge, len, "byte 0");
}

static void names_stay_inside(void **state)
{
	static const char *const bad[] = { "../x", "/etc/x", "a/../../x", "a/..", ".." };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t len;
		_cleanup_free_ char *text = archive(&len, bad[i]);

		refused(text, len, "leads out");
	}
}

static void libraries_of_a_listing(void **state)
{
	struct strlist l = { 0 };

	(void)state;
	pack_libraries("\tlinux-vdso.so.1 (0x00007ffd)\n"
		       "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f12)\n"
		       "\t./libmine.so => /opt/a b/libmine.so (0x00007f13)\n"
		       "\t/lib64/ld-linux-x86-64.so.2 (0x00007f14)\n",
		       &l);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.items[0], "/lib/x86_64-linux-gnu/libm.so.6");
	assert_string_equal(l.items[1], "/opt/a b/libmine.so");
	assert_string_equal(l.items[2], "/lib64/ld-linux-x86-64.so.2");
	strlist_clear(&l);
}

/* What is needed comes before what needs it, once; '-' and '_' are the same, and so is how it is compressed.
 */
static void modules_in_order(void **state)
{
	static const char dep[] = "kernel/x86/kvm-intel.ko: kernel/x86/kvm.ko kernel/lib/irqbypass.ko\n"
				  "kernel/x86/kvm.ko: kernel/lib/irqbypass.ko\n"
				  "kernel/lib/irqbypass.ko:\n"
				  "kernel/x86/kvm-amd.ko.xz: kernel/x86/kvm.ko kernel/lib/irqbypass.ko\n";
	struct strlist l = { 0 };

	(void)state;
	assert_true(modules_order(dep, "kvm_intel", &l));
	assert_true(modules_order(dep, "kvm-amd", &l));
	assert_false(modules_order(dep, "kvm-am", &l));
	assert_false(modules_order(dep, "none", &l));
	_cleanup_free_ char *order = strlist_join(&l);
	assert_string_equal(
		order,
		"kernel/lib/irqbypass.ko kernel/x86/kvm.ko kernel/x86/kvm-intel.ko kernel/x86/kvm-amd.ko.xz");
	strlist_clear(&l);
}

static void needs_of_a_module(void **state)
{
	static const char info[] = "ELF\0license=GPL\0depends=kvm,irqbypass\0retpoline=Y";
	struct strlist l = { 0 };

	(void)state;
	modules_depends(info, sizeof(info), &l);
	_cleanup_free_ char *names = strlist_join(&l);
	assert_string_equal(names, "kvm irqbypass");
	strlist_clear(&l);
	modules_depends("\0depends=\0x", 12, &l); /* none */
	modules_depends("depends=a", 9, &l);	  /* not the start of a string */
	modules_depends("", 0, &l);
	assert_int_equal(l.count, 0);
	modules_depends("\0depends=a", 10, &l); /* cut: no byte beyond it is read */
	assert_int_equal(l.count, 1);
	strlist_clear(&l);
}

static void put(const char *dir, const char *name, const char *text, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	assert_null(fs_write_atomic(path, text, len));
}

/* A folder that depmod has not seen: the modules themselves say what they need. */
static void order_without_modules_dep(void **state)
{
	_cleanup_free_ char *dir = scratch();
	_cleanup_(modules_clear) struct modules m = { 0 };
	bool found;

	(void)state;
	_cleanup_err_ error *empty = modules_open(dir, &m);
	assert_non_null(empty);
	modules_clear(&m);
	put(dir, "a-x.ko", "\0depends=c,b_y,built", 21);
	put(dir, "b-y.ko", "\0depends=c", 11);
	put(dir, "c.ko", "\0depends=", 10);
	put(dir, "d.ko", "\0depends=gone", 14);
	put(dir, "modules.builtin", "kernel/lib/built.ko\n", 20);
	assert_null(modules_open(dir, &m));
	assert_null(modules_add(&m, "a_x", &found));
	assert_true(found);
	assert_null(modules_add(&m, "b_y", &found));
	assert_null(modules_add(&m, "built", &found));
	assert_true(found);
	assert_null(modules_add(&m, "nix", &found));
	assert_false(found);
	_cleanup_free_ char *order = strlist_join(&m.order);
	assert_string_equal(order, "c.ko b-y.ko a-x.ko");
	_cleanup_err_ error *e = modules_add(&m, "d", &found);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "d needs gone"));
	fs_remove_tree(dir);
}

static void archives_follow_each_other(void **state)
{
	size_t len, more;
	_cleanup_free_ char *a = archive(&len, "a/b"), *b = archive(&more, "a/c");
	_cleanup_free_ char *both = xcalloc(len + more, 1);

	(void)state;
	memcpy(both, a, len);
	memcpy(both + len, b, more);
	assert_int_equal(cpio_whole(both, len + more), len);
	assert_int_equal(cpio_whole(both + len, more), more);
	assert_int_equal(cpio_whole(both + len, more - 5), 0);
	assert_int_equal(cpio_whole("x", 1), 0);
	assert_int_equal(cpio_whole(NULL, 0), 0);
}

static void causes_are_named(void **state)
{
	static const struct {
		const char *console, *words;
	} cases[] = {
		{ "[1.0] Kernel panic - not syncing: VFS: Unable to mount root fs on block(0,0)\r\n[1.1] CPU: 0",
		  "BLK_DEV_INITRD" },
		{ "Out of memory: Killed process 80 (mvmscale)\r\n", "raise --memory" },
		{ "Kernel panic - not syncing: Fatal exception\r\nKernel Offset: disabled",
		  "panicked: Fatal exception" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *cause = console_cause(cases[i].console);

		if (!cause || !strstr(cause, cases[i].words))
			fail_msg("'%s' lacks '%s'", cause ? cause : "nothing", cases[i].words);
	}
	assert_null(console_cause("[0.5] all is well\n"));
	assert_null(console_cause(""));
}

static void tail_of_a_console(void **state)
{
	_cleanup_free_ char *text = xstrdup("first\r\n");

	(void)state;
	for (int i = 0; i < 20; i++) {
		char *longer = xasprintf("%sline %d\x1b[m\r\n", text, i);
		free(text);
		text = longer;
	}
	_cleanup_free_ char *tail = console_tail(text), *none = console_tail("");
	assert_true(str_starts(tail, "line 8[m\n"));
	assert_null(strchr(tail, '\r'));
	assert_non_null(strstr(tail, "line 19"));
	assert_string_equal(none, "");
}

static void options_of_a_configuration(void **state)
{
	static const char config[] = "CONFIG_KVM=m\nCONFIG_KVM_INTEL=y\n# CONFIG_ZRAM is not set\n";

	(void)state;
	assert_int_equal(needs_config(config, "CONFIG_KVM"), 'm');
	assert_int_equal(needs_config(config, "CONFIG_KVM_INTEL"), 'y');
	assert_int_equal(needs_config(config, "CONFIG_ZRAM"), 'n');
	assert_int_equal(needs_config(NULL, "CONFIG_ZRAM"), '?');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_out_again),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(names_stay_inside),
		cmocka_unit_test(libraries_of_a_listing),
		cmocka_unit_test(modules_in_order),
		cmocka_unit_test(needs_of_a_module),
		cmocka_unit_test(order_without_modules_dep),
		cmocka_unit_test(archives_follow_each_other),
		cmocka_unit_test(causes_are_named),
		cmocka_unit_test(tail_of_a_console),
		cmocka_unit_test(options_of_a_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
