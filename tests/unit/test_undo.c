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
#include "plan/undo.h"

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
	static const char *const kinds[] = { "file", "write", "rmdir", "rmtree", "swapoff", "pidfiles" };

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
		_cleanup_free_ char *path = xasprintf("%s/mvm-test-%d", mounts[i], (int)getpid());
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(what_never_was),
		cmocka_unit_test(settings_files),
		cmocka_unit_test(cgroup_is_emptied),
		cmocka_unit_test(pidfiles_kill_what_they_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
