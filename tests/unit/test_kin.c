/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/kin.h"
#include "base/pidmap.h"
#include "base/util.h"

/* Reads the number that a child made and wrote. */
static pid_t number_from(int fd)
{
	pid_t pid = 0;

	assert_int_equal(read(fd, &pid, sizeof(pid)), sizeof(pid));
	return pid;
}

/* A child that makes one of its own; with `leave` it ends then, and the other is somebody else's. */
static pid_t make_grandchild(bool leave, pid_t *ret_between)
{
	int pair[2];

	assert_int_equal(pipe(pair), 0);
	*ret_between = fork();
	if (*ret_between == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			execlp("sleep", "sleep", "60", (char *)NULL);
			_exit(127);
		}
		if (write(pair[1], &pid, sizeof(pid)) != sizeof(pid) || leave)
			_exit(0);
		execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(127);
	}
	pid_t pid = number_from(pair[0]);
	close(pair[0]);
	close(pair[1]);
	if (leave)
		assert_int_equal(waitpid(*ret_between, NULL, 0), *ret_between);
	return pid;
}

/* Until it runs another program than ours. */
static pid_t make_child(const char *folder)
{
	int pair[2];
	char c;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (chdir(folder) == 0)
			execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &c, 1), 0); /* closed by exec */
	close(pair[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void refuse(long long told, const char *said)
{
	pid_t pid = 77;
	error *e = kin_check(told, KIN_ELSEWHERE, "it", &pid);

	assert_non_null(e);
	assert_non_null(strstr(e->msg, said));
	assert_int_equal(pid, 77);
	err_free(e);
}

static void numbers_that_mean_more_than_one_process(void **state)
{
	(void)state;
	refuse(0, "it names process 0, which is no process's number");
	refuse(-1, "is no process's number");
	refuse(1, "is no process's number");
	refuse(INT_MAX + 1LL, "is no process's number");
	refuse(UINT32_MAX, "is no process's number");	    /* -1 once it is cut to 32 bits */
	refuse(UINT32_MAX + 2LL, "is no process's number"); /* 1 */
	refuse(LLONG_MIN, "is no process's number");
	refuse(getpid(), "is this program itself");
	refuse(INT_MAX, "is no process of its making");
	refuse(getppid(), "is somebody else's process");
	assert_false(kin_kill(0));
	assert_false(kin_kill(-1));
	assert_false(kin_kill(1));
	assert_false(kin_kill(getpid()));
}

static void children_and_theirs(void **state)
{
	pid_t between, pid, got;
	int status;

	(void)state;
	pid = make_child("/");
	assert_int_equal(kin_of(pid), KIN_CHILD);
	assert_null(kin_check(pid, KIN_CHILD, "it", &got));
	assert_int_equal(got, pid);
	assert_true(kin_kill(pid));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_false(kin_kill(pid)); /* gone */
	pid = make_grandchild(false, &between);
	for (int i = 0; i < 500 && kin_of(pid) != KIN_DESCENDANT; i++)
		usleep(10000); /* until it runs its own program */
	assert_int_equal(kin_of(pid), KIN_DESCENDANT);
	error *e = kin_check(pid, KIN_CHILD, "it", &got);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "did not make itself"));
	err_free(e);
	assert_true(kin_kill(pid));
	end_child(between);
}

static void strangers_are_never_killed(void **state)
{
	pid_t between, pid = make_grandchild(true, &between);

	(void)state;
	assert_int_equal(kin_of(pid), KIN_STRANGER);
	assert_false(kin_kill(pid));
	usleep(20000);
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
}

/* As the janitor is. */
static void a_child_with_our_own_program_is_no_vm(void **state)
{
	pid_t pid = fork(), got;

	(void)state;
	if (pid == 0)
		for (;;)
			pause();
	assert_int_equal(kin_of(pid), KIN_NONE);
	error *e = kin_check(pid, KIN_CHILD, "it", &got);
	assert_non_null(e);
	err_free(e);
	end_child(pid);
}

static bool knows(void *user, pid_t pid)
{
	return pidmap_has(user, pid);
}

static void strays_are_told_by_their_folder(void **state)
{
	char dir[] = "/tmp/mvm-kin-XXXXXX";
	struct pidmap map = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid_t elsewhere = make_child("/"), known = make_child(dir), stray = make_child(dir);
	pidmap_put(&map, known, 0);
	assert_int_equal(kin_kill_strays(dir, knows, &map), 1);
	assert_int_equal(waitpid(stray, NULL, WNOHANG), -1);
	assert_int_equal(waitpid(elsewhere, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(known, NULL, WNOHANG), 0);
	end_child(known);
	end_child(elsewhere);
	pidmap_clear(&map);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_mean_more_than_one_process),
		cmocka_unit_test(children_and_theirs),
		cmocka_unit_test(strangers_are_never_killed),
		cmocka_unit_test(a_child_with_our_own_program_is_no_vm),
		cmocka_unit_test(strays_are_told_by_their_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
