/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "host/journal.h"
#include "host/settings.h"

/* Killed between writing a journal and giving it its name: it was not in force yet. */
static void half_written_journal_is_removed(void **state)
{
	char dir[] = "/tmp/mvm-test-journal-XXXXXX";
	struct strlist said = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *folder = xasprintf("%s/state", dir);
	_cleanup_free_ char *half = xasprintf("%s/restore-1.json.tmp", folder);
	_cleanup_free_ char *other = xasprintf("%s/restore-1.json.tmp.mine", folder);
	setenv("MVMSCALE_STATE", folder, 1);
	setenv("MVMSCALE_HOST_STATE", folder, 1);
	assert_null(journal_make_folder(folder));
	assert_null(fs_write_atomic(half, "{\"format\": 1, \"ent", 18));
	assert_null(fs_write_atomic(other, "x", 1));
	assert_null(settings_recover(&said));
	assert_int_equal(said.count, 0);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	fs_remove_tree(dir);
}

/* A state folder of its own for each of the following. */
static char top[64], *folder;

static int make_folder(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/mvm-test-journal-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	folder = xasprintf("%s/state", top);
	setenv("MVMSCALE_STATE", folder, 1);
	setenv("MVMSCALE_HOST_STATE", folder, 1);
	return 0;
}

static int drop_folder(void **state)
{
	(void)state;
	unsetenv("MVMSCALE_LOCK_WAIT");
	fs_remove_tree(top);
	free(folder);
	return 0;
}

/* A sound journal of a dead process that would have a file of ours emptied. */
static const char sound[] =
	"{\"format\": 1, \"owner\": \"process\", \"pid\": 4194305, \"start\": 1, \"boot_id\": \"\", \"pid_ns\": \"\", \"entries\": [{\"kind\": \"rmtree\", \"path\": \"%s/run-1\"}]}";

/* Whether it was obeyed; what is said about it goes to *said. */
static bool obeyed(struct strlist *said)
{
	_cleanup_free_ char *victim = xasprintf("%s/run-1", folder);

	strlist_clear(said);
	assert_null(fs_mkdirs(victim));
	assert_null(settings_recover(said));
	return access(victim, F_OK) < 0;
}

static void assert_says(const struct strlist *said, const char *what)
{
	assert_int_equal(said->count, 1);
	assert_non_null(strstr(said->items[0], what));
	assert_non_null(strstr(said->items[0], "left alone"));
}

static void only_our_own_journal_is_obeyed(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/restore-1.json", folder),
			    *other = xasprintf("%s/other", folder);
	_cleanup_free_ char *text = xasprintf(sound, folder);
	struct strlist said = { 0 };

	(void)state;
	assert_null(journal_make_folder(folder));
	assert_null(fs_write_atomic(path, text, strlen(text)));
	assert_true(obeyed(&said));
	assert_int_equal(access(path, F_OK), -1);

	assert_null(fs_write_atomic(path, text, strlen(text)));
	assert_int_equal(chmod(path, 0666), 0);
	assert_false(obeyed(&said));
	assert_says(&said, "can be written by others");
	assert_int_equal(chmod(path, 0600), 0);

	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_false(obeyed(&said));
	assert_says(&said, "is a link");
	assert_int_equal(unlink(path), 0);

	assert_int_equal(link(other, path), 0);
	assert_false(obeyed(&said));
	assert_says(&said, "no plain file with one name");
	assert_int_equal(unlink(path), 0);

	/* nobody ever writes into it: not waited for */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(obeyed(&said));
	assert_says(&said, "no plain file");
	assert_int_equal(unlink(path), 0);

	if (geteuid() == 0) {
		assert_int_equal(rename(other, path), 0);
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_false(obeyed(&said));
		assert_says(&said, "belongs to another user");
	}
	strlist_clear(&said);
}

static void damaged_journals_are_left(void **state)
{
	static const char *const bad[] = { "",
					   "[]",
					   "{}",
					   "{\"format\": 1, \"entr",
					   "{\"format\": 1, \"entries\": [7]}",
					   "{\"format\": 1, \"entries\": [{\"kind\": \"rmtree\"}]}",
					   "{\"format\": 2, \"entries\": []}",
					   "{\"format\": 1, \"format\": 1, \"entries\": []}" };
	_cleanup_free_ char *path = xasprintf("%s/restore-1.json", folder);
	_cleanup_free_ char *own = xasprintf("%s/restore-%d.json", folder, (int)getpid());
	struct strlist said = { 0 };
	struct settings *s = NULL;

	(void)state;
	assert_null(journal_make_folder(folder));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(fs_write_atomic(path, bad[i], strlen(bad[i])));
		assert_null(settings_recover(&said));
		assert_says(&said, "is damaged");
		assert_int_equal(access(path, F_OK), 0);
		strlist_clear(&said);
	}
	/* under our own name it is not overwritten, for what it said would be lost */
	assert_null(settings_open(&s));
	assert_null(fs_write_atomic(own, bad[3], strlen(bad[3])));
	error *e = settings_note_tree(s, folder);
	err_free(e);
	_cleanup_free_ char *below = xasprintf("%s/run", folder);
	e = settings_note_tree(s, below);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "is damaged"));
	err_free(e);
	settings_close(s);
}

/* Whatever the umask: a folder that others may write would be refused the next time. So is the folder above
   that of the host's settings, which is a state folder itself. */
static void folder_is_private_under_any_umask(void **state)
{
	static const mode_t masks[] = { 0, 077, 022 };
	_cleanup_free_ char *above = xasprintf("%s/a", top), *host = xasprintf("%s/host", above);
	_cleanup_free_ char *file = xasprintf("%s/restore-1.json", host);
	struct stat st;

	(void)state;
	unsetenv("MVMSCALE_HOST_STATE");
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		mode_t before = umask(masks[i]);
		error *e = journal_make_host_folder(host);
		json_auto_t *doc = journal_new(false);

		if (!e)
			e = journal_save(host, file, doc);
		umask(before);
		assert_null(e);
		assert_int_equal(stat(host, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
		assert_int_equal(stat(above, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_null(journal_check_folder(above));
		fs_remove_tree(above);
	}
}

static char waited_for[512];

static void remember(const char *line)
{
	snprintf(waited_for, sizeof(waited_for), "%s", line);
}

/* A process that holds the lock until it is killed. */
static pid_t holder_start(bool signs)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		_cleanup_free_ char *path = xasprintf("%s/lock", folder);
		int fd = -1;
		error *e = NULL;

		if (signs)
			e = journal_lock(folder, &fd);
		else if ((fd = open(path, O_RDWR | O_CREAT, 0600)) < 0 || flock(fd, LOCK_EX) < 0)
			_exit(1);
		if (e || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void a_held_lock_is_not_waited_for_without_end(void **state)
{
	int fd = -1;

	(void)state;
	assert_null(journal_make_folder(folder));
	for (int signs = 0; signs < 2; signs++) {
		pid_t pid = holder_start(signs);
		_cleanup_free_ char *name = xasprintf("process %d (", (int)pid);

		setenv("MVMSCALE_LOCK_WAIT", "0.2", 1);
		error *e = journal_lock(folder, &fd);
		assert_non_null(e);
		assert_int_equal(e->code, EXIT_CANNOT);
		assert_non_null(strstr(e->msg, name));
		assert_non_null(strstr(e->msg, "test_journal"));
		assert_true(!signs || strstr(e->msg, ", since "));
		err_free(e);

		/* said after a second, and gone on at once when the holder is dead */
		setenv("MVMSCALE_LOCK_WAIT", "60", 1);
		*waited_for = '\0';
		journal_on_wait(remember);
		pid_t killer = fork();
		if (killer == 0) {
			usleep(1300000);
			_exit(kill(pid, SIGKILL) < 0);
		}
		uint64_t start = clock_ns();
		assert_null(journal_lock(folder, &fd));
		assert_true(clock_ns() - start < 20000000000ULL);
		assert_non_null(strstr(waited_for, name));
		journal_unlockp(&fd);
		fd = -1;
		assert_int_equal(waitpid(killer, NULL, 0), killer);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		journal_on_wait(NULL);
	}
}

/* Removed with its folder while it was waited for: the next one locks another file. */
static void a_removed_lock_is_none(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/lock", folder);
	int fd = -1, other = -1;

	(void)state;
	assert_null(journal_make_folder(folder));
	pid_t pid = holder_start(true);
	pid_t killer = fork();
	if (killer == 0) {
		usleep(300000);
		unlink(path);
		_exit(kill(pid, SIGKILL) < 0);
	}
	assert_null(journal_lock(folder, &fd));
	setenv("MVMSCALE_LOCK_WAIT", "0", 1);
	error *e = journal_lock(folder, &other);
	assert_non_null(e);
	err_free(e);
	journal_unlockp(&fd);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void holders_in_proc_locks(void **state)
{
	static const char locks[] = "1: POSIX  ADVISORY  WRITE 11 fe:00:56 0 EOF\n"
				    "2: FLOCK  ADVISORY  WRITE 22 fe:00:567 0 EOF\n"
				    "3: FLOCK  ADVISORY  WRITE 33 fe:01:56 0 EOF\n"
				    "4: FLOCK  ADVISORY  WRITE 44 fe:00:56 0 EOF\n"
				    "4: -> FLOCK  ADVISORY  WRITE 55 fe:00:56 0 EOF\n"
				    "5: OFDLCK ADVISORY  READ -1 00:1a:1 0 EOF\n";
	json_int_t pid = 0;

	(void)state;
	lock_holder_parse(locks, 0xfe, 0, 56, &pid);
	assert_int_equal(pid, 44);
	pid = 0;
	lock_holder_parse(locks, 0xfe, 0, 5, &pid);
	lock_holder_parse("", 0xfe, 0, 56, &pid);
	lock_holder_parse(locks, 0, 0x1a, 1, &pid);
	assert_int_equal(pid, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_written_journal_is_removed),
		TEST(only_our_own_journal_is_obeyed),
		TEST(damaged_journals_are_left),
		TEST(folder_is_private_under_any_umask),
		TEST(a_held_lock_is_not_waited_for_without_end),
		TEST(a_removed_lock_is_none),
		cmocka_unit_test(holders_in_proc_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
