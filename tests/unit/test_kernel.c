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
#include "kernel/cpio.h"
#include "kernel/outer.h"
#include "kernel/pack.h"

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

/* What is needed comes before what needs it, once; '-' and '_' are the same. */
static void modules_in_order(void **state)
{
	struct strlist l = { 0 };

	(void)state;
	outer_module_order("kernel/x86/kvm-intel.ko: kernel/x86/kvm.ko kernel/lib/irqbypass.ko\n"
			   "kernel/x86/kvm.ko: kernel/lib/irqbypass.ko\n"
			   "kernel/lib/irqbypass.ko:\nkernel/x86/kvm-amd.ko: kernel/x86/kvm.ko "
			   "kernel/lib/irqbypass.ko\n",
			   "kvm_intel,kvm-amd,none", &l);
	_cleanup_free_ char *order = strlist_join(&l);
	assert_string_equal(
		order,
		"kernel/lib/irqbypass.ko kernel/x86/kvm.ko kernel/x86/kvm-intel.ko kernel/x86/kvm-amd.ko");
	strlist_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_out_again),   cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(names_stay_inside), cmocka_unit_test(libraries_of_a_listing),
		cmocka_unit_test(modules_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
