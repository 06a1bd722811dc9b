/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/accuracy.h"

#include <libgen.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/db.h"
#include "base/fs.h"
#include "model/stats.h"
#include "record/interval.h"

/* Two runs that end at the same time wait for each other so long. */
#define LEDGER_VERSION 2
/* Errors of forecasts that were made in another way say nothing about those made in this one. */
#define FORECAST_METHOD 2
#define ONE_SD_QUANTILE 0.683

char *ledger_path(void)
{
	return fs_state_path("MVMSCALE_LEDGER", "ledger.db");
}

char *ledger_host(const struct run_record *r)
{
	const char *cpu = run_str(r, "host.cpu");

	/* what no machine did says nothing about one */
	if (run_is_synthetic(r))
		return xstrdup("synthetic");
	return ledger_host_name(cpu, run_num(r, "host.cores"), run_num(r, "host.ram_kb"));
}

char *ledger_host_name(const char *cpu, double cores, double ram_kb)
{
	return xasprintf("%s, %.0f cores, %.0f GiB", cpu && *cpu ? cpu : "unknown CPU", fmax(cores, 0),
			 fmax(ram_kb, 0) / 1048576);
}

double forecast_model_error(double *strays, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strays[i] = fabs(strays[i]);
	double q = n ? quantile(strays, n, ONE_SD_QUANTILE) : 0;
	return sqrt((WANDER_RUNS * TREND_WANDER * TREND_WANDER + (double)n * q * q) /
		    (WANDER_RUNS + (double)n));
}

bool forecast_check(const struct run_record *r, const struct advice *a, struct forecast_check *ret)
{
	const char *resource = run_str(r, "forecast.first.resource"), *stop = run_str(r, "stop.kind");
	struct forecast_check c = {
		.forecast = run_num(r, "forecast.first.vms"),
		.lower = run_num(r, "forecast.first.lower"),
		.upper = run_num(r, "forecast.first.upper"),
		.at = run_num(r, "forecast.first.at"),
	};

	if (!resource || !stop || !isfinite(c.forecast) || str_eq(run_str(r, "state"), "running"))
		return false;
	c.counts = str_eq(stop, "threshold") || str_eq(stop, "limit");
	/* where the curve crossed; a run in steps goes on to the end of its step */
	c.truth = c.counts && a->measured && a->vms > 0 ? a->vms : run_num(r, "vms.reached");
	if (!(c.truth > 0) || str_eq(stop, "interrupted") || str_eq(stop, "failed"))
		return false;
	c.error_pct = 100 * fabs(c.forecast / c.truth - 1);
	c.resource = xstrdup(resource);
	c.stop = xstrdup(stop);
	*ret = c;
	return true;
}

void forecast_check_clear(struct forecast_check *c)
{
	free(c->resource);
	free(c->stop);
	*c = (struct forecast_check){ 0 };
}

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS forecasts (started TEXT, host TEXT, kernel TEXT, backend TEXT, accel TEXT, "
	"preset TEXT, profile TEXT, launch TEXT, threshold REAL, forecast REAL, lower REAL, upper REAL, at REAL, "
	"resource TEXT, stop TEXT, binding TEXT, truth REAL, error_pct REAL, counts INTEGER, ram_kb REAL, core_pct REAL, method INTEGER, PRIMARY KEY (started, host, backend, preset, profile, truth));"
	"PRAGMA user_version = 2;";
/* A ledger of the first version becomes one of this: what it holds was forecast in the first way. */
static const char renew[] =
	"ALTER TABLE forecasts ADD COLUMN method INTEGER DEFAULT 1;PRAGMA user_version = 2;";

static error *fault(sqlite3 *db, const char *path)
{
	return err_new(EXIT_CANNOT, "the ledger %s: %s: move it away or set MVMSCALE_LEDGER to another file",
		       path, db ? db_why(db) : "out of memory");
}

/* *ret stays NULL where there is nothing to be read yet. */
static error *open_db(const char *path, bool create, sqlite3 **ret)
{
	_cleanup_(db_close) sqlite3 *db = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* a named pipe would be waited for */
		return err_new(EXIT_CANNOT,
			       "the ledger %s is no regular file: set MVMSCALE_LEDGER to another file", path);
	if (!db_open(path, create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY, &db))
		return fault(db, path);
	int version = db_number(db, "PRAGMA user_version");
	if (version < 0)
		return fault(db, path);
	if (version > LEDGER_VERSION)
		return err_new(
			EXIT_BAD_INPUT,
			"the ledger %s has version %d, this mvmscale reads %d: set MVMSCALE_LEDGER to another file",
			path, version, LEDGER_VERSION);
	if (version < LEDGER_VERSION && !create)
		return NULL; /* the next run with a forecast writes it */
	if (version < LEDGER_VERSION &&
	    sqlite3_exec(db, version ? renew : schema, NULL, NULL, NULL) != SQLITE_OK)
		return fault(db, path);
	*ret = STEAL(db);
	return NULL;
}

static void bind_text(sqlite3_stmt *st, int i, const char *v)
{
	sqlite3_bind_text(st, i, v ? v : "", -1, SQLITE_TRANSIENT);
}

static void bind_real(sqlite3_stmt *st, int i, double v)
{
	if (isfinite(v))
		sqlite3_bind_double(st, i, v);
	else
		sqlite3_bind_null(st, i);
}

error *ledger_add(const char *path, const struct run_record *r, const struct advice *a,
		  const struct forecast_check *c)
{
	static const char sql[] =
		"INSERT OR IGNORE INTO forecasts VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22)";
	_cleanup_(db_close) sqlite3 *db = NULL;
	_cleanup_free_ char *host = ledger_host(r), *copy = xstrdup(path);
	sqlite3_stmt *st = NULL;
	error *e = fs_mkdirs(dirname(copy));

	if (e)
		return err_wrap(e, "the ledger of forecasts");
	e = open_db(path, true, &db);
	if (e)
		return e;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return fault(db, path);
	const char *const texts[] = { run_str(r, "started"),	   host,
				      run_str(r, "host.kernel"),   run_str(r, "backend.name"),
				      run_str(r, "backend.accel"), run_str(r, "preset"),
				      run_str(r, "profile"),	   run_str(r, "launch.mode") };
	const double reals[] = { a->threshold_pct, c->forecast, c->lower, c->upper, c->at };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bind_text(st, 1 + (int)i, texts[i]);
	for (size_t i = 0; i < ARRAY_LEN(reals); i++)
		bind_real(st, 9 + (int)i, reals[i]);
	bind_text(st, 14, c->resource);
	bind_text(st, 15, c->stop);
	bind_text(st, 16, a->binding);
	bind_real(st, 17, c->truth);
	bind_real(st, 18, c->error_pct);
	sqlite3_bind_int(st, 19, c->counts);
	bind_real(st, 20, a->ram_kb);
	bind_real(st, 21, a->core_pct);
	sqlite3_bind_int(st, 22, FORECAST_METHOD);
	int status = sqlite3_step(st);
	sqlite3_finalize(st);
	return status == SQLITE_DONE ? NULL : fault(db, path);
}

/* A figure of the forecasts that count, of one host or (NULL) all, one a row; the caller frees *ret. */
static error *figures_of(sqlite3 *db, const char *path, const char *host, const char *figure, double **ret,
			 size_t *n)
{
	_cleanup_free_ char *sql = xasprintf(
		"SELECT %s AS figure FROM forecasts WHERE counts = 1 AND figure IS NOT NULL AND method = %d AND (?1 IS NULL OR host = ?1)",
		figure, FORECAST_METHOD);
	sqlite3_stmt *st = NULL;

	*ret = NULL;
	*n = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return fault(db, path);
	if (host)
		bind_text(st, 1, host);
	while (sqlite3_step(st) == SQLITE_ROW) {
		*ret = xrealloc(*ret, *n + 1, sizeof(**ret));
		(*ret)[(*n)++] = sqlite3_column_double(st, 0);
	}
	sqlite3_finalize(st);
	return NULL;
}

static error *errors_of(sqlite3 *db, const char *path, const char *host, size_t *n, double *median,
			double *p90)
{
	_cleanup_free_ double *v = NULL;
	error *e = figures_of(db, path, host, "error_pct", &v, n);

	if (e)
		return e;
	*median = quantile(v, *n, 0.5);
	*p90 = quantile(v, *n, 0.9);
	return NULL;
}

error *ledger_wander(const char *path, const char *host, double *ret)
{
	_cleanup_(db_close) sqlite3 *db = NULL;
	_cleanup_free_ double *v = NULL;
	size_t n = 0;
	error *e = access(path, F_OK) == 0 ? open_db(path, false, &db) : NULL;

	if (!e && db)
		e = figures_of(db, path, host,
			       "CASE WHEN truth > at THEN (forecast - truth) / (truth - at) END", &v, &n);
	if (!e)
		*ret = forecast_model_error(v, n);
	return e;
}

/* The newest run of each other configuration with the same profile on such a host. */
static error *offer_past(sqlite3 *db, const char *path, const struct run_record *r, const char *host,
			 struct advice *a)
{
	static const char sql[] =
		"SELECT preset, launch, accel, ram_kb, core_pct, max(started) FROM forecasts WHERE host = ?1 AND profile = ?2 AND NOT (preset = ?3 AND launch = ?4 AND accel = ?5) GROUP "
		"BY preset, launch, accel";
	const char *const keys[] = { host, run_str(r, "profile"), run_str(r, "preset"),
				     run_str(r, "launch.mode"), run_str(r, "backend.accel") };
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return fault(db, path);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		bind_text(st, 1 + (int)i, keys[i]);
	while (sqlite3_step(st) == SQLITE_ROW) {
		struct past_run p = { .ram_kb = (double)NAN, .core_pct = (double)NAN };

		if (sqlite3_column_type(st, 3) != SQLITE_NULL)
			p.ram_kb = sqlite3_column_double(st, 3);
		if (sqlite3_column_type(st, 4) != SQLITE_NULL)
			p.core_pct = sqlite3_column_double(st, 4);
		p.what = xasprintf("preset %s, launch %s, accelerator %s", sqlite3_column_text(st, 0),
				   sqlite3_column_text(st, 1), sqlite3_column_text(st, 2));
		advice_whatif_past(a, &p);
		free(p.what);
	}
	sqlite3_finalize(st);
	return NULL;
}

error *ledger_quote(const char *path, const struct run_record *r, struct advice *a)
{
	_cleanup_(db_close) sqlite3 *db = NULL;
	_cleanup_free_ char *host = ledger_host(r);

	if (access(path, F_OK) != 0)
		return NULL;
	error *e = open_db(path, false, &db);
	if (!e && !db)
		return NULL;
	if (!e)
		e = errors_of(db, path, host, &a->record.runs, &a->record.median_pct, &a->record.p90_pct);
	if (!e)
		e = errors_of(db, path, NULL, &a->record.all_runs, &a->record.all_median_pct,
			      &a->record.all_p90_pct);
	if (!e && !a->projected)
		e = offer_past(db, path, r, host, a);
	return e;
}

error *advice_complete(const struct run_record *r, struct advice *a, struct run_record *const *others,
		       size_t n_others, const char *ledger)
{
	_cleanup_free_ char *path = fs_find_data("advice", "ablation.ini");
	_cleanup_(ini_freep) struct ini_file *ablation = NULL;
	error *e = path ? ini_load(path, &ablation) : NULL;

	if (!e)
		e = advice_whatif(r, a, others, n_others, ablation);
	if (!e && ledger)
		e = ledger_quote(ledger, r, a);
	return e;
}
