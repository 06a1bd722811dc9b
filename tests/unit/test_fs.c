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

static void is_and_free(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void paths_from_the_root(void **state)
{
	_cleanup_free_ char *here = getcwd(NULL, 0), *below = xasprintf("%s/x/../y", here);

	(void)state;
	is_and_free(fs_path_in("/a", "b"), "/a/b");
	is_and_free(fs_path_in("/a", ".//./b/c"), "/a/b/c");
	is_and_free(fs_path_in("/a", "../b"), "/a/../b");
	is_and_free(fs_path_in("/", "b"), "/b");
	is_and_free(fs_path_in("/a", "/b"), "/b");
	is_and_free(fs_path_in("/a", ""), "");
	is_and_free(fs_absolute("./x/../y"), below);
	is_and_free(fs_absolute("/x"), "/x");
	is_and_free(fs_folder_of("/a/b"), "/a");
	is_and_free(fs_folder_of("/b"), "/");
	is_and_free(fs_folder_of("b"), here);
}

/* PATH may hold folders that are no paths from the root, and an empty one is the current. */
static void programs_from_the_root(void **state)
{
	_cleanup_free_ char *old = xstrdup(getenv("PATH")), *here = getcwd(NULL, 0);
	_cleanup_free_ char *want = NULL;
	static const char *const paths[] = { "/nix:.", "", ":/nix", "./" };

	(void)state;
	assert_int_equal(chdir("/bin"), 0);
	_cleanup_free_ char *bin = getcwd(NULL, 0);
	want = xasprintf("%s/sh", bin);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		_cleanup_free_ char *path = xasprintf("%s:", paths[i]);

		setenv("PATH", path, 1);
		_cleanup_free_ char *got = fs_find_program("sh");
		assert_non_null(got);
		assert_int_equal(*got, '/');
	}
	is_and_free(fs_find_program("./sh"), want);
	assert_null(fs_find_program("../"));
	is_and_free(fs_program("mvm-nowhere"), "mvm-nowhere");
	_cleanup_free_ char *missing = xasprintf("%s/mvm-nowhere", bin);
	is_and_free(fs_program("./mvm-nowhere"), missing);
	setenv("PATH", old, 1);
	assert_int_equal(chdir(here), 0);
}

static void state_is(const char *xdg, const char *home, const char *own, const char *path)
{
	const char *const names[] = { "XDG_STATE_HOME", "HOME", "MVMSCALE_TEST_FILE" };
	const char *const values[] = { xdg, home, own };

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(values[i] ? setenv(names[i], values[i], 1) : unsetenv(names[i]), 0);
	_cleanup_free_ char *got = fs_state_path("MVMSCALE_TEST_FILE", "x.db");
	if (path)
		assert_string_equal(got, path);
	else
		assert_null(got);
}

/* The XDG specification: relative values are ignored. */
static void state_has_one_place(void **state)
{
	(void)state;
	state_is("/s", "/h", NULL, "/s/mvmscale/x.db");
	state_is("/s//", "/h", "", "/s/mvmscale/x.db");
	state_is("rel/s", "/h/", NULL, "/h/.local/state/mvmscale/x.db");
	state_is("", "/", NULL, "/.local/state/mvmscale/x.db");
	state_is("rel", NULL, NULL, NULL);
	state_is(NULL, "rel", NULL, NULL);
	state_is(NULL, "", NULL, NULL);
	state_is("/s", "/h", "mine.db", "mine.db");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_records_are_read_whole),
		cmocka_unit_test(what_does_not_fit_ends_with_a_line),
		cmocka_unit_test(what_is_endless_is_refused),
		cmocka_unit_test(paths_from_the_root),
		cmocka_unit_test(programs_from_the_root),
		cmocka_unit_test(state_has_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
