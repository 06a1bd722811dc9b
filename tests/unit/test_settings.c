/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings_fixture.h"

#include "host/swap.h"

static void set_and_restore(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	struct stat st;

	assert_null(settings_open(&s));
	assert_string_equal(settings_folder(s), f->state);
	assert_int_equal(stat(f->state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_null(settings_set(s, f->a, "5", "first"));
	assert_value(f->a, "5");
	assert_null(settings_set(s, f->a, "20000", "again"));
	assert_null(settings_set(s, f->b, "always", NULL));
	/* a change upon our own is one with it, however often */
	assert_int_equal(journals(f), 2);
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	assert_value(f->b, "madvise");
	assert_int_equal(f->said.count, 2);
	assert_int_equal(journals(f), 0);
	/* the handle stays usable */
	assert_null(settings_set(s, f->a, "7", NULL));
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	settings_close(s);
}

static void failures_leave_nothing(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	_cleanup_free_ char *gone = xasprintf("%s/gone", f->dir);

	assert_null(settings_open(&s));
	error *e = settings_set(s, gone, "1", NULL);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_CANNOT);
	assert_non_null(strstr(e->msg, "gone"));
	err_free(e);
	e = settings_set(s, "relative", "1", NULL);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	err_free(e);
	/* reads back as "b c": it did not take */
	e = settings_set(s, f->a, "b  c", NULL);
	assert_non_null(strstr(e->msg, "did not take"));
	err_free(e);
	assert_value(f->a, "100");
	assert_int_equal(journals(f), 0);
	settings_close(s);
}

static void foreign_change_is_left(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	put(f->a, "77\n");
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "77");
	assert_true(has_line(&f->said, "someone else changed it"));
	assert_int_equal(journals(f), 0);
	settings_close(s);
}

static void recover_after_kill(void **state)
{
	struct fixture *f = *state;
	struct other o = other_start(f, "5");

	assert_value(f->a, "5");
	/* its owner lives: hands off */
	assert_null(settings_recover(&f->said));
	assert_int_equal(f->said.count, 0);
	assert_value(f->a, "5");

	siginfo_t info; /* a zombie is dead as well */
	kill(o.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)o.pid, &info, WEXITED | WNOWAIT), 0);
	assert_null(settings_recover(&f->said));
	assert_value(f->a, "100");
	assert_true(has_line(&f->said, "restored"));
	assert_int_equal(journals(f), 0);
	other_end(&o, 'k');
}

/* Its pipe closes before it is a zombie: already then it counts as dead. */
static void recover_while_it_dies(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++) {
		struct other o = other_start(f, "5");
		char c;

		kill(o.pid, SIGKILL);
		assert_int_equal(read(o.ready, &c, 1), 0);
		assert_null(settings_recover(&f->said));
		assert_value(f->a, "100");
		other_end(&o, 'k');
	}
}

static void killed_before_the_change(void **state)
{
	struct fixture *f = *state;
	struct other o = other_start(f, "5");

	other_end(&o, 'k');
	put(f->a, "100\n"); /* as if it had been killed between journal and write */
	assert_null(settings_recover(&f->said));
	assert_value(f->a, "100");
	assert_int_equal(f->said.count, 0);
	assert_int_equal(journals(f), 0);
}

static void applied_stays(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL, *run = NULL;

	assert_null(settings_open_applied(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	settings_close(s);
	assert_null(settings_recover(&f->said));
	assert_value(f->a, "5");
	/* a run upon it comes back to what was applied */
	assert_null(settings_open(&run));
	assert_null(settings_set(run, f->a, "9", NULL));
	assert_null(settings_restore_applied(&f->said)); /* in use: later */
	assert_value(f->a, "9");
	assert_true(has_line(&f->said, "still needs it"));
	assert_null(settings_restore(run, &f->said));
	assert_value(f->a, "100");
	settings_close(run);

	assert_null(settings_open_applied(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	settings_close(s);
	assert_null(settings_open_applied(&s));
	assert_null(settings_set(s, f->a, "6", NULL));
	settings_close(s);
	assert_null(settings_restore_applied(&f->said));
	assert_value(f->a, "100");
	assert_int_equal(journals(f), 0);
}

static void other_boot(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	_cleanup_free_ char *tree = xasprintf("%s/tree/sub", f->state),
			    *swap = xasprintf(SWAP_FILE_PREFIX "%d", (int)getpid());

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	assert_null(settings_note_tree(s, tree));
	assert_null(settings_note_swap(s, swap, "00112233445566778899aabbccddeeff"));
	assert_null(fs_mkdirs(tree));
	put(swap, "x");
	assert_null(settings_note_made(s, swap));
	settings_close(s);
	edit_journal(f->state, getpid(), "boot_id", "another");
	edit_journal(f->host, getpid(), "boot_id", "another");
	assert_null(settings_recover(&f->said));
	/* the setting fell with that boot; files did not */
	assert_value(f->a, "5");
	assert_int_equal(access(tree, F_OK), -1);
	assert_int_equal(access(swap, F_OK), -1);
	assert_int_equal(journals(f), 0);
}

static void pid_reused(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	settings_close(s);
	edit_journal(f->host, getpid(), "start", "not ours");
	assert_null(settings_open(&s)); /* must not adopt or overwrite it */
	assert_null(settings_recover(&f->said));
	assert_value(f->a, "100");
	settings_close(s);
}

static void other_pid_namespace(void **state)
{
	struct fixture *f = *state;
	struct other o = other_start(f, "5");

	other_end(&o, 'k');
	edit_journal(f->host, o.pid, "pid_ns", "pid:[1]");
	assert_null(settings_recover(&f->said));
	assert_value(f->a, "5"); /* whether it lives cannot be known from here */
	assert_int_equal(journals(f), 1);
}

static void other_kinds(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	_cleanup_free_ char *tree = xasprintf("%s/run", f->state), *deep = xasprintf("%s/run/x/y", f->state);
	_cleanup_free_ char *escape = xasprintf("%s/../a", f->state), *link = xasprintf("%s/link", f->state);
	_cleanup_free_ char *none = xasprintf("%s/none", f->dir);

	assert_null(settings_open(&s));
	assert_null(settings_note_tree(s, tree));
	assert_null(fs_mkdirs(deep));
	_cleanup_free_ char *swap = xasprintf(SWAP_FILE_PREFIX "%d-9", (int)getpid());
	assert_null(settings_note_swap(s, swap, "0"));
	assert_null(settings_note_cgroup(s, none));
	error *e = settings_note_tree(s, escape);
	assert_non_null(e);
	err_free(e);
	e = settings_note_tree(s, f->dir);
	assert_non_null(e);
	err_free(e);
	assert_null(settings_restore(s, &f->said));
	assert_int_equal(access(tree, F_OK), -1);

	/* a link out of the folder is not followed; it stays in the journal */
	assert_int_equal(symlink(f->dir, link), 0);
	assert_null(settings_note_tree(s, link));
	e = settings_restore(s, &f->said);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_CANNOT);
	err_free(e);
	assert_int_equal(journals(f), 1);
	assert_int_equal(access(f->a, F_OK), 0);
	assert_int_equal(unlink(link), 0);
	settings_close(s);
}

static void unsafe_folder_is_refused(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;

	assert_null(settings_recover(&f->said)); /* no folder, nothing to do */
	assert_int_equal(access(f->state, F_OK), -1);
	assert_int_equal(mkdir(f->state, 0700), 0);
	assert_int_equal(chmod(f->state, 0777), 0);
	error *e = settings_open(&s);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "MVMSCALE_STATE"));
	err_free(e);
	e = settings_recover(&f->said);
	assert_non_null(e);
	err_free(e);
	assert_int_equal(rmdir(f->state), 0);
	assert_int_equal(symlink(f->dir, f->state), 0);
	e = settings_open(&s);
	assert_non_null(e);
	err_free(e);
}

static void damaged_journal_is_reported(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	_cleanup_free_ char *bad = xasprintf("%s/restore-1.json", f->state);

	assert_null(settings_open(&s));
	put(bad, "{\"format\": 1, \"entr");
	assert_null(settings_set(s, f->a, "5", NULL));
	assert_null(settings_recover(&f->said));
	assert_true(has_line(&f->said, "damaged"));
	assert_int_equal(access(bad, F_OK), 0);
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	settings_close(s);
}

static void child_does_not_restore(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	int status;

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	pid_t pid = fork();
	if (pid == 0) {
		error *e = settings_restore(s, &f->said);
		_exit(e != NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_value(f->a, "5");
	assert_null(settings_restore(s, &f->said));
	settings_close(s);
}

/* Killed between journal and setting, a second change of our own is still known as ours. */
static void killed_before_the_second_change(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	assert_null(settings_set(s, f->a, "6", NULL));
	put(f->a, "5\n");
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	settings_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(set_and_restore),
					    TEST(failures_leave_nothing),
					    TEST(foreign_change_is_left),
					    TEST(recover_after_kill),
					    TEST(recover_while_it_dies),
					    TEST(killed_before_the_change),
					    TEST(killed_before_the_second_change),
					    TEST(applied_stays),
					    TEST(other_boot),
					    TEST(pid_reused),
					    TEST(other_pid_namespace),
					    TEST(other_kinds),
					    TEST(unsafe_folder_is_refused),
					    TEST(damaged_journal_is_reported),
					    TEST(child_does_not_restore) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
