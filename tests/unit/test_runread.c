/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/util.h"
#include "model/thin.h"
#include "record/read.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
#define RUNS "tests/fixtures/runs/"

static void ends(enum exit_code code, const char *dir, const char *const *words)
{
	struct run_record *r = NULL;
	_cleanup_err_ error *e = run_record_load(dir, &r);

	assert_non_null(e);
	assert_null(r);
	assert_int_equal(e->code, code);
	for (; *words; words++)
		if (!strstr(e->msg, *words))
			fail_msg("'%s' lacks '%s'", e->msg, *words);
}

static void refused(const char *dir, const char *const *words)
{
	ends(EXIT_BAD_INPUT, dir, words);
}

static struct run_record *loaded(const char *dir)
{
	struct run_record *r = NULL;
	_cleanup_err_ error *e = run_record_load(dir, &r);

	if (e)
		fail_msg("%s", e->msg);
	return r;
}

static void reads_whole_run(void **state)
{
	(void)state;
	_cleanup_(run_record_freep) struct run_record *r = loaded(RUNS "sleep/");
	_cleanup_free_ char *label = run_label(r);

	assert_false(r->partial);
	assert_null(r->note);
	assert_string_equal(r->dir, RUNS "sleep");
	assert_int_equal(r->intervals->rows, 21);
	assert_string_equal(label, "qemu dense sleep");
	assert_string_equal(run_str(r, "host.kernel"), "6.18.5");
	assert_near(run_num(r, "host.cores"), 2, 0);
	assert_near(run_measured_to(r), 46000, 0);
	assert_null(run_str(r, "host.nothing.deeper"));
	assert_null(run_str(r, "host.cores"));
	assert_true(isnan(run_num(r, "host.kernel")));
	assert_true(isnan(run_num(r, "absent")));
}

static void name_is_the_label(void **state)
{
	(void)state;
	_cleanup_(run_record_freep) struct run_record *r = loaded(RUNS "swap");
	_cleanup_free_ char *label = run_label(r);

	assert_string_equal(label, "host with 'swap' & zram_1");
}

static void killed_run_is_derived(void **state)
{
	(void)state;
	_cleanup_(run_record_freep) struct run_record *r = loaded(RUNS "killed");

	assert_true(r->partial);
	assert_non_null(strstr(r->note, "has not ended"));
	assert_non_null(strstr(r->note, "derived from samples.csv"));
	assert_non_null(strstr(r->note, "was cut"));
	assert_int_equal(r->intervals->rows, 6);
	assert_near(csv_cell(r->intervals, 5, "vm_count"), 5000, 0);
	assert_near(csv_cell(r->intervals, 5, "samples"), 5, 0);
	assert_near(csv_cell(r->intervals, 5, "ram_pct_mean"), 64, 1);
	assert_true(csv_cell(r->intervals, 5, "ram_pct_sd") > 0);
	assert_true(isnan(csv_cell(r->intervals, 5, "settled")));
	assert_near(csv_cell(r->intervals, 1, "slab_kb_mean"), 210000, 1e-6);
}

static void cut_line_is_left_out(void **state)
{
	(void)state;
	_cleanup_(run_record_freep) struct run_record *r = loaded(RUNS "cut-intervals");

	assert_true(r->partial);
	assert_non_null(strstr(r->note, "intervals.csv was cut"));
	assert_int_equal(r->intervals->rows, 5);
}

static void damage_is_named(void **state)
{
	(void)state;
	refused(RUNS "damaged-json", (const char *const[]){ "run.json", "line 2", "damaged", NULL });
	refused(RUNS "damaged-column",
		(const char *const[]){ "intervals.csv", "line 1", "cpu_pct_sd", NULL });
	refused(RUNS "no-json", (const char *const[]){ "no-json", "run.json", "mvmscale run", NULL });
	refused(RUNS "nowhere", (const char *const[]){ "nowhere", "mvmscale run", NULL });
}

/* A folder with the given files; the caller removes it. */
static char *made(const char *json, const char *intervals, const char *samples)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = xasprintf("%s/mvm-runread-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
	const char *const names[] = { "run.json", "intervals.csv", "samples.csv" };
	const char *const texts[] = { json, intervals, samples };

	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < 3; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]);

		if (texts[i])
			assert_null(fs_write_atomic(path, texts[i], strlen(texts[i])));
	}
	return dir;
}

#define HEADER                                                                                        \
	"vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples," \
	"settled\n"
#define RUN "{\"format\":1,\"state\":\"complete\",\"vms\":{\"died\":0}}"
#define RUNNING "{\"format\":1,\"state\":\"running\"}"

static void wrong_metadata(void **state)
{
	static const char *const json[] = { "[]", "{}", "{\"format\":2,\"state\":\"complete\"}",
					    "{\"format\":1}", "" };
	static const char *const words[] = { "object", "format", "format 2", "state", "line 1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(json); i++) {
		_cleanup_free_ char *dir = made(json[i], HEADER "0,1,1,1,1,0,0,3,1\n", NULL);

		refused(dir, (const char *const[]){ words[i], NULL });
		fs_remove_tree(dir);
	}
}

/* A record with these rows: how many are kept, and what the note says. */
static void keeps(const char *json, const char *rows, size_t kept, const char *words)
{
	_cleanup_free_ char *text = xasprintf(HEADER "%s", rows);
	_cleanup_free_ char *dir = made(json, text, NULL);
	_cleanup_(run_record_freep) struct run_record *r = loaded(dir);

	if (r->intervals->rows != kept || (words && (!r->note || !strstr(r->note, words))))
		fail_msg("%zu rows, note '%s' instead of %zu, '%s', of:\n%s", r->intervals->rows,
			 r->note ? r->note : "", kept, words ? words : "", rows);
	assert_int_equal(r->note != NULL, words != NULL);
	fs_remove_tree(dir);
}

/* What cannot be is left out by its line; the good rows stay. */
static void damaged_rows_go(void **state)
{
	static const struct {
		const char *rows, *note;
		size_t kept;
	} of[] = {
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1\n20,1,1,6,1,0,0,3,1\n", NULL, 3 },
		{ "0,1,1,4,1,0,0,3,1\n10,-40,1,5,1,0,0,3,1\n20,1,1,6,1,0,0,3,1\n",
		  "line 3 has cpu_pct_mean -40", 2 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,150,1,0,0,3,1\n20,1,1,6,1,0,0,3,1\n",
		  "line 3 has ram_pct_mean 150", 2 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,111,0,3,1\n", "line 3 has swap_pct_mean 111", 1 },
		/* counters move in ticks */
		{ "0,-0.2,1,4,1,0,0,3,1\n10,104,1,5,1,0,0,3,1\n", NULL, 2 },
		{ "0,1,1,4,1,0,0,3,1\n1e308,1,1,5,1,0,0,3,1\n", "no host runs so many", 1 },
		{ "0,1,1,4,1,0,0,3,1\n-5,1,1,5,1,0,0,3,1\n", "line 3 has a vm_count that is not", 1 },
		{ "0,1,1,4,1,0,0,3,1\nnan,1,1,5,1,0,0,3,1\n", "line 3 has a vm_count that is not", 1 },
		{ "0,1,1,4,1,0,0,3,1\ninf,1,1,5,1,0,0,3,1\n", "line 3 has a vm_count that is not", 1 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,9e99,5,1,0,0,3,1\n", "line 3 has cpu_pct_sd 9e+99", 1 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5\n20,1,1,6,1,0,0,3,1\n",
		  "line 3 has 4 fields, the header has 9", 2 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1,7\n20,1,1,6,1,0,0,3,1\n", "line 3 has 10 fields",
		  2 },
		{ "0,1,1,4,1,0,0,3,1\n\n10,1,1,5,1,0,0,3,1\n", NULL, 2 },
		/* the odd one goes, whichever it is */
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1\n5000,1,1,6,1,0,0,3,1\n30,1,1,7,1,0,0,3,1\n40,1,1,8,1,0,0,3,1\n",
		  "line 4 has a vm_count of 5000, out of order", 4 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1\n5,1,1,6,1,0,0,3,1\n30,1,1,7,1,0,0,3,1\n40,1,1,8,1,0,0,3,1\n",
		  "out of order", 4 },
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1\n10,1,1,6,1,0,0,3,1\n30,1,1,7,1,0,0,3,1\n",
		  "line 4 has a vm_count of 10, as line 3 has", 3 },
		/* a last step that found no room */
		{ "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1\n10,1,1,6,1,0,0,3,1\n", NULL, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		keeps(RUN, of[i].rows, of[i].kept, of[i].note);
	/* where VMs died the population may shrink */
	keeps("{\"format\":1,\"state\":\"complete\",\"vms\":{\"died\":5}}",
	      "0,1,1,4,1,0,0,3,1\n10,1,1,5,1,0,0,3,1\n5,1,1,6,1,0,0,3,1\n", 3, NULL);
	/* arithmetic may ask for more than there is */
	keeps("{\"format\":1,\"state\":\"complete\",\"backend\":{\"name\":\"null\"}}",
	      "0,1,1,4,1,0,0,3,1\n10,1,1,140,1,0,0,3,1\n", 2, NULL);
}

static void losses_explain_fewer(void **state)
{
	static const char *const text =
		"vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,settled,died\n0,1,1,4,1,0,0,3,1,0\n40,1,1,4,1,0,0,3,1,0\n"
		"30,1,1,4,1,0,0,3,1,10\n20,1,1,4,1,0,0,3,1,10\n50,1,1,4,1,0,0,3,1,10\n";
	_cleanup_free_ char *dir = made(RUN, text, NULL);
	_cleanup_(run_record_freep) struct run_record *r = loaded(dir);

	(void)state;
	assert_int_equal(r->intervals->rows, 4);
	assert_non_null(strstr(r->note, "line 5 has a vm_count of 20, out of order"));
	fs_remove_tree(dir);
}

static void silence_explains_fewer(void **state)
{
	static const char *const text =
		"vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,settled,died,unproven\n0,1,1,4,1,0,0,3,1,0,0\n40,1,1,4,1,0,0,3,1,0,0\n"
		"30,1,1,4,1,0,0,3,1,0,50\n0,1,1,4,1,0,0,3,1,1,119\n140,1,1,4,1,0,0,3,1,10,10\n";
	_cleanup_free_ char *dir = made(RUN, text, NULL);
	_cleanup_(run_record_freep) struct run_record *r = loaded(dir);

	(void)state;
	assert_int_equal(r->intervals->rows, 5);
	assert_null(r->note);
	fs_remove_tree(dir);
}

/* Ten thousand bad rows take three of them to tell, and no time. */
static void many_bad_rows(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fputs(HEADER "0,1,1,4,1,0,0,3,1\n", f);
	for (int i = 1; i <= 100000; i++)
		fprintf(f, "%d,%d,1,5,1,0,0,3,1\n", i, i % 2 ? -400 : 1);
	fclose(f);
	_cleanup_free_ char *dir = made(RUN, text, NULL);
	_cleanup_(run_record_freep) struct run_record *r = loaded(dir);
	assert_int_equal(r->intervals->rows, 50001);
	assert_non_null(strstr(r->note, "50000 damaged rows"));
	assert_non_null(strstr(r->note, "and 49997 more"));
	fs_remove_tree(dir);
	free(text);
}

/* A long record keeps its ends, its shape and all that were asked. */
static void long_records_are_thinned(void **state)
{
	char *text = NULL;
	size_t size = 0;
	double asked = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fputs("vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,settled,ping_asked\n",
	      f);
	for (int i = 0; i < 30000; i++)
		fprintf(f, "%d,1,1,%g,1,0,0,3,1,%d\n", i, 4 + i / 1e3, i ? 2 : 0);
	fclose(f);
	_cleanup_free_ char *dir = made(RUN, text, NULL);
	_cleanup_(run_record_freep) struct run_record *r = loaded(dir),
						      *whole = loaded("tests/fixtures/runs/sleep");
	run_record_thin(r);
	assert_int_equal(r->intervals->rows, THIN_ROWS);
	assert_int_equal(r->rows_thinned, 30000 - THIN_ROWS);
	assert_near(csv_cell(r->intervals, 0, "vm_count"), 0, 0);
	assert_near(run_measured_to(r), 29999, 0);
	for (size_t i = 0; i < r->intervals->rows; i++) {
		asked += csv_cell(r->intervals, i, "ping_asked");
		assert_near(csv_cell(r->intervals, i, "ram_pct_mean"),
			    4 + csv_cell(r->intervals, i, "vm_count") / 1e3, 1e-3);
	}
	assert_near(asked, 2 * 29999, 0);
	assert_non_null(strstr(r->note, "of its 30000 intervals 2000 were used"));
	run_record_thin(whole);
	assert_int_equal(whole->intervals->rows, 21);
	assert_null(whole->note);
	fs_remove_tree(dir);
	free(text);
}

/* Bytes that are no text, and lines without end, cost their line only. */
static void odd_bytes(void **state)
{
	static const char zero[] = HEADER "0,1,1,4,1,0,0,3,1\n10,1\0,1,5,1,0,0,3,1\n20,1,1,6,1,0,0,3,1\n";
	_cleanup_(csv_freep) struct csv *t = NULL, *u = NULL, *v = NULL;
	_cleanup_free_ char *crlf = xasprintf("\xef\xbb\xbf%s", "a,b\r\n1,2\r\n3,4\r\n"), *long_line = NULL;

	(void)state;
	assert_null(csv_parse_good(zero, sizeof(zero) - 1, "x.csv", &t));
	assert_int_equal(t->rows, 2);
	assert_non_null(strstr(t->dropped.items[0], "line 3 holds a zero byte"));
	assert_null(csv_parse_good(crlf, strlen(crlf), "x.csv", &u));
	assert_int_equal(u->rows, 2);
	assert_near(csv_cell(u, 1, "b"), 4, 0);
	long_line = xcalloc(CSV_LINE_MAX + 100, 1);
	memset(long_line, '1', CSV_LINE_MAX + 50);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(long_line, "a\n", 2);
	memcpy(long_line + CSV_LINE_MAX + 20, "\n7\n", 4);
	assert_null(csv_parse_good(long_line, CSV_LINE_MAX + 23, "x.csv", &v));
	assert_int_equal(v->rows, 1);
	assert_near(csv_cell(v, 0, "a"), 7, 0);
	assert_non_null(strstr(v->dropped.items[0], "longer than"));
}

/* A named pipe without a writer would be waited for for ever. */
static void no_pipe_is_waited_for(void **state)
{
	static const char *const files[] = { "run.json", "intervals.csv", "samples.csv" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *dir = made(RUN, i == 2 ? NULL : HEADER "0,1,1,1,1,0,0,3,1\n", NULL);
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, files[i]);

		unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0);
		refused(dir, (const char *const[]){ files[i], "named pipe", NULL });
		fs_remove_tree(dir);
	}
}

/* Every moment at which a harness can be killed. */
static void killed_at_any_moment(void **state)
{
	static const char *const early[] = { NULL, "", "vm_cou", HEADER, HEADER "0,1" };
	static const char *const samples =
		"time_s,vm_count,cpu_pct,ram_pct,swap_pct\n1,0,2,4,0\n2,0,4,4,0\n3,0";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(early); i++) {
		_cleanup_free_ char *dir = made(RUNNING, early[i], samples);
		_cleanup_(run_record_freep) struct run_record *r = loaded(dir);

		assert_int_equal(r->intervals->rows, 1);
		assert_near(csv_cell(r->intervals, 0, "cpu_pct_mean"), 3, 1e-9);
		assert_near(csv_cell(r->intervals, 0, "cpu_pct_sd"), sqrt(2), 1e-9);
		fs_remove_tree(dir);
		_cleanup_free_ char *none = made(RUNNING, early[i], "time_s,vm_c");
		ends(EXIT_INCONCLUSIVE, none, (const char *const[]){ "usable row", "run again", NULL });
		fs_remove_tree(none);
	}
}

static void only_population_at_rest_counts(void **state)
{
	struct csv *samples = NULL, *t = NULL;

	(void)state;
	assert_null(csv_parse("vm_count,cpu_pct,ram_pct,swap_pct,phase\n"
			      "0,1,4,0,2\n50,90,5,0,0\n100,80,6,0,1\n100,2,6,0,2\n100,4,,0,2\n70,60,5,0,3\n",
			      "samples", &samples));
	assert_null(run_intervals_from_samples(samples, "samples", &t));
	assert_int_equal(t->rows, 2);
	assert_near(csv_cell(t, 1, "vm_count"), 100, 0);
	assert_near(csv_cell(t, 1, "cpu_pct_mean"), 3, 1e-9);
	assert_near(csv_cell(t, 1, "ram_pct_mean"), 6, 1e-9);
	csv_free(t);
	csv_free(samples);
	assert_null(csv_parse("vm_count,cpu_pct,ram_pct,swap_pct,phase\n0,1,4,0,0\n", "samples", &samples));
	_cleanup_err_ error *e = run_intervals_from_samples(samples, "samples", &t);
	assert_non_null(strstr(e->msg, "at rest"));
	csv_free(samples);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_whole_run),
		cmocka_unit_test(name_is_the_label),
		cmocka_unit_test(killed_run_is_derived),
		cmocka_unit_test(cut_line_is_left_out),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(wrong_metadata),
		cmocka_unit_test(damaged_rows_go),
		cmocka_unit_test(losses_explain_fewer),
		cmocka_unit_test(silence_explains_fewer),
		cmocka_unit_test(long_records_are_thinned),
		cmocka_unit_test(many_bad_rows),
		cmocka_unit_test(odd_bytes),
		cmocka_unit_test(no_pipe_is_waited_for),
		cmocka_unit_test(killed_at_any_moment),
		cmocka_unit_test(only_population_at_rest_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
