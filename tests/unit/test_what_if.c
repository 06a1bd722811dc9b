/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables, targets, fleets, reserves, gains, and the ledger of forecasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "advise/accuracy.h"
#include "advise/fleet.h"
#include "advise/published.h"
#include "advise/target.h"
#include "base/fs.h"
#include "ramps.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

static struct run_record *whole_run(enum ramp_kind kind, double share)
{
	struct ramp_made m = {
		.kind = kind, .seed = 5, .n = 41, .end = 1000, .noise = 0.05, .binding = "ram"
	};

	return ramp_record(&m, share);
}

static void set_text(struct run_record *r, const char *section, const char *key, const char *value)
{
	json_t *o = json_object_get(r->meta, section);

	if (!o) {
		o = json_object();
		json_object_set_new(r->meta, section, o);
	}
	json_object_set_new(o, key, json_string(value));
}

static void published_table(void **state)
{
	static const char *const classes[] = { "cpu-bound", "cpu-bound", "ram-bound",  "ram-bound",
					       "ram-bound", "ram-bound", "swap-bound", "swap-bound" };
	_cleanup_(csv_freep) struct csv *t = NULL;
	struct published_row *rows;
	size_t n;

	(void)state;
	assert_null(csv_load("tests/fixtures/paper-table1.csv", &t));
	assert_null(published_classify(t, "table", PUBLISHED_THRESHOLD_PCT, &rows, &n));
	assert_int_equal(n, ARRAY_LEN(classes));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(rows[i].class_name, classes[i]);
		assert_true(strlen(rows[i].reason) > 20);
	}
	assert_near(rows[7].vms, 110239, 0);
	published_free(rows, n);
}

static void odd_tables(void **state)
{
	_cleanup_(csv_freep) struct csv *t = NULL, *none = NULL, *empty = NULL;
	struct published_row *rows;
	size_t n;

	(void)state;
	assert_null(csv_parse("vms,cpu_pct,ram_pct\n10,99,98\n20,50,\n30,,\n40,20,97\n", "t", &t));
	assert_null(published_classify(t, "t", 95, &rows, &n));
	assert_int_equal(rows[0].class, CLASS_INCONCLUSIVE);
	assert_int_equal(rows[1].class, CLASS_UNBOUNDED);
	assert_int_equal(rows[2].class, CLASS_INCONCLUSIVE);
	assert_int_equal(rows[3].class, CLASS_RAM);
	published_free(rows, n);
	assert_null(csv_parse("a,b\n1,2\n", "t", &none));
	_cleanup_err_ error *e = published_classify(none, "t", 95, &rows, &n);
	assert_non_null(e);
	assert_null(csv_parse("cpu_pct\n", "t", &empty));
	_cleanup_err_ error *f = published_classify(empty, "t", 95, &rows, &n);
	assert_non_null(f);
}

static void target_is_met_by_its_host(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = whole_run(RAMP_RAM, 0.8);
	_cleanup_(advice_freep) struct advice *a = NULL, *b = NULL;
	struct host_need need;
	struct host_spec host = { .nodes = (double)NAN, .swap_kb = (double)NAN };

	(void)state;
	assert_null(advise_run(r, 0, &a));
	host_need_of(r, a, 3000, &need);
	assert_near(need.ram_kb / 1e7, (5 + 85 * 3) / 90.0, 0.03);
	assert_near(need.hosts, 4, 0); /* the safe count is a little below 1,000 */
	/* the host it names holds what was asked for */
	host.ram_kb = need.ram_kb;
	host.cores = fmax(need.cores, 4);
	assert_null(advise_run_with(r, &(struct advise_options){ .host = &host, .force = true }, &b));
	assert_true(b->vms >= 3000 && b->vms < 3400);
	host_need_clear(&need);
}

static void reserve_and_overcommit(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = whole_run(RAMP_RAM, 0.9);
	_cleanup_(advice_freep) struct advice *a = NULL, *b = NULL, *c = NULL, *d = NULL;
	struct host_spec nodes = {
		.cores = (double)NAN, .ram_kb = (double)NAN, .swap_kb = (double)NAN, .nodes = 7
	};

	(void)state;
	assert_null(advise_run_with(r, &(struct advise_options){ .reserve_pct = 10 }, &a));
	assert_near(a->vms, (80 - 5) / 85.0 * 1000, 10);
	assert_null(advise_run_with(r, &(struct advise_options){ .overcommit_ram = 1.5 }, &b));
	assert_true(b->projected);
	assert_near(b->vms, (135 - 5) / 85.0 * 1000, 15);
	_cleanup_err_ error *e = advise_run_with(r, &(struct advise_options){ .reserve_pct = 95 }, &c);
	assert_non_null(e);
	assert_null(advise_run_with(r, &(struct advise_options){ .host = &nodes }, &d));
	assert_near(fmod(d->vms, 7), 0, 1e-9);
}

static void force_goes_beyond_reach(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = whole_run(RAMP_RAM, 0.3);
	_cleanup_(advice_freep) struct advice *a = NULL, *b = NULL;

	(void)state;
	assert_null(advise_run(r, 0, &a));
	assert_false(a->ok);
	assert_true(isnan(a->vms));
	assert_null(advise_run_with(r, &(struct advise_options){ .force = true }, &b));
	assert_true(b->ok && b->extrapolated);
	assert_near(b->vms, 1000, 30);
}

static void whatif_are_measured_ones(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = whole_run(RAMP_RAM, 0.9),
						      *half = whole_run(RAMP_RAM, 0.9);
	_cleanup_(advice_freep) struct advice *a = NULL;
	_cleanup_(ini_freep) struct ini_file *ablation = NULL;
	struct run_record *const others[] = { half };
	int ram = csv_column(half->intervals, "ram_pct_mean");

	(void)state;
	for (size_t i = 0; i < half->intervals->rows; i++) {
		double *v = half->intervals->cells + i * half->intervals->columns + ram;

		*v = 5 + (*v - 5) / 2;
	}
	set_text(r, "launch", "mode", "clone");
	set_text(half, "launch", "mode", "fork");
	json_object_set_new(r->meta, "backend",
			    json_pack("{s:{s:{s:b}, s:{s:b}}}", "tuning", "noaslr", "in_force", 0,
				      "lazy-libs", "in_force", 1));
	assert_null(ini_load("profiles/advice/ablation.ini", &ablation));
	assert_null(advise_run(r, 0, &a));
	assert_null(advice_whatif(r, a, others, 1, ablation));
	/* half the memory; but CPU ends it next, and nothing is promised beyond that */
	assert_in_range(a->n_whatif, 1, 2);
	assert_non_null(strstr(a->whatif[0].change, "launch fork instead of clone"));
	assert_near(a->whatif[0].vms, a->vms, 0.05 * a->vms);
	/* 25 kB of 9.4 MB is no gain: one that runs differ by is not offered */
	for (size_t i = 0; i < a->n_whatif; i++)
		assert_null(strstr(a->whatif[i].change, "noaslr"));
}

static void ablation_is_offered_where_it_tells(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = whole_run(RAMP_RAM, 0.9);
	_cleanup_(advice_freep) struct advice *a = NULL;
	_cleanup_(ini_freep) struct ini_file *ablation = NULL;

	(void)state;
	/* the same curve on a small host: 170 kB per VM */
	json_object_set_new(json_object_get(r->meta, "host"), "ram_kb", json_real(200000));
	set_text(r, "launch", "mode", "clone");
	json_object_set_new(r->meta, "backend",
			    json_pack("{s:{s:{s:b}, s:{s:b}, s:{s:b}}}", "tuning", "noaslr", "in_force", 0,
				      "late-threads", "in_force", 0, "lazy-libs", "in_force", 1));
	assert_null(ini_load("profiles/advice/ablation.ini", &ablation));
	assert_null(advise_run(r, 0, &a));
	assert_null(advice_whatif(r, a, NULL, 0, ablation));
	assert_int_equal(a->n_whatif, 2);
	assert_string_equal(a->whatif[0].change, "--tune=+late-threads");
	assert_string_equal(a->whatif[1].change, "--tune=+noaslr");
	assert_near(a->whatif[1].pct, 100 * (170 / 159.0 - 1), 2);
	assert_non_null(strstr(a->whatif[0].source, "ablation"));
}

static void raised_limits_gain_up_to_the_next_end(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = whole_run(RAMP_LIMIT, 0.9);
	_cleanup_(advice_freep) struct advice *a = NULL;
	json_t *limit = json_array_get(json_object_get(r->meta, "limits"), 0);

	(void)state;
	json_object_set_new(limit, "vms_raised", json_integer(900000));
	json_object_set_new(json_object_get(r->meta, "options"), "no_raise", json_true());
	assert_null(advise_run(r, 0, &a));
	assert_string_equal(a->binding, "limit:pid_max");
	assert_null(advice_whatif(r, a, NULL, 0, NULL));
	assert_int_equal(a->n_whatif, 1);
	assert_near(a->whatif[0].vms, 700, 20); /* RAM, 5 + 50 x, is next at 1,700 */
}

static struct fleet fleet_of(struct fleet_kind *h, size_t hosts, struct fleet_demand *d, size_t demands)
{
	return (struct fleet){
		.hosts = h, .n_hosts = hosts, .demands = d, .n_demands = demands, .threshold_pct = 90
	};
}

static void fleets_are_packed(void **state)
{
	struct fleet_kind one[] = { { "a", { 100, 1000 }, 1, INFINITY } };
	/* what needs CPU and what needs RAM go together */
	struct fleet_demand both[] = { { "c", "", 10, { 9, 10 } }, { "m", "", 10, { 1, 90 } } };
	struct fleet f = fleet_of(one, 1, both, 2);
	struct fleet_plan p;

	(void)state;
	fleet_pack(&f, &p);
	assert_near(p.left, 0, 0);
	assert_near(p.bound, 1, 0);
	assert_near(p.used[0], 1, 0);
	fleet_plan_clear(&p);
	both[0].vms = 1000;
	fleet_pack(&f, &p);
	assert_near(p.left, 0, 0);
	assert_true(p.used[0] >= p.bound && p.used[0] <= p.bound * 1.25);
	fleet_plan_clear(&p);
	/* more than there are hosts */
	one[0].most = 2;
	fleet_pack(&f, &p);
	assert_near(p.used[0], 2, 0);
	assert_true(p.left > 900);
	fleet_plan_clear(&p);
}

static void the_last_host_is_a_small_one(void **state)
{
	struct fleet_kind two[] = { { "big", { 1000, 1000 }, 10, INFINITY },
				    { "small", { 100, 100 }, 2, INFINITY } };
	struct fleet_demand d[] = { { "d", "", 105, { 10, 10 } } };
	struct fleet f = fleet_of(two, 2, d, 1);
	struct fleet_plan p;

	(void)state;
	fleet_pack(&f, &p);
	assert_near(p.left, 0, 0);
	assert_near(p.used[0], 1, 0);
	assert_near(p.used[1], 1, 0);
	assert_near(p.price, 12, 0);
	assert_true(p.bound <= p.price);
	fleet_plan_clear(&p);
	d[0].takes[0] = 5000; /* one that no host holds */
	fleet_pack(&f, &p);
	assert_near(p.left, 105, 0);
	fleet_plan_clear(&p);
}

/* A run that forecast `forecast` and ended at `truth`. */
static struct run_record *forecast_run(double forecast, double truth, const char *started)
{
	struct run_record *r = whole_run(RAMP_RAM, 1);

	json_object_set_new(r->meta, "forecast",
			    json_pack("{s:{s:f, s:f, s:f, s:f, s:s}}", "first", "vms", forecast, "lower",
				      forecast - 50, "upper", forecast + 50, "at", 250.0, "resource", "ram"));
	json_object_set_new(r->meta, "vms", json_pack("{s:f}", "reached", truth));
	json_object_set_new(r->meta, "stop", json_pack("{s:s, s:s}", "kind", "threshold", "metric", "ram"));
	json_object_set_new(r->meta, "started", json_string(started));
	set_text(r, "host", "cpu", "a CPU");
	return r;
}

static void the_ledger_remembers(void **state)
{
	char dir[] = "/tmp/mvm-ledger-XXXXXX";
	_cleanup_(advice_freep) struct advice *last = NULL;
	_cleanup_(run_record_freep) struct run_record *asked = whole_run(RAMP_RAM, 1);
	struct forecast_check c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/state/ledger.db", dir);
	set_text(asked, "host", "cpu", "a CPU");
	assert_null(advise_run(asked, 0, &last));
	assert_null(ledger_quote(path, asked, last)); /* there is none yet */
	assert_int_equal(last->record.all_runs, 0);
	assert_false(forecast_check(asked, last, &c)); /* it made no forecast */
	for (int i = 0; i < 5; i++) {
		_cleanup_free_ char *started = xasprintf("2026-01-0%dT00:00:00Z", i + 1);
		_cleanup_(run_record_freep) struct run_record *r = forecast_run(1000 + 10 * i, 1000, started);
		_cleanup_(advice_freep) struct advice *a = NULL;

		if (i == 4)
			set_text(r, "host", "cpu", "another CPU");
		assert_null(advise_run(r, 0, &a));
		assert_true(forecast_check(r, a, &c));
		assert_true(c.counts);
		assert_near(c.error_pct, i, 0.6);
		assert_null(ledger_add(path, r, a, &c));
		assert_null(ledger_add(path, r, a, &c)); /* the same again is no second run */
		forecast_check_clear(&c);
	}
	assert_null(ledger_quote(path, asked, last));
	assert_int_equal(last->record.runs, 4);
	assert_int_equal(last->record.all_runs, 5);
	assert_near(last->record.median_pct, 1.5, 0.6);
	assert_null(fs_write_atomic(path, "not a database at all, but long enough to be one", 48));
	_cleanup_err_ error *e = ledger_quote(path, asked, last);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, path));
	fs_remove_tree(dir);
}

/* How far forecasts stray: a few runs move what is usual a little, many take its place. */
static void the_ledger_says_how_far_hosts_stray(void **state)
{
	char dir[] = "/tmp/mvm-ledger-XXXXXX";
	double strays[100], model_error = 0;

	(void)state;
	assert_near(forecast_model_error(NULL, 0), TREND_WANDER, 1e-9);
	for (size_t i = 0; i < ARRAY_LEN(strays); i++)
		strays[i] = (i % 2 ? 0.1 : -0.1);
	assert_near(forecast_model_error(strays, 2), sqrt((8 * 0.0004 + 2 * 0.01) / 10), 1e-6);
	assert_near(forecast_model_error(strays, 100), 0.096, 0.001);
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/ledger.db", dir);
	assert_null(ledger_wander(path, "a CPU, 4 cores, 10 GiB", &model_error));
	assert_near(model_error, TREND_WANDER, 1e-9);
	for (int i = 0; i < 8; i++) {
		_cleanup_free_ char *started = xasprintf("2026-01-0%dT00:00:00Z", i + 1);
		_cleanup_(run_record_freep) struct run_record *r = forecast_run(1150, 1000, started);
		_cleanup_(advice_freep) struct advice *a = NULL;
		struct forecast_check c;

		assert_null(advise_run(r, 0, &a));
		assert_true(forecast_check(r, a, &c));
		assert_null(ledger_add(path, r, a, &c));
		if (!i)
			model_error = (c.forecast - c.truth) / (c.truth - c.at);
		forecast_check_clear(&c);
	}
	double usual = TREND_WANDER, expected = sqrt((usual * usual + model_error * model_error) / 2);
	_cleanup_(run_record_freep) struct run_record *r = forecast_run(1150, 1000, "2026-02-01T00:00:00Z");
	_cleanup_free_ char *host = ledger_host(r);
	assert_null(ledger_wander(path, host, &model_error));
	assert_near(model_error, expected, 1e-6);
	assert_null(ledger_wander(path, "another host", &model_error));
	assert_near(model_error, usual, 1e-9);
	fs_remove_tree(dir);
}

/* A ledger of the first version: read as empty, kept and renewed by the next entry, and its errors not
 * counted. */
static void old_ledgers_are_renewed(void **state)
{
	static const char old[] =
		"CREATE TABLE forecasts (started TEXT, host TEXT, kernel TEXT, backend TEXT, accel TEXT, preset TEXT, profile TEXT, launch TEXT, threshold REAL, forecast REAL, lower REAL, upper REAL, at "
		"REAL, resource TEXT, stop TEXT, binding TEXT, truth REAL, error_pct REAL, counts INTEGER, ram_kb REAL, core_pct REAL, PRIMARY KEY (started, host, backend, preset, profile, truth));"
		"INSERT INTO forecasts (started, host, error_pct, counts) VALUES ('2026', 'a CPU', 40, 1);PRAGMA user_version = 1;";
	char dir[] = "/tmp/mvm-ledger-XXXXXX";
	_cleanup_(run_record_freep) struct run_record *r = forecast_run(1010, 1000, "2026-01-01T00:00:00Z");
	_cleanup_(advice_freep) struct advice *a = NULL;
	struct forecast_check c;
	sqlite3 *db = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *path = xasprintf("%s/ledger.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, old, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_null(advise_run(r, 0, &a));
	assert_null(ledger_quote(path, r, a));
	assert_int_equal(a->record.all_runs, 0);
	assert_true(forecast_check(r, a, &c));
	assert_null(ledger_add(path, r, a, &c));
	forecast_check_clear(&c);
	assert_null(ledger_quote(path, r, a));
	assert_int_equal(a->record.all_runs, 1);
	assert_true(a->record.all_median_pct < 2);
	fs_remove_tree(dir);
}

/* A run that only reached its --max shows nothing about the forecast of an end. */
static void reaching_max_does_not_count(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = forecast_run(1000, 700, "2026-01-01T00:00:00Z");
	_cleanup_(advice_freep) struct advice *a = NULL;
	struct forecast_check c;

	(void)state;
	json_object_set_new(r->meta, "stop", json_pack("{s:s}", "kind", "max"));
	assert_null(advise_run(r, 0, &a));
	assert_true(forecast_check(r, a, &c));
	assert_false(c.counts);
	forecast_check_clear(&c);
	json_object_set_new(r->meta, "stop", json_pack("{s:s}", "kind", "interrupted"));
	assert_false(forecast_check(r, a, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_table),
		cmocka_unit_test(odd_tables),
		cmocka_unit_test(target_is_met_by_its_host),
		cmocka_unit_test(reserve_and_overcommit),
		cmocka_unit_test(force_goes_beyond_reach),
		cmocka_unit_test(whatif_are_measured_ones),
		cmocka_unit_test(ablation_is_offered_where_it_tells),
		cmocka_unit_test(raised_limits_gain_up_to_the_next_end),
		cmocka_unit_test(fleets_are_packed),
		cmocka_unit_test(the_last_host_is_a_small_one),
		cmocka_unit_test(the_ledger_remembers),
		cmocka_unit_test(the_ledger_says_how_far_hosts_stray),
		cmocka_unit_test(old_ledgers_are_renewed),
		cmocka_unit_test(reaching_max_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
