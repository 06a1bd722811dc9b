/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/history.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/db.h"
#include "base/fs.h"
#include "base/text.h"

#define SCHEMA_VERSION 1

struct history {
	sqlite3 *db;
	char *path;
	bool empty; /* opened for reading, and it is not there or nobody wrote into it yet */
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, digest TEXT UNIQUE NOT NULL, added TEXT NOT NULL,"
	" started TEXT NOT NULL, series TEXT NOT NULL, label TEXT NOT NULL, dir TEXT NOT NULL, meta TEXT NOT NULL, intervals TEXT NOT NULL, baseline INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE IF NOT EXISTS figures (run INTEGER NOT NULL REFERENCES runs(id), name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (run, name));"
	"CREATE INDEX IF NOT EXISTS runs_series ON runs (series, started);PRAGMA user_version = 1;";

static error *db_error(const struct history *h, const char *doing)
{
	int code = sqlite3_errcode(h->db);
	bool foreign = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;

	return err_new(
		foreign ? EXIT_BAD_INPUT : EXIT_CANNOT, "%s: cannot %s: %s%s", h->path, doing, db_why(h->db),
		foreign ? ": restore it from a copy, or move it away and add the runs again; --db names another file"
			: "");
}

static error *make_folder(const char *path)
{
	_cleanup_free_ char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');

	if (!slash || slash == folder)
		return NULL;
	*slash = '\0';
	return fs_mkdirs(folder);
}

/* An empty database becomes one of ours; another program's must not. */
static error *check_version(struct history *h)
{
	int version = db_number(h->db, "PRAGMA user_version");
	int tables = version < 0 ? -1 : db_number(h->db, "SELECT count(*) FROM sqlite_master");
	int ours =
		tables < 0
			? -1
			: db_number(
				  h->db,
				  "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('runs', 'figures')");

	if (ours < 0)
		return db_error(h, "read it");
	if (tables && (ours != 2 || version < 1))
		return err_new(
			EXIT_BAD_INPUT,
			"%s: not a history of mvmscale but another program's database: give another file with --db",
			h->path);
	if (version > SCHEMA_VERSION)
		return err_new(EXIT_BAD_INPUT,
			       "%s: format %d, this mvmscale knows up to %d: use the version that wrote it",
			       h->path, version, SCHEMA_VERSION);
	h->empty = !tables;
	return NULL;
}

static error *check_file(struct history *h, enum history_use use)
{
	struct stat st;

	if (stat(h->path, &st) == 0)
		return S_ISREG(st.st_mode)
			       ? NULL
			       : err_new(EXIT_BAD_INPUT, "%s is no regular file: give another one with --db",
					 h->path);
	if (errno != ENOENT && errno != ENOTDIR)
		return err_sys(EXIT_CANNOT, errno, "cannot read the history %s", h->path);
	if (use == HISTORY_ADD)
		return make_folder(h->path);
	h->empty = true;
	return use == HISTORY_READ
		       ? NULL
		       : err_new(EXIT_BAD_INPUT,
				 "there is no history %s yet: add runs with 'mvmscale history add RUN...'",
				 h->path);
}

error *history_open(const char *path, enum history_use use, struct history **ret)
{
	_cleanup_(history_closep) struct history *h = xcalloc(1, sizeof(*h));
	static const int flags[] = { [HISTORY_READ] = SQLITE_OPEN_READONLY,
				     [HISTORY_CHANGE] = SQLITE_OPEN_READWRITE,
				     [HISTORY_ADD] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE };
	error *e = NULL;

	h->path = path ? xstrdup(path) : fs_state_path("MVMSCALE_HISTORY", "history.db");
	if (!h->path)
		return err_new(EXIT_BAD_INPUT,
			       "neither MVMSCALE_HISTORY nor HOME is set: name the database with --db FILE");
	if ((e = check_file(h, use)))
		return e;
	if (h->empty) {
		*ret = STEAL(h);
		return NULL;
	}
	if (!db_open(h->path, flags[use], &h->db))
		return db_error(h, "open it");
	if ((e = check_version(h)))
		return e;
	if (use != HISTORY_READ && sqlite3_exec(h->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(h, "prepare it");
	h->empty = h->empty && use == HISTORY_READ;
	*ret = STEAL(h);
	return NULL;
}

const char *history_path(const struct history *h)
{
	return h->path;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	db_close(&h->db);
	free(h->path);
	free(h);
}

static const char *or_dash(const char *s)
{
	return s && *s ? s : "-";
}

char *history_series(const struct run_record *r)
{
	return xasprintf("%s, %.0f cores, %.0f GiB: %s %s %s %s %s %s to %.0f",
			 or_dash(run_str(r, "host.cpu")), run_num(r, "host.cores"),
			 run_num(r, "host.ram_kb") / 1048576, or_dash(run_str(r, "backend.name")),
			 or_dash(run_str(r, "backend.accel")), or_dash(run_str(r, "backend.machine")),
			 or_dash(run_str(r, "preset")), or_dash(run_str(r, "profile")),
			 or_dash(run_str(r, "launch.mode")), run_num(r, "max"));
}

/* intervals.csv once more, from the table as it was read: derived tables have no file. */
static char *intervals_text(const struct csv *t)
{
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);

	for (size_t c = 0; c < t->columns; c++)
		fprintf(f, "%s%s", c ? "," : "", t->names[c]);
	fputc('\n', f);
	for (size_t i = 0; i < t->rows; i++) {
		for (size_t c = 0; c < t->columns; c++) {
			double v = t->cells[i * t->columns + c];

			fputs(c ? "," : "", f);
			if (!isnan(v))
				fprintf(f, "%.9g", v);
		}
		fputc('\n', f);
	}
	return textbuf_close(&buf);
}

/* The same run is known again by its own record, wherever its folder is. */
static char *digest_of(const char *meta, const char *intervals)
{
	/* FNV-1a, 64 bits (G. Fowler, L. C. Noll, K.-P. Vo): no adversary makes runs collide */
	uint64_t h = 14695981039346656037ULL;

	for (int k = 0; k < 2; k++)
		for (const char *s = k ? intervals : meta; *s; s++)
			h = (h ^ (unsigned char)*s) * 1099511628211ULL;
	return xasprintf("%016llx", (unsigned long long)h);
}

static int64_t find_digest(struct history *h, const char *digest)
{
	sqlite3_stmt *st = NULL;
	int64_t id = 0;

	sqlite3_prepare_v2(h->db, "SELECT id FROM runs WHERE digest = ?", -1, &st, NULL);
	sqlite3_bind_text(st, 1, digest, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW)
		id = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return id;
}

static error *insert_figures(struct history *h, int64_t id, const struct run_record *r)
{
	double figures[FIGURE_COUNT];
	error *e = NULL;

	figures_read(r, 0, figures);
	for (int i = 0; i < FIGURE_COUNT && !e; i++) {
		sqlite3_stmt *st = NULL;

		if (!isfinite(figures[i]))
			continue;
		sqlite3_prepare_v2(h->db, "INSERT INTO figures VALUES (?, ?, ?)", -1, &st, NULL);
		sqlite3_bind_int64(st, 1, id);
		sqlite3_bind_text(st, 2, figure_table[i].name, -1, SQLITE_STATIC);
		sqlite3_bind_double(st, 3, figures[i]);
		if (sqlite3_step(st) != SQLITE_DONE)
			e = db_error(h, "add the figures of a run");
		sqlite3_finalize(st);
	}
	return e;
}

static error *insert_run(struct history *h, const char *const columns[8], int64_t *ret_id)
{
	sqlite3_stmt *st = NULL;
	error *e = NULL;

	sqlite3_prepare_v2(
		h->db,
		"INSERT INTO runs (digest, added, started, series, label, dir, meta, intervals) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		-1, &st, NULL);
	for (int i = 0; i < 8; i++)
		sqlite3_bind_text(st, i + 1, columns[i], -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		e = db_error(h, "add a run");
	sqlite3_finalize(st);
	*ret_id = sqlite3_last_insert_rowid(h->db);
	return e;
}

error *history_add(struct history *h, const struct run_record *r, const char *label, int64_t *ret_id,
		   bool *ret_new)
{
	_cleanup_free_ char *meta = json_dumps(r->meta, JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
	_cleanup_free_ char *intervals = intervals_text(r->intervals), *digest = digest_of(meta, intervals);
	_cleanup_free_ char *series = history_series(r), *dir = realpath(r->dir, NULL);
	char now[21];

	if ((*ret_id = find_digest(h, digest))) {
		*ret_new = false;
		return NULL;
	}
	clock_utc_iso(now);
	const char *const columns[8] = { digest,
					 now,
					 or_dash(run_str(r, "started")),
					 series,
					 label ? label : or_dash(run_str(r, "backend.version")),
					 dir ? dir : r->dir,
					 meta,
					 intervals };
	if (sqlite3_exec(h->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return db_error(h, "write to it");
	error *e = insert_run(h, columns, ret_id);
	if (!e)
		e = insert_figures(h, *ret_id, r);
	if (!e && sqlite3_exec(h->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		e = db_error(h, "write to it");
	if (e)
		sqlite3_exec(h->db, "ROLLBACK", NULL, NULL, NULL);
	*ret_new = !e;
	return e;
}

static char *column_text(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);

	return xstrdup(text ? text : "");
}

static error *read_figures(struct history *h, struct history_run *r)
{
	sqlite3_stmt *st = NULL;
	int code;

	for (int i = 0; i < FIGURE_COUNT; i++)
		r->figures[i] = NAN;
	sqlite3_prepare_v2(h->db, "SELECT name, value FROM figures WHERE run = ?", -1, &st, NULL);
	sqlite3_bind_int64(st, 1, r->id);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		int f = figure_by_name((const char *)sqlite3_column_text(st, 0));

		if (f >= 0 && sqlite3_column_type(st, 1) == SQLITE_FLOAT)
			r->figures[f] = sqlite3_column_double(st, 1);
	}
	error *e = code == SQLITE_DONE ? NULL : db_error(h, "read it");
	sqlite3_finalize(st);
	return e;
}

error *history_runs(struct history *h, const char *series, struct history_list *ret)
{
	sqlite3_stmt *st = NULL;
	error *e = NULL;
	int code = SQLITE_DONE;

	*ret = (struct history_list){ 0 };
	if (h->empty)
		return NULL;
	if (sqlite3_prepare_v2(
		    h->db,
		    "SELECT id, started, series, label, dir, baseline FROM runs WHERE ?1 IS NULL OR series = ?1 ORDER BY started, id",
		    -1, &st, NULL) != SQLITE_OK)
		return db_error(h, "read it");
	sqlite3_bind_text(st, 1, series, -1, SQLITE_STATIC);
	while (!e && (code = sqlite3_step(st)) == SQLITE_ROW) {
		ret->items = xrealloc(ret->items, ret->count + 1, sizeof(*ret->items));
		struct history_run *r = &ret->items[ret->count++];
		*r = (struct history_run){
			.id = sqlite3_column_int64(st, 0),
			.started = column_text(st, 1),
			.series = column_text(st, 2),
			.label = column_text(st, 3),
			.dir = column_text(st, 4),
			.baseline = sqlite3_column_int(st, 5),
		};
		e = read_figures(h, r);
	}
	if (!e && code != SQLITE_DONE)
		e = db_error(h, "read it");
	sqlite3_finalize(st);
	return e;
}

void history_list_clear(struct history_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].started);
		free(l->items[i].series);
		free(l->items[i].label);
		free(l->items[i].dir);
	}
	free(l->items);
	*l = (struct history_list){ 0 };
}

error *history_set_baseline(struct history *h, const int64_t *ids, size_t n)
{
	error *e = NULL;

	if (sqlite3_exec(h->db, "BEGIN IMMEDIATE; UPDATE runs SET baseline = 0", NULL, NULL, NULL) !=
	    SQLITE_OK)
		return db_error(h, "write to it");
	for (size_t i = 0; i < n && !e; i++) {
		sqlite3_stmt *st = NULL;

		sqlite3_prepare_v2(h->db, "UPDATE runs SET baseline = 1 WHERE id = ?", -1, &st, NULL);
		sqlite3_bind_int64(st, 1, ids[i]);
		if (sqlite3_step(st) != SQLITE_DONE)
			e = db_error(h, "set the baseline");
		else if (!sqlite3_changes(h->db))
			e = err_new(EXIT_BAD_INPUT,
				    "%s holds no run %lld: 'mvmscale history list' names them", h->path,
				    (long long)ids[i]);
		sqlite3_finalize(st);
	}
	if (sqlite3_exec(h->db, e ? "ROLLBACK" : "COMMIT", NULL, NULL, NULL) != SQLITE_OK && !e)
		e = db_error(h, "set the baseline");
	return e;
}

static error *restore_run(const struct history *h, sqlite3_stmt *st, struct run_record **ret)
{
	_cleanup_(run_record_freep) struct run_record *r = xcalloc(1, sizeof(*r));
	_cleanup_free_ char *meta = column_text(st, 1), *intervals = column_text(st, 2);

	r->dir = xasprintf("%s, run %lld", h->path, (long long)sqlite3_column_int64(st, 0));
	r->meta = json_loads(meta, 0, NULL);
	if (!r->meta)
		return err_new(EXIT_BAD_INPUT,
			       "%s: its record is damaged; remove the database and add the runs again",
			       r->dir);
	error *e = csv_parse(intervals, r->dir, &r->intervals);
	if (!e)
		*ret = STEAL(r);
	return e;
}

error *history_load_baseline(const char *path, struct side *ret)
{
	_cleanup_(history_closep) struct history *h = NULL;
	sqlite3_stmt *st = NULL;
	error *e = history_open(path, HISTORY_READ, &h);
	int code = SQLITE_DONE;

	if (e || !h)
		return e;
	if (!h->empty &&
	    sqlite3_prepare_v2(h->db,
			       "SELECT id, meta, intervals FROM runs WHERE baseline ORDER BY started, id", -1,
			       &st, NULL) != SQLITE_OK)
		return db_error(h, "read it");
	while (st && !e && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct run_record *r = NULL;

		if ((e = restore_run(h, st, &r)))
			break;
		ret->runs = xrealloc(ret->runs, ret->n + 1, sizeof(struct run_record *));
		ret->runs[ret->n++] = r;
	}
	if (!e && code != SQLITE_DONE)
		e = db_error(h, "read it");
	sqlite3_finalize(st);
	if (!e && !ret->n)
		e = err_new(EXIT_BAD_INPUT,
			    "%s has no baseline: set one with 'mvmscale history baseline ID...'", h->path);
	return e;
}
