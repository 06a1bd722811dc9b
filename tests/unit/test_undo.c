/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "host/swap.h"
#include "host/undo.h"

/* Undoes {kind, path}; said is the line that it gives, "" for none. */
static enum undo_result undo(const char *kind, const char *path, bool same_boot, char **said)
{
	json_t *entry = json_pack("{s:s, s:s}", "kind", kind, "path", path);
	enum undo_result got = undo_entry(entry, "/nowhere", same_boot, said);

	json_decref(entry);
	if (!*said)
		*said = xstrdup("");
	return got;
}

static void refusals(void **state)
{
	static const struct {
		const char *kind, *path, *said;
	} cases[] = {
		{ "rmdir", "/tmp", "is no cgroup" },	   { "rmtree", "/tmp", "is no folder below" },
		{ "unheard-of", "/tmp", "does not know" }, { "file", "relative", "no absolute path" },
		{ "file", "", "no absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *said = NULL;

		assert_int_equal(undo(cases[i].kind, cases[i].path, true, &said), UNDO_FAILED);
		assert_non_null(strstr(said, cases[i].said));
	}
}

static void what_never_was(void **state)
{
	static const char *const kinds[] = {
		"file", "controller", "rmdir", "rmtree", "pidfiles", "containers"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds) * 2; i++) {
		_cleanup_free_ char *said = NULL;

		assert_int_equal(undo(kinds[i / 2], "/no/such/thing", i % 2, &said), UNDO_NOTHING);
	}
}

static void settings_files(void **state)
{
	_cleanup_free_ char *dir = xstrdup("/tmp/mvm-test-undo-XXXXXX"), *value = NULL, *said = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/f", dir);
	assert_null(fs_write_atomic(path, "12345\n", 6));
	assert_null(setting_write(path, "6"));
	assert_null(setting_read(path, &value));
	assert_string_equal(value, "6");
	error *e = setting_write("/no/such/thing", "6");
	assert_int_equal(e->code, EXIT_CANNOT);
	err_free(e);
	/* a setting of another boot is not this one's */
	json_t *entry =
		json_pack("{s:s, s:s, s:s, s:s}", "kind", "file", "path", path, "old", "5", "new", "6");
	assert_int_equal(undo_entry(entry, dir, false, &said), UNDO_NOTHING);
	assert_int_equal(undo_entry(entry, dir, true, &said), UNDO_DONE);
	json_decref(entry);
	assert_non_null(strstr(said, "restored"));
	fs_remove_tree(dir);
}

/* A cgroup with one below it that holds a process; false where none can be made. */
static bool make_cgroup(const char *path, pid_t *ret_pid)
{
	_cleanup_free_ char *below = xasprintf("%s/below", path),
			    *procs = xasprintf("%s/cgroup.procs", below);

	if (mkdir(path, 0755) < 0)
		return false;
	if (mkdir(below, 0755) == 0) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			pause();
			_exit(0);
		}
		_cleanup_free_ char *text = xasprintf("%d", (int)pid);
		_cleanup_err_ error *e = fs_write_setting(procs, text);
		*ret_pid = pid;
		if (!e)
			return true;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	rmdir(below);
	rmdir(path);
	return false;
}

/* In v1 (signals) and v2 (cgroup.kill), where this process may make one. */
static void cgroup_is_emptied(void **state)
{
	static const char *const mounts[] = { "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified",
					      "/sys/fs/cgroup" };
	int tried = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		_cleanup_free_ char *path = xasprintf("%s/mvmscale-test-%d", mounts[i], (int)getpid());
		_cleanup_free_ char *top = xasprintf("%s/cgroup.procs", mounts[i]), *said = NULL;
		pid_t pid = 0;
		int status;

		if (access(top, W_OK) < 0 || !make_cgroup(path, &pid))
			continue;
		tried++;
		assert_int_equal(undo("rmdir", path, true, &said), UNDO_DONE);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	if (!tried)
		skip();
}

/* Only what the file names and whose arguments hold the word. */
static void pidfiles_kill_what_they_name(void **state)
{
	_cleanup_free_ char *dir = xstrdup("/tmp/mvm-undo-XXXXXX"), *said = NULL;
	pid_t pids[2];
	int status;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			execlp("sleep", i ? "sleep-foreign" : "sleep-wanted", "60", NULL);
			_exit(127);
		}
		_cleanup_free_ char *file = xasprintf("%s/%d.pid", dir, i);
		_cleanup_free_ char *text = xasprintf("%d\n", (int)pids[i]);
		assert_null(fs_write_atomic(file, text, strlen(text)));
	}
	json_t *entry =
		json_pack("{s:s, s:s, s:s}", "kind", "pidfiles", "path", dir, "value", "sleep-wanted");
	/* until it has begun its program */
	for (int i = 0; i < 200 && undo_entry(entry, "/nowhere", true, &said) != UNDO_DONE; i++)
		usleep(10000);
	json_decref(entry);
	assert_int_equal(waitpid(pids[0], &status, 0), pids[0]);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(waitpid(pids[1], &status, WNOHANG), 0);
	kill(pids[1], SIGKILL);
	waitpid(pids[1], &status, 0);
	assert_non_null(strstr(said, "killed 1 processes"));
	fs_remove_tree(dir);
}

/* Made anew under the same name by somebody else, or not named as ours are: left alone, with its processes.
 */
static void another_cgroup_is_left(void **state)
{
	static const char *const mounts[] = { "/sys/fs/cgroup/pids", "/sys/fs/cgroup" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		_cleanup_free_ char *path = xasprintf("%s/mvmscale-test-%d", mounts[i], (int)getpid());
		_cleanup_free_ char *odd = xasprintf("%s/mvm-test-%d", mounts[i], (int)getpid());
		_cleanup_free_ char *top = xasprintf("%s/cgroup.procs", mounts[i]), *said = NULL, *why = NULL;
		pid_t pid = 0;
		struct stat st;
		int status;

		if (access(top, W_OK) < 0 || !make_cgroup(path, &pid))
			continue;
		assert_int_equal(stat(path, &st), 0);
		json_t *entry = json_pack("{s:s, s:s, s:I, s:I}", "kind", "rmdir", "path", path, "dev",
					  (json_int_t)st.st_dev, "ino", (json_int_t)st.st_ino + 1);
		assert_int_equal(undo_entry(entry, "/nowhere", true, &said), UNDO_FOREIGN);
		assert_non_null(strstr(said, "not the one that was made"));
		assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		assert_int_equal(mkdir(odd, 0755), 0);
		assert_int_equal(undo("rmdir", odd, true, &why), UNDO_FAILED);
		assert_non_null(strstr(why, "not named as ours"));
		assert_int_equal(rmdir(odd), 0);
		json_object_set_new(entry, "ino", json_integer((json_int_t)st.st_ino));
		free(said);
		assert_int_equal(undo_entry(entry, "/nowhere", true, &said), UNDO_DONE);
		json_decref(entry);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return;
	}
	skip();
}

static enum undo_result undo_labelled(const char *path, const char *label, const struct stat *made,
				      char **said)
{
	json_t *entry = json_pack("{s:s, s:s, s:s}", "kind", "swapoff", "path", path, "value", label);

	if (made) {
		json_object_set_new(entry, "dev", json_integer((json_int_t)made->st_dev));
		json_object_set_new(entry, "ino", json_integer((json_int_t)made->st_ino));
	}
	free(*said);
	enum undo_result got = undo_entry(entry, "/nowhere", true, said);
	json_decref(entry);
	return got;
}

/* Of files only the swap file that was made is removed: known by its inode, or by its label. */
static void only_our_swap_file_is_removed(void **state)
{
	static const unsigned char uuid[16] = { 0xab, 0xcd };
	const char *label = "abcd0000000000000000000000000000", *other = "00000000000000000000000000000001";
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	_cleanup_free_ unsigned char *page = xcalloc(1, page_size);
	_cleanup_free_ char *path = xasprintf(SWAP_FILE_PREFIX "%d-7", (int)getpid()), *said = NULL;
	_cleanup_free_ char *elsewhere = xasprintf("/var/tmp/mvm-test-undo.%d", (int)getpid());
	_cleanup_free_ char *climbs = xasprintf(SWAP_FILE_PREFIX "1/../mvm-test-undo.%d", (int)getpid());
	struct stat st;

	(void)state;
	assert_null(fs_write_atomic(elsewhere, "precious", 8));
	assert_int_equal(undo_labelled(elsewhere, label, NULL, &said), UNDO_FAILED);
	assert_int_equal(undo_labelled("/dev/null", label, NULL, &said), UNDO_FAILED);
	assert_int_equal(undo_labelled(SWAP_FILE_PREFIX, label, NULL, &said), UNDO_FAILED);
	assert_int_equal(undo_labelled(climbs, label, NULL, &said), UNDO_FAILED);
	assert_non_null(strstr(said, "not named as"));

	/* a link, a second name, and another file under our name */
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_int_equal(undo_labelled(path, label, NULL, &said), UNDO_FOREIGN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link(elsewhere, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(undo_labelled(path, label, &st, &said), UNDO_FOREIGN);
	assert_int_equal(unlink(path), 0);
	assert_null(fs_write_atomic(path, "precious", 8));
	assert_int_equal(undo_labelled(path, label, &st, &said), UNDO_FOREIGN);
	assert_int_equal(undo_labelled(path, label, NULL, &said), UNDO_FOREIGN);
	assert_non_null(strstr(said, "not the swap that was made"));

	/* by its label, by its inode, and an empty one of a run that was killed right then */
	swap_header(page, (uint32_t)page_size, 1 << 20, uuid);
	assert_null(fs_write_atomic(path, page, page_size));
	assert_int_equal(undo_labelled(path, other, NULL, &said), UNDO_FOREIGN);
	assert_int_equal(undo_labelled(path, "", NULL, &said), UNDO_FOREIGN);
	assert_int_equal(undo_labelled(path, label, NULL, &said), UNDO_DONE);
	assert_int_equal(access(path, F_OK), -1);
	assert_null(fs_write_atomic(path, "half", 4));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(undo_labelled(path, label, &st, &said), UNDO_DONE);
	assert_null(fs_write_atomic(path, "", 0));
	assert_int_equal(undo_labelled(path, label, NULL, &said), UNDO_DONE);
	assert_int_equal(undo_labelled(path, label, NULL, &said), UNDO_NOTHING);
	assert_int_equal(unlink(elsewhere), 0);
}

/* What a damaged journal could name is refused, and nothing there is touched. */
static void names_that_are_not_ours(void **state)
{
	static const struct {
		const char *kind, *path, *value, *said;
	} cases[] = {
		{ "zram", "/dev/sda", "x", "no zram device" },
		{ "zram", "/dev/zram", "x", "no zram device" },
		{ "zram", "/dev/zram0/../sda", "x", "no zram device" },
		{ "emptydir", "/tmp", "x", "no folder below /run/libvirt" },
		{ "emptydir", "/run/libvirtual", "x", "no folder below /run/libvirt" },
		{ "emptydir", "/run/libvirt/../lock", "x", "no folder below /run/libvirt" },
		{ "emptydir", "/run/libvirt", "../../etc/passwd", "no folder below /run/libvirt" },
		{ "containers", "/tmp", "/bin/true", "no folder below" },
		{ "write", "/proc/self/comm", "x", "does not know" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *said = NULL;
		json_t *entry = json_pack("{s:s, s:s, s:s}", "kind", cases[i].kind, "path", cases[i].path,
					  "value", cases[i].value);

		assert_int_equal(undo_entry(entry, "/nowhere", true, &said), UNDO_FAILED);
		assert_non_null(strstr(said, cases[i].said));
		json_decref(entry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(what_never_was),
		cmocka_unit_test(settings_files),
		cmocka_unit_test(cgroup_is_emptied),
		cmocka_unit_test(another_cgroup_is_left),
		cmocka_unit_test(pidfiles_kill_what_they_name),
		cmocka_unit_test(only_our_swap_file_is_removed),
		cmocka_unit_test(names_that_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
