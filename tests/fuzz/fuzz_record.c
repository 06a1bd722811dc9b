/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The run folder: an input that begins with '{' is a run.json, one with 'v' an intervals.csv, one with 'h' a
 * hosts.csv, one with 't' a samples.csv. No reader of a record has to fear what is accepted here.
 */
#include <math.h>
#include <string.h>

#include "driver.h"
#include "record/hosts.h"
#include "record/read.h"
#include "report/plot_text.h"
#include "report/runtable.h"

static void check_table(const struct csv *t)
{
	for (size_t i = 0; i < t->rows; i++)
		fuzz_must(csv_cell(t, i, "vm_count") >= 0 && isfinite(csv_cell(t, i, "vm_count")),
			  "row %zu has no VMs", i);
}

/* Everything that is said of it. */
static void read_all(struct run_record *r)
{
	static const char *const paths[] = { "name", "host.cpu", "backend.name", "..", "", "stop.kind.x" };
	_cleanup_(strlist_clear) struct strlist parts = { 0 };
	struct run_record *const runs[] = { r, r };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		double v = run_num(r, paths[i]);
		const char *s = run_str(r, paths[i]);

		fuzz_must(isnan(v) || !s, "%s is number and text", paths[i]);
	}
	r->intervals = r->intervals ? r->intervals : xcalloc(1, sizeof(struct csv));
	_cleanup_free_ char *label = run_label(r), *name = plot_run_name(runs, 2, 1),
			    *title = plot_title(runs, 2, NULL);
	plot_subtitle(runs, 2, &parts);
	fuzz_must(run_measured_to(r) >= 0, "measured to %g", run_measured_to(r));
	fuzz_must(!strpbrk(label, "\n\t\x1b"), "a label holds control characters");
	(void)name;
	(void)title;
}

static void try_meta(const char *text, size_t len)
{
	struct run_record *r = xcalloc(1, sizeof(*r));

	r->dir = xstrdup("dir");
	if (!fuzz_refused(run_meta_parse(r, text, len, "run.json"), "run.json"))
		read_all(r);
	run_record_free(r);
}

static void render(struct run_record *r)
{
	for (int f = 0; f < TABLE_FORMAT_COUNT; f++) {
		char *table = NULL;

		err_free(runtable_render(&r, 1, (enum table_format)f, &table));
		free(table);
	}
}

static void try_rows(const char *text, size_t len, const char *file)
{
	struct run_record *r = xcalloc(1, sizeof(*r));
	struct csv *t = NULL, *intervals = NULL;

	r->dir = xstrdup("dir");
	r->meta = json_object();
	if (!fuzz_refused(run_rows_parse(r, text, len, file, &t), file) && t) {
		check_table(t);
		fuzz_must(!t->n_dropped || (r->note && r->rows_lost), "rows are left out without a word");
		error *e = run_intervals_from_samples(t, file, &intervals);
		if (e && e->code == EXIT_INCONCLUSIVE)
			err_free(e); /* all was taken while VMs started or stopped */
		else if (!fuzz_refused(e, file))
			check_table(intervals);
		r->intervals = intervals ? intervals : STEAL(t);
		read_all(r);
		render(r);
	}
	csv_free(t);
	run_record_free(r);
}

static void try_hosts(const char *text)
{
	struct host_curves h;

	if (!fuzz_refused(host_curves_parse(text, "hosts.csv", &h), "hosts.csv"))
		host_curves_clear(&h);
}

static void run(const char *text, size_t len)
{
	if (*text == '{')
		try_meta(text, len);
	else if (*text == 'v')
		try_rows(text, len, "intervals.csv");
	else if (*text == 'h' && !memchr(text, 0, len))
		try_hosts(text);
	else
		try_rows(text, len, "samples.csv");
}

#define NINE \
	"vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,settled"
static const char *const words[] = { "vm_count", "\"format\":1,", "\"state\":\"complete\",",
				     "phase",	 "_mean",	  "_sd",
				     "_pct",	 "\"\"",	  "\r\n",
				     "lost",	 "full",	  NULL };
static const struct fuzz_shape shapes[] = {
	{ NINE "\n", "1,1,1,1,1,1,1,1,1\n", "" },
	{ NINE "\n", "\"1\",,,,,,,,\n", "" },
	{ NINE, ",a", "\n" },
	{ NINE, ",\"a", "\n" },
	{ "time_s,vm_count,cpu_pct,phase\n", "1,2,3,2\n", "" },
	{ "host,state,vm_count\n", "a,ok,1\n", "" },
	{ "host,state,vm_count\n", "a,ok,1\nb,full,2\nc,x,3\nd,x,3\n", "" },
	{ "{\"format\":1,\"state\":\"complete\",\"a\":[", "[],", "1]}" },
	{ "{\"a\":", "[", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "record", .run = run, .words = words, .shapes = shapes, .binary = true
};
