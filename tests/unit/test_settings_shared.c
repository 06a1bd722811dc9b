/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several processes that change the same settings, in every order of ending. */
#include "settings_fixture.h"

/* The first ends while the second still needs the setting; the second puts the original back. */
static void two_living(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	struct other o = other_start(f, "5");

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL)); /* it is so already */
	other_end(&o, 'r');
	assert_value(f->a, "5");
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	assert_int_equal(journals(f), 0);

	/* the same with different values, and the second ending first */
	o = other_start(f, "5");
	assert_null(settings_set(s, f->a, "9", NULL));
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "5");
	other_end(&o, 'r');
	assert_value(f->a, "100");

	/* and the first one killed: recovery waits for us too */
	o = other_start(f, "5");
	assert_null(settings_set(s, f->a, "9", NULL));
	other_end(&o, 'k');
	assert_null(settings_recover(&f->said));
	assert_value(f->a, "9");
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	assert_int_equal(journals(f), 0);
	settings_close(s);
}

/* Two runs that differ in their state folders share the host: the last one out puts the original back. */
static void two_state_folders(void **state)
{
	static const char ends[][2] = { { 'r', 'r' }, { 'k', 'r' }, { 'r', 'k' }, { 'k', 'k' } };
	struct fixture *f = *state;
	_cleanup_free_ char *x = xasprintf("%s/x", f->dir), *y = xasprintf("%s/y", f->dir);

	for (size_t i = 0; i < 2 * ARRAY_LEN(ends); i++) {
		const char *how = ends[i / 2];
		bool first_ends_first = i % 2;
		struct other a = other_start_in(f, x, "200"), b = other_start_in(f, y, "300");

		assert_value(f->a, "300");
		other_end(first_ends_first ? &a : &b, how[0]);
		assert_null(settings_recover(&f->said));
		/* what the other one needs stays */
		assert_value(f->a, first_ends_first ? "300" : "200");
		other_end(first_ends_first ? &b : &a, how[1]);
		if (how[1] == 'k')
			assert_null(settings_recover(&f->said));
		assert_value(f->a, "100");
		assert_int_equal(journals(f), 0);
	}
}

/* Nobody swept when the second was killed: the first one's end is enough. */
static void the_dead_hold_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *x = xasprintf("%s/x", f->dir), *y = xasprintf("%s/y", f->dir);
	struct other a = other_start_in(f, x, "200"), b = other_start_in(f, y, "300");

	other_end(&b, 'k');
	assert_value(f->a, "300");
	other_end(&a, 'r');
	assert_value(f->a, "100");
	assert_int_equal(journals(f), 0);
}

/* An administrator's value between the two, and after both, is left alone and said. */
static void two_runs_and_an_administrator(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *x = xasprintf("%s/x", f->dir);
	struct settings *s = NULL;

	for (int between = 0; between < 2; between++) {
		struct other a = other_start_in(f, x, "200");

		put(f->a, between ? "150\n" : "200\n");
		assert_null(settings_open(&s));
		assert_null(settings_set(s, f->a, "300", NULL));
		if (!between)
			put(f->a, "777\n");
		other_end(&a, 'r');
		assert_value(f->a, between ? "300" : "777");
		assert_null(settings_restore(s, &f->said));
		assert_value(f->a, between ? "150" : "777");
		assert_true(has_line(&f->said, between ? "left " : "someone else changed it"));
		assert_int_equal(journals(f), 0);
		settings_close(s);
		strlist_clear(&f->said);
		put(f->a, "100\n");
	}
}

/* Two runs read the same old value, and the one that needs less comes second. */
static void raising_never_lowers(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *x = xasprintf("%s/x", f->dir);
	struct other a = other_start_in(f, x, "500");
	struct settings *s = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_raise(s, f->a, "300", NULL));
	assert_value(f->a, "500");
	other_end(&a, 'r');
	assert_value(f->a, "500"); /* we need it, too */
	assert_null(settings_raise(s, f->a, "600", NULL));
	assert_value(f->a, "600");
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	settings_close(s);
}

/* A run that found a limit high enough needs it to stay so. */
static void what_another_raised_is_held(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *x = xasprintf("%s/x", f->dir);
	struct settings *s = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_hold(s, f->a, NULL)); /* nobody changed it: nothing to hold */
	assert_int_equal(journals(f), 0);
	struct other a = other_start_in(f, x, "500");
	assert_null(settings_hold(s, f->a, NULL));
	other_end(&a, 'r');
	assert_value(f->a, "500");
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	assert_int_equal(journals(f), 0);
	settings_close(s);
}

/* `doctor --restore` puts back what was applied with its own state folder, and names that of the rest. */
static void applied_with_another_state_folder(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *x = xasprintf("%s/x", f->dir);
	struct strlist lines = { 0 };
	struct settings *s = NULL;

	setenv("MVMSCALE_STATE", x, 1);
	assert_null(settings_open_applied(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	settings_close(s);
	setenv("MVMSCALE_STATE", f->state, 1);
	assert_null(settings_restore_applied(&f->said));
	assert_value(f->a, "5");
	assert_null(settings_list_pending(&lines));
	assert_true(has_line(&lines, x));
	strlist_clear(&lines);
	setenv("MVMSCALE_STATE", x, 1);
	assert_null(settings_restore_applied(&f->said));
	assert_value(f->a, "100");
}

/* A cgroup of v2 hands a controller down until the last who asked for it is gone. */
static void controllers_are_counted(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *offers = xasprintf("%s/cgroup.controllers", f->dir);
	_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", f->dir);
	struct settings *s = NULL;
	int tell[2];
	char c;

	put(offers, "cpuset memory\n");
	put(control, "memory\n");
	assert_null(settings_open(&s));
	assert_null(settings_hand_down(s, f->dir, "memory")); /* an administrator did: not ours */
	assert_int_equal(journals(f), 0);
	error *e = settings_hand_down(s, f->dir, "cpu"); /* cpuset is another one */
	assert_non_null(strstr(e->msg, "does not have the controller cpu"));
	err_free(e);

	put(control, "\n");
	assert_null(settings_hand_down(s, f->dir, "memory"));
	assert_value(control, "+memory");
	put(control, "memory\n"); /* as the kernel shows it */
	assert_int_equal(pipe(tell), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct settings *other = NULL;

		_exit(settings_open(&other) || settings_hand_down(other, f->dir, "memory") ||
		      write(tell[1], "x", 1) != 1 || pause());
	}
	assert_int_equal(read(tell[0], &c, 1), 1);
	assert_null(settings_restore(s, &f->said));
	assert_value(control, "memory");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_null(settings_recover(&f->said));
	assert_value(control, "-memory");
	settings_close(s);
	close(tell[0]);
	close(tell[1]);
}

/* A dead run's folder has the name of a living one's, which had the same pid: it is the living one's. */
static void what_the_living_use_is_kept(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *tree = xasprintf("%s/run-7", f->state);
	_cleanup_free_ char *from = xasprintf("%s/restore-%d.json", f->state, (int)getpid());
	_cleanup_free_ char *dead = xasprintf("%s/restore-4194305.json", f->state);
	struct settings *s = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_note_tree(s, tree));
	assert_int_equal(rename(from, dead), 0);
	edit_journal(f->state, 4194305, "start", "none");
	assert_null(settings_note_tree(s, tree));
	assert_null(fs_mkdirs(tree));
	assert_null(settings_recover(&f->said));
	assert_int_equal(access(tree, F_OK), 0);
	assert_int_equal(access(dead, F_OK), -1);
	assert_null(settings_restore(s, &f->said));
	assert_int_equal(access(tree, F_OK), -1);
	settings_close(s);
}

/* One of another pid namespace with our pid keeps its journal, and we get another name. */
static void the_same_pid_in_another_namespace(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL, *t = NULL;

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	edit_journal(f->host, getpid(), "pid_ns", "pid:[1]");
	assert_null(settings_open(&t));
	assert_null(settings_set(t, f->b, "always", NULL));
	assert_int_equal(journals(f), 2);
	assert_null(settings_restore(t, &f->said));
	assert_value(f->b, "madvise");
	assert_value(f->a, "5");
	assert_int_equal(journals(f), 1);
	settings_close(s);
	settings_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_living),
		TEST(two_state_folders),
		TEST(the_dead_hold_nothing),
		TEST(two_runs_and_an_administrator),
		TEST(raising_never_lowers),
		TEST(what_another_raised_is_held),
		TEST(applied_with_another_state_folder),
		TEST(controllers_are_counted),
		TEST(what_the_living_use_is_kept),
		TEST(the_same_pid_in_another_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
