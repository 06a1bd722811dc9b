/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "plan/settings.h"

/* A folder of its own for each test: the state, and files that stand for /proc/sys. */
struct fixture {
	char *dir, *state, *a, *b;
	struct strlist said;
};

static void put(const char *path, const char *text)
{
	assert_null(fs_write_atomic(path, text, strlen(text)));
}

static void assert_value(const char *path, const char *expected)
{
	_cleanup_free_ char *text = NULL;

	assert_null(fs_read(path, &text, NULL));
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, expected);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = xstrdup("/tmp/mvm-test-settings-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->state = xasprintf("%s/state", f->dir);
	f->a = xasprintf("%s/a", f->dir);
	f->b = xasprintf("%s/b", f->dir);
	put(f->a, "100\n");
	put(f->b, "always [madvise] never\n");
	setenv("MVMSCALE_STATE", f->state, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fs_remove_tree(f->dir);
	strlist_clear(&f->said);
	free(f->dir);
	free(f->state);
	free(f->a);
	free(f->b);
	free(f);
	return 0;
}

static size_t journals(const struct fixture *f)
{
	struct strlist lines = { 0 };

	assert_null(settings_list_pending(&lines));
	size_t n = access(f->state, F_OK) < 0 ? 0 : lines.count;
	strlist_clear(&lines);
	return n;
}

static bool has_line(const struct strlist *l, const char *part)
{
	for (size_t i = 0; i < l->count; i++)
		if (strstr(l->items[i], part))
			return true;
	return false;
}

/* A process that sets f->a to `value` and then lives until it is told to end ("r": restore first). */
struct other {
	pid_t pid;
	int tell, ready;
};

static struct other other_start(const struct fixture *f, const char *value)
{
	int tell[2], ready[2];
	struct other o;
	char c;

	assert_int_equal(pipe(tell), 0);
	assert_int_equal(pipe(ready), 0);
	o.pid = fork();
	assert_true(o.pid >= 0);
	if (o.pid == 0) {
		struct settings *s = NULL;
		struct strlist said = { 0 };
		error *e = settings_open(&s);

		close(tell[1]);
		if (!e)
			e = settings_set(s, f->a, value, "test");
		if (e || write(ready[1], "x", 1) != 1 || read(tell[0], &c, 1) != 1)
			_exit(1);
		if (c == 'r')
			e = settings_restore(s, &said);
		_exit(e != NULL);
	}
	close(tell[0]);
	close(ready[1]);
	o.tell = tell[1];
	o.ready = ready[0];
	assert_int_equal(read(o.ready, &c, 1), 1);
	return o;
}

static void other_end(const struct other *o, char how)
{
	int status;

	if (how == 'k')
		kill(o->pid, SIGKILL);
	else
		assert_int_equal(write(o->tell, &how, 1), 1);
	assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
	close(o->tell);
	close(o->ready);
}

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
	assert_int_equal(journals(f), 3);
	assert_null(settings_restore(s, &f->said));
	assert_value(f->a, "100");
	assert_value(f->b, "madvise");
	assert_int_equal(f->said.count, 3);
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

/* Changes one member of the only journal of that kind. */
static void edit_journal(const struct fixture *f, pid_t pid, const char *key, const char *value)
{
	_cleanup_free_ char *path = xasprintf("%s/restore-%d.json", f->state, (int)pid);
	json_t *doc = json_load_file(path, 0, NULL);

	assert_non_null(doc);
	json_object_set_new(doc, key, json_string(value));
	assert_int_equal(json_dump_file(doc, path, 0), 0);
	json_decref(doc);
}

static void other_boot(void **state)
{
	struct fixture *f = *state;
	struct settings *s = NULL;
	_cleanup_free_ char *tree = xasprintf("%s/tree/sub", f->state), *swap = xasprintf("%s/swap", f->dir);

	assert_null(settings_open(&s));
	assert_null(settings_set(s, f->a, "5", NULL));
	assert_null(settings_note_tree(s, tree));
	assert_null(settings_note_swap(s, swap));
	assert_null(fs_mkdirs(tree));
	put(swap, "x");
	settings_close(s);
	edit_journal(f, getpid(), "boot_id", "another");
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
	edit_journal(f, getpid(), "start", "not ours");
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
	edit_journal(f, o.pid, "pid_ns", "pid:[1]");
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
	assert_null(settings_note_write(s, f->a, "1"));
	assert_null(settings_note_swap(s, none));
	assert_null(settings_note_cgroup(s, none));
	error *e = settings_note_tree(s, escape);
	assert_non_null(e);
	err_free(e);
	e = settings_note_tree(s, f->dir);
	assert_non_null(e);
	err_free(e);
	assert_null(settings_restore(s, &f->said));
	assert_int_equal(access(tree, F_OK), -1);
	assert_value(f->a, "1");

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(set_and_restore),
					    TEST(failures_leave_nothing),
					    TEST(foreign_change_is_left),
					    TEST(recover_after_kill),
					    TEST(recover_while_it_dies),
					    TEST(killed_before_the_change),
					    TEST(two_living),
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
