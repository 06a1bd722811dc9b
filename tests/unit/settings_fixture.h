/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For tests of settings.h: folders of their own, files that stand for settings, and other processes. */
#ifndef MVM_TESTS_SETTINGS_FIXTURE_H
#define MVM_TESTS_SETTINGS_FIXTURE_H

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
#include "host/settings.h"

/* A folder of its own for each test: the state, and files that stand for /proc/sys. */
struct fixture {
	char *dir, *state, *host, *a, *b;
	struct strlist said;
};

static inline void put(const char *path, const char *text)
{
	assert_null(fs_write_atomic(path, text, strlen(text)));
}

static inline void assert_value(const char *path, const char *expected)
{
	_cleanup_free_ char *text = NULL;

	assert_null(fs_read(path, &text, NULL));
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, expected);
}

static inline int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = xstrdup("/tmp/mvm-test-settings-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->state = xasprintf("%s/state", f->dir);
	f->host = xasprintf("%s/host", f->dir);
	f->a = xasprintf("%s/a", f->dir);
	f->b = xasprintf("%s/b", f->dir);
	put(f->a, "100\n");
	put(f->b, "always [madvise] never\n");
	setenv("MVMSCALE_STATE", f->state, 1);
	setenv("MVMSCALE_HOST_STATE", f->host, 1);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fs_remove_tree(f->dir);
	strlist_clear(&f->said);
	free(f->dir);
	free(f->state);
	free(f->host);
	free(f->a);
	free(f->b);
	free(f);
	return 0;
}

static inline size_t journals(const struct fixture *f)
{
	struct strlist lines = { 0 };

	assert_null(settings_list_pending(&lines));
	size_t n = access(f->dir, F_OK) < 0 ? 0 : lines.count;
	strlist_clear(&lines);
	return n;
}

static inline bool has_line(const struct strlist *l, const char *part)
{
	for (size_t i = 0; i < l->count; i++)
		if (strstr(l->items[i], part))
			return true;
	return false;
}

/*
 * A process with the state folder `state` that sets f->a to `value` and then lives until it is told to end
 * ("r": restore first).
 */
struct other {
	pid_t pid;
	int tell, ready;
};

static inline struct other other_start_in(const struct fixture *f, const char *state, const char *value)
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
		setenv("MVMSCALE_STATE", state, 1);
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

static inline struct other other_start(const struct fixture *f, const char *value)
{
	return other_start_in(f, f->state, value);
}

static inline void other_end(const struct other *o, char how)
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

/* Changes one member of the only journal of that kind. */
static inline void edit_journal(const char *folder, pid_t pid, const char *key, const char *value)
{
	_cleanup_free_ char *path = xasprintf("%s/restore-%d.json", folder, (int)pid);
	json_t *doc = json_load_file(path, 0, NULL);

	assert_non_null(doc);
	json_object_set_new(doc, key, json_string(value));
	assert_int_equal(json_dump_file(doc, path, 0), 0);
	json_decref(doc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
