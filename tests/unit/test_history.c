/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The database of runs: what it keeps, what it refuses, and that reading leaves no trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/util.h"
#include "compare/history.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
#define COLUMNS "vm_count,cpu_pct_mean,settled,ledger_drop_kb,boot_p50_ms,launch_cpu_ms_per_vm\n"
#define COMPLETE "\"state\":\"complete\",\"vms\":{\"died\":0}"

static struct run_record *record(const char *meta, const char *intervals)
{
	struct run_record *r = xcalloc(1, sizeof(*r));
	_cleanup_free_ char *json = xasprintf("{\"format\":1%s%s}", *meta ? "," : "", meta);

	r->dir = xstrdup("runs/x");
	r->meta = json_loads(json, 0, NULL);
	assert_non_null(r->meta);
	assert_null(csv_parse(intervals, "intervals", &r->intervals));
	return r;
}

/* Memory per VM as given, everything else alike. */
static struct run_record *with_memory(double kb, const char *meta)
{
	_cleanup_free_ char *text =
		xasprintf(COLUMNS "0,0.1,1,0,,\n10,0.2,1,%g,40,20\n20,0.3,1,%g,40,20\n30,0.4,1,%g,40,20\n",
			  5000 + 10 * kb, 5000 + 20 * kb, 5000 + 30 * kb);

	return record(meta, text);
}

static void history_keeps(void **state)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *dir = xasprintf("%s/mvm-history-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
	struct run_record *r = with_memory(1234, COMPLETE ",\"started\":\"2026-01-01T00:00:00Z\",\"max\":30");
	struct history *h = NULL;
	struct history_list l;
	struct side base = { 0 };
	int64_t id, again, none = 77;
	bool fresh;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/h.db", dir);
	assert_null(history_open(path, HISTORY_ADD, &h));
	assert_null(history_add(h, r, "v1", &id, &fresh));
	assert_true(fresh);
	assert_null(history_add(h, r, "v1", &again, &fresh));
	assert_false(fresh);
	assert_int_equal(id, again);
	assert_null(history_runs(h, NULL, &l));
	assert_int_equal(l.count, 1);
	assert_near(l.items[0].figures[FIGURE_MEM_PER_VM], 1234, 1e-6);
	assert_string_equal(l.items[0].label, "v1");
	history_list_clear(&l);
	error *e = history_load_baseline(path, &base);
	assert_non_null(strstr(e->msg, "no baseline"));
	err_free(e);
	assert_null(history_set_baseline(h, &id, 1));
	e = history_set_baseline(h, &none, 1);
	assert_non_null(strstr(e->msg, "no run 77"));
	err_free(e);
	assert_null(history_load_baseline(path, &base)); /* the failed one changed nothing */
	assert_int_equal(base.n, 1);
	assert_int_equal(base.runs[0]->intervals->rows, 4);
	side_clear(&base);
	history_close(h);
	assert_null(fs_write_atomic(path, "no database, but long enough to be read as one", 46));
	e = history_open(path, HISTORY_ADD, &h);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	err_free(e);
	fs_remove_tree(dir);
	run_record_free(r);
}

static void not_ours(const char *path, const char *words)
{
	struct history *h = NULL;

	for (int use = HISTORY_READ; use <= HISTORY_ADD; use++) {
		_cleanup_err_ error *e = history_open(path, (enum history_use)use, &h);

		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		if (!strstr(e->msg, words) || !strstr(e->msg, path))
			fail_msg("'%s' lacks '%s' or '%s'", e->msg, words, path);
	}
}

/* Reading makes nothing; what is no history of ours is named, and stays as it is. */
static void history_is_read_without_a_trace(void **state)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *dir = xasprintf("%s/mvm-history-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
	struct history *h = NULL;
	struct history_list l;
	struct side base = { 0 };
	int64_t one = 1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/none/h.db", dir), *empty = xasprintf("%s/empty.db", dir);
	_cleanup_free_ char *other = xasprintf("%s/other.db", dir), *pipe = xasprintf("%s/pipe.db", dir);
	assert_null(history_open(path, HISTORY_READ, &h));
	assert_null(history_runs(h, NULL, &l));
	assert_int_equal(l.count, 0);
	history_close(h);
	error *e = history_load_baseline(path, &base);
	assert_non_null(strstr(e->msg, "no baseline"));
	err_free(e);
	e = history_open(path, HISTORY_CHANGE, &h);
	assert_non_null(strstr(e->msg, "no history"));
	err_free(e);
	assert_int_equal(access(path, F_OK), -1);
	assert_null(fs_write_atomic(empty, "", 0));
	assert_null(history_open(empty, HISTORY_READ, &h));
	assert_null(history_runs(h, NULL, &l));
	history_close(h);
	assert_null(history_open(empty, HISTORY_CHANGE, &h));
	e = history_set_baseline(h, &one, 1);
	assert_non_null(strstr(e->msg, "no run 1"));
	err_free(e);
	history_close(h);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(other, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "CREATE TABLE cookies (a); PRAGMA user_version = 1", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	not_ours(other, "another program's database");
	assert_int_equal(mkfifo(pipe, 0600), 0);
	not_ours(pipe, "no regular file");
	not_ours(dir, "no regular file");
	fs_remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(history_keeps),
		cmocka_unit_test(history_is_read_without_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
