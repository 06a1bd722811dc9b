/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "base/util.h"

/* The kernel hands out such a file a page at a time: of many disks or interfaces, one read sees the first
 * few. */
static void many_records_are_read_whole(void **state)
{
	_cleanup_close_ int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	static char text[1 << 20], once[1 << 20];
	void *maps[200];
	int prot = PROT_READ;

	(void)state;
	/* neighbours of unlike protection stay mappings of their own */
	for (size_t i = 0; i < ARRAY_LEN(maps); i++, prot ^= PROT_WRITE)
		maps[i] = mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t first = pread(fd, once, sizeof(once) - 1, 0);
	size_t len = fs_pread_text(fd, text, sizeof(text));
	size_t lines = 0;
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		munmap(maps[i], 4096);
	assert_true(first > 0 && len > (size_t)first);
	assert_int_equal(strlen(text), len);
	assert_true(lines >= ARRAY_LEN(maps));
	assert_non_null(strstr(text, "[stack]"));
}

static void what_does_not_fit_ends_with_a_line(void **state)
{
	_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
	char text[16];

	(void)state;
	assert_int_equal(write(fd, "12345\n67890\n123456789\n", 22), 22);
	assert_int_equal(fs_pread_text(fd, text, sizeof(text)), 12);
	assert_string_equal(text, "12345\n67890\n");
	/* one that fits may end without */
	assert_int_equal(ftruncate(fd, 8), 0);
	assert_int_equal(fs_pread_text(fd, text, sizeof(text)), 8);
	assert_string_equal(text, "12345\n67");
	assert_int_equal(fs_pread_text(-1, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

static void what_is_endless_is_refused(void **state)
{
	_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd), *text = NULL;

	(void)state;
	assert_int_equal(ftruncate(fd, 2L << 30), 0);
	error *e = fs_read(path, &text, NULL);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, "longer than 1024 MiB"));
	err_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_records_are_read_whole),
		cmocka_unit_test(what_does_not_fit_ends_with_a_line),
		cmocka_unit_test(what_is_endless_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
