/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the run command says and leaves when the ramp is over. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise/accuracy.h"
#include "advise/verdict.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run.h"
#include "model/fidelity.h"
#include "record/read.h"
#include "report/hosts_plot.h"
#include "report/plot.h"

/* What the forecast was worth; into the ledger with it. */
static json_t *judge_forecast(const struct run_record *r, const struct advice *a)
{
	_cleanup_free_ char *ledger = ledger_path(), *path = NULL, *dump = NULL;
	struct forecast_check c;
	error *e = NULL;

	if (!forecast_check(r, a, &c))
		return NULL;
	json_t *j = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:s, s:b}", "forecast", c.forecast,
			      "lower", c.lower, "upper", c.upper, "at", c.at, "truth", c.truth, "error_pct",
			      c.error_pct, "resource", c.resource, "stop", c.stop, "counts", (int)c.counts);
	path = xasprintf("%s/forecast.json", r->dir);
	dump = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
	e = fs_write_atomic(path, dump, strlen(dump));
	if (!e && ledger)
		e = ledger_add(ledger, r, a, &c);
	if (e)
		cmd_fail(err_wrap(e, "the forecast is not in the ledger"));
	forecast_check_clear(&c);
	return j;
}

static void print_forecast(const json_t *j)
{
	double v[6];
	const char *resource = NULL, *stop = NULL;

	if (j && json_unpack((json_t *)j, "{s:F, s:F, s:F, s:F, s:F, s:F, s:s, s:s}", "forecast", &v[0],
			     "lower", &v[1], "upper", &v[2], "at", &v[3], "truth", &v[4], "error_pct", &v[5],
			     "resource", &resource, "stop", &stop) == 0)
		printf("\nForecast at %.0f VMs: %.0f (95 %% interval %.0f to %.0f) by %s. It was %.0f by %s: %.1f %% off, %s the interval.\n",
		       v[3], v[0], v[1], v[2], resource, v[4], stop, v[5],
		       v[4] >= v[1] - 1 && v[4] <= v[2] + 1 ? "inside" : "outside");
}

/* The figure, and one of each host where there are several. */
static error *draw(struct run_record *r)
{
	struct host_curves h = { 0 };
	error *e = host_curves_load(r->dir, &h);

	for (int i = 0; i < 2 && !e; i++) {
		const char *ending = i ? "png" : "svg";
		_cleanup_free_ char *path = xasprintf("%s/plot.%s", r->dir, ending);
		_cleanup_free_ char *hosts = xasprintf("%s/plot-hosts.%s", r->dir, ending);

		e = plot_runs(&r, 1, NULL, NULL, path);
		if (!e && h.count)
			e = plot_hosts(r, &h, NULL, hosts);
	}
	host_curves_clear(&h);
	return e;
}

static error *write_advice(const struct run_record *r, struct advice *advice, struct aftermath *a)
{
	_cleanup_free_ char *json_path = xasprintf("%s/advice.json", r->dir);
	_cleanup_free_ char *text_path = xasprintf("%s/advice.txt", r->dir);
	_cleanup_free_ char *ledger = ledger_path();
	error *e = advice_complete(r, advice, NULL, 0, ledger);

	if (e)
		cmd_fail(err_wrap(e, "the advice lacks what others measured"));
	a->advice = advice_json(advice);
	a->text = advice_text(advice);
	_cleanup_free_ char *dump = json_dumps(a->advice, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
	e = fs_write_atomic(json_path, dump, strlen(dump));
	return e ? e : fs_write_atomic(text_path, a->text, strlen(a->text));
}

void outcome_finish(const char *dir, struct aftermath *a)
{
	_cleanup_(advice_freep) struct advice *advice = NULL;

	*a = (struct aftermath){ 0 };
	a->unread = run_record_load(dir, &a->record);
	error *e = a->record ? draw(a->record) : err_new(a->unread->code, "%s", a->unread->msg);
	a->plotted = !e;
	if (e)
		cmd_fail(err_wrap(e, "no plot"));
	if (a->record && !(e = advise_run(a->record, 0, &advice))) {
		a->forecast = judge_forecast(a->record, advice);
		e = write_advice(a->record, advice, a);
	}
	if (a->record && e)
		cmd_fail(err_wrap(e, "no advice"));
	if (!a->text)
		a->text = xstrdup("");
}

void aftermath_clear(struct aftermath *a)
{
	run_record_free(a->record);
	err_free(a->unread);
	json_decref(a->advice);
	json_decref(a->forecast);
	free(a->text);
	*a = (struct aftermath){ 0 };
}

void outcome_print_json(const struct run_outcome *out, const struct aftermath *a, int status)
{
	_cleanup_free_ char *dir = text_line(out->dir ? out->dir : "");
	json_t *j = json_pack(
		"{s:s,s:s,s:s?,s:s?,s:o,s:s?,s:i,s:i,s:i,s:i,s:i,s:i,s:o?,s:o?,s:i}", "dir", dir, "stop",
		stop_kind_names[out->stop.kind], "metric", out->stop.metric, "limit", out->stop.limit,
		"value", isfinite(out->stop.value) ? json_real(out->stop.value) : json_null(), "evidence",
		out->stop.evidence, "vms", (int)out->reached, "died", (int)out->died, "failed",
		(int)out->failed, "asked", (int)out->asked, "answered", (int)out->answered, "silent",
		(int)out->silent, "advice", json_incref(a->advice), "forecast", json_incref(a->forecast),
		"exit_status", status);

	cmd_print_json(j, 10);
}

int outcome_status(const struct run_outcome *out)
{
	if (out->stop.kind == STOP_INTERRUPTED)
		return EXIT_INTERRUPTED;
	/* A population that loses members, or has some that do not answer, is not the one that was asked for.
	 */
	if (out->died || out->silent || out->replaced)
		return EXIT_UNTRUSTED;
	return out->stop.kind == STOP_FAILED ? EXIT_CANNOT : EXIT_DONE;
}

int outcome_check_slo(struct aftermath *a, const struct slo *slo, int status)
{
	double figures[FIGURE_COUNT];
	struct slo_result res;

	if (a->unread) {
		int unchecked = cmd_fail(err_wrap(a->unread, "limits not checked"));

		a->unread = NULL;
		return status == EXIT_DONE ? unchecked : status;
	}
	figures_read(a->record, 0, figures);
	slo_check(slo, figures, &res);
	for (size_t i = 0; i < res.broken.count; i++)
		fprintf(stderr, "mvmscale: limit broken: %s\n", res.broken.items[i]);
	for (size_t i = 0; i < res.unchecked.count; i++)
		fprintf(stderr, "mvmscale: %s\n", res.unchecked.items[i]);
	if (status == EXIT_DONE)
		status = (int)slo_status(&res);
	slo_result_clear(&res);
	return status;
}

struct part {
	const char *column, *name;
};

/* " = a 1.0, b 2.0" from the last row, each divided by n; what this kernel does not tell is left out. */
static void print_parts(const struct run_record *r, const struct part *parts, size_t count, double n,
			int digits)
{
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		double v = csv_cell(r->intervals, r->intervals->rows - 1, parts[i].column);

		if (isnan(v))
			continue;
		/* no "-0.0" */
		v = fabs(v / n) < 0.5 * pow(10, -digits) ? 0 : v / n;
		printf("%s%s %.*f", any ? ", " : " = ", parts[i].name, digits, v);
		any = true;
	}
	putchar('\n');
}

/* Where the memory of a VM went, and the CPU: from the last row of the record. */
static void print_ledgers(const struct run_record *r)
{
#define MEMORY_PART(sym, extra, name, words, kernel) { interval_extra_columns[EXTRA_##extra], (words) },
	const struct part memory[] = { COST_PARTS(MEMORY_PART) };
#undef MEMORY_PART
	const struct part cpu[] = {
		{ metric_table[METRIC_CPU_GUESTS].mean, "guests" },
		{ metric_table[METRIC_CPU_HARNESS].mean, "harness" },
		{ metric_table[METRIC_CPU_KSMD].mean, "ksmd" },
		{ metric_table[METRIC_CPU_KDAMOND].mean, "kdamond" },
		{ metric_table[METRIC_CPU_KSWAPD].mean, "kswapd" },
		{ metric_table[METRIC_CPU_KCOMPACTD].mean, "kcompactd" },
		{ metric_table[METRIC_CPU_KOTHER].mean, "other kernel threads" },
		{ metric_table[METRIC_CPU_REST].mean, "the rest" },
	};
	size_t last = r->intervals->rows - 1;
	double n = csv_cell(r->intervals, last, "vm_count");
	double drop = csv_cell(r->intervals, last, interval_extra_columns[EXTRA_LEDGER_DROP]);

	if (!(n > 0) || isnan(drop))
		return;
	printf("\nMemory, kB per VM: %.1f", drop / n);
	print_parts(r, memory, ARRAY_LEN(memory), n, 1);
	printf("CPU, %% of the host: %.2f", csv_cell(r->intervals, last, metric_table[METRIC_CPU].mean));
	print_parts(r, cpu, ARRAY_LEN(cpu), 1, 2);
}

/* Asked and got, where the guests have a waveform: over all intervals with VMs. */
static void print_fidelity(const struct run_record *r)
{
	size_t rows = r->intervals->rows, n = 0;
	double *asked = xcalloc(rows, sizeof(*asked)), *got = xcalloc(rows, sizeof(*got));

	for (size_t i = 0; i < rows; i++) {
		double a = csv_cell(r->intervals, i, metric_table[METRIC_CPU_PREDICTED].mean);
		double g = csv_cell(r->intervals, i, metric_table[METRIC_CPU_GUESTS].mean);

		if (!(csv_cell(r->intervals, i, "vm_count") > 0) || isnan(a) || isnan(g))
			continue;
		asked[n] = a;
		got[n++] = g;
	}
	struct fidelity f = fidelity_of(asked, got, n);
	if (n)
		printf("Waveform, %% of the host: at the last interval predicted %.2f, guests used %.2f; over %zu intervals mean error %+.2f, RMS error %.2f points\n",
		       asked[n - 1], got[n - 1], n, f.mean, f.rms);
	free(asked);
	free(got);
	if (rows && !isnan(csv_cell(r->intervals, rows - 1, "life_got_pct")))
		printf("Since they were ready, the VMs were asked for %.2f %% of a vCPU each and used %.2f %%; the one with the most above it used %+.2f points\n",
		       csv_cell(r->intervals, rows - 1, "life_asked_pct"),
		       csv_cell(r->intervals, rows - 1, "life_got_pct"),
		       csv_cell(r->intervals, rows - 1, "life_over_pct"));
}

void outcome_headline(const struct run_outcome *out, FILE *to)
{
	fprintf(to, "%u VMs; stopped by %s%s%s: %s\n", out->reached, stop_kind_names[out->stop.kind],
		out->stop.limit || out->stop.metric ? " " : "",
		out->stop.limit	   ? out->stop.limit
		: out->stop.metric ? out->stop.metric
				   : "",
		out->stop.evidence ? out->stop.evidence : "");
	if (out->died || out->failed)
		fprintf(to, "%u VMs died and %u did not start: see %s/events.jsonl\n", out->died, out->failed,
			out->dir);
	if (out->silent)
		fprintf(to,
			"%u VMs did not answer when asked, %u of these did later: the others ran and are not counted, so this is no clean measurement; see %s/events.jsonl\n",
			out->silent, out->answered_again, out->dir);
	if (out->replaced)
		fprintf(to,
			"the program of the VMs was replaced by another one, or removed, during the run: "
			"they may be of two "
			"versions: see %s/events.jsonl\n",
			out->dir);
}

void outcome_print(const struct run_outcome *out, const struct aftermath *a)
{
	const struct run_record *r = a->record;

	putchar('\n');
	outcome_headline(out, stdout);
	if (r && r->intervals->rows) {
		print_ledgers(r);
		print_fidelity(r);
	}
	print_forecast(a->forecast);
	if (*a->text)
		printf("\n%s", a->text);
	printf("\nRun folder: %s\n", out->dir);
	if (a->plotted)
		printf("Plot:       %s/plot.png (and plot.svg)\n", out->dir);
}
