/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_TESTS_SCATTER_H
#define MVM_TESTS_SCATTER_H

/*
 * How real runs of one configuration scatter, in a few numbers: taken from run folders, kept in a file
 * (tests/fixtures/compare/scatter.csv), and drawn from by simulated comparisons.
 *
 * Each column of a run is a line over the VM count, given by its values at no VMs and at the most, and what
 * is left around it. Runs differ in both values; a part of that is the scatter within them, for lines are
 * estimates.
 */
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "compare/compare.h"
#include "model/fit.h"
#include "model/stats.h"

/* X(symbol, column of intervals.csv): what the figures are made of. */
#define SCATTER_COLUMNS(X)                \
	X(MEMORY, "ledger_drop_kb")       \
	X(PSS, "guest_pss_kb_mean")       \
	X(CPU, "cpu_pct_mean")            \
	X(BOOT_P50, "boot_p50_ms")        \
	X(BOOT_P99, "boot_p99_ms")        \
	X(LAUNCH, "launch_cpu_ms_per_vm") \
	X(WAKE_P50, "wake_p50_ms")        \
	X(WAKE_P99, "wake_p99_ms")        \
	X(TEARDOWN, "teardown_ms") /* one value of a run: of run.json */

enum scatter_column {
#define SCATTER_SYMBOL(sym, name) SCATTER_##sym,
	SCATTER_COLUMNS(SCATTER_SYMBOL)
#undef SCATTER_SYMBOL
		SCATTER_COUNT
};
static const char *const scatter_names[SCATTER_COUNT] = {
#define SCATTER_NAME(sym, name) name,
	SCATTER_COLUMNS(SCATTER_NAME)
#undef SCATTER_NAME
};

/* The numbers of a column, in the order of the file; X(name). */
#define SCATTER_NUMBERS(X)                                                                         \
	X(at_none) /* median over runs of their line at no VMs */                                  \
	X(at_top)  /* and at the most */                                                           \
	X(sd_none) /* spread between runs of both (median absolute deviation * 1.4826) */          \
	X(sd_top)                                                                                  \
	X(together)   /* their rank correlation over runs */                                       \
	X(drift)      /* rank correlation of at_top with that of the next run */                   \
	X(sd_within)  /* spread of intervals around the line of their run */                       \
	X(lag_within) /* correlation of what is left with that of the next interval */             \
	X(far_share)  /* share of values more than 3.5 spreads off: of runs and intervals alike */ \
	X(far)	      /* their root mean square, in spreads */

struct scatter_numbers {
#define SCATTER_MEMBER(name) double name;
	SCATTER_NUMBERS(SCATTER_MEMBER)
#undef SCATTER_MEMBER
};

struct scatter {
	double top;   /* the most VMs */
	double steps; /* intervals with VMs */
	double runs;  /* it was taken from */
	struct scatter_numbers of[SCATTER_COUNT];
};

/* Beyond this many spreads a value is far off: of normal noise one in 2,000. */
#define SCATTER_FAR 3.5

/* 1.4826 times the median distance from the median: for normal noise the standard deviation. */
static inline double scatter_spread(const double *v, size_t n)
{
	_cleanup_free_ double *off = xcalloc(n + 1, sizeof(*off));
	double m = median_of(v, n);

	for (size_t i = 0; i < n; i++)
		off[i] = fabs(v[i] - m);
	return 1.4826 * median_of(off, n);
}

static inline double scatter_rank_correlation(const double *x, const double *y, size_t n)
{
	_cleanup_free_ double *work = xcalloc(2 * n + 1, sizeof(*work));

	return n < 4 ? 0 : gsl_stats_spearman(x, 1, y, 1, n, work);
}

/* What is left of a column around the lines, of all runs one after the other. */
struct scatter_rest {
	double *v;
	size_t n;
	double before_after, squares; /* sums for the correlation of neighbours */
};

/* The line of one run's column; what is left goes into *rest. */
static inline bool scatter_line(const struct run_record *r, const char *column, double top, double ret[2],
				struct scatter_rest *rest)
{
	const struct csv *t = r->intervals;
	_cleanup_free_ double *x = xcalloc(t->rows + 1, sizeof(*x)), *y = xcalloc(t->rows + 1, sizeof(*y));
	size_t n = 0;
	struct line_fit f;

	for (size_t i = 0; i < t->rows; i++) {
		x[n] = csv_cell(t, i, "vm_count");
		y[n] = csv_cell(t, i, column);
		n += x[n] > 0 && isfinite(y[n]);
	}
	if (!fit_line(x, y, n, &f))
		return false;
	ret[0] = f.a;
	ret[1] = f.a + f.b * top;
	rest->v = xrealloc(rest->v, rest->n + n, sizeof(*rest->v));
	for (size_t i = 0; i < n; i++) {
		double left = y[i] - f.a - f.b * x[i];

		rest->v[rest->n++] = left;
		rest->squares += left * left;
		rest->before_after += i ? left * rest->v[rest->n - 2] : 0;
	}
	return true;
}

static inline void scatter_count_far(const double *v, size_t n, double middle, double spread, size_t *seen,
				     size_t *far, double *squares)
{
	for (size_t i = 0; i < n && spread > 0; i++) {
		double z = fabs(v[i] - middle) / spread;

		(*seen)++;
		*far += z > SCATTER_FAR;
		*squares += z > SCATTER_FAR ? z * z : 0;
	}
}

static inline struct scatter_numbers scatter_of_column(const struct side *s, enum scatter_column c,
						       double top)
{
	struct scatter_numbers m = { 0 };
	struct scatter_rest rest = { 0 };
	double *ends[2] = { xcalloc(s->n + 1, sizeof(double)), xcalloc(s->n + 1, sizeof(double)) }, pair[2];
	size_t n = 0, seen = 0, far = 0;
	double squares = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (c == SCATTER_TEARDOWN) {
			pair[0] = pair[1] = 1000 * run_num(s->runs[i], "teardown.seconds") /
					    run_num(s->runs[i], "teardown.vms");
			if (!isfinite(pair[0]))
				continue;
		} else if (!scatter_line(s->runs[i], scatter_names[c], top, pair, &rest)) {
			continue;
		}
		ends[0][n] = pair[0];
		ends[1][n++] = pair[1];
	}
	m.at_none = median_of(ends[0], n);
	m.at_top = median_of(ends[1], n);
	m.sd_none = scatter_spread(ends[0], n);
	m.sd_top = scatter_spread(ends[1], n);
	m.together = scatter_rank_correlation(ends[0], ends[1], n);
	m.drift = scatter_rank_correlation(ends[1], ends[1] + 1, n ? n - 1 : 0);
	m.sd_within = rest.n ? scatter_spread(rest.v, rest.n) : 0;
	m.lag_within = rest.squares > 0 ? rest.before_after / rest.squares : 0;
	scatter_count_far(ends[1], n, m.at_top, m.sd_top, &seen, &far, &squares);
	scatter_count_far(rest.v, rest.n, 0, m.sd_within, &seen, &far, &squares);
	m.far_share = seen ? (double)far / (double)seen : 0;
	m.far = far ? sqrt(squares / (double)far) : 1;
	free(ends[0]);
	free(ends[1]);
	free(rest.v);
	return m;
}

/* Of runs in the order in which they were made. */
static inline struct scatter scatter_of(const struct side *s)
{
	struct scatter all = { .top = INFINITY, .runs = (double)s->n };

	for (size_t i = 0; i < s->n; i++) {
		all.top = fmin(all.top, run_measured_to(s->runs[i]));
		all.steps = fmax(all.steps, (double)s->runs[i]->intervals->rows - 1);
	}
	for (enum scatter_column c = 0; c < SCATTER_COUNT; c++)
		all.of[c] = scatter_of_column(s, c, all.top);
	return all;
}

static inline void scatter_print(const struct scatter *s, FILE *out)
{
	fputs("column", out);
#define SCATTER_HEAD(name) fputs("," #name, out);
	SCATTER_NUMBERS(SCATTER_HEAD)
#undef SCATTER_HEAD
	fprintf(out, "\nramp,%g,%g,%g\n", s->top, s->steps, s->runs);
	for (enum scatter_column c = 0; c < SCATTER_COUNT; c++) {
		if (isnan(s->of[c].at_top))
			continue;
		fputs(scatter_names[c], out);
#define SCATTER_PUT(name) fprintf(out, ",%.4g", s->of[c].name);
		SCATTER_NUMBERS(SCATTER_PUT)
#undef SCATTER_PUT
		fputc('\n', out);
	}
}

/* ",1,2,3" into the numbers of a column; false when there are fewer. */
static inline bool scatter_parse(const char *at, struct scatter_numbers *ret)
{
	double *const members[] = {
#define SCATTER_ADDRESS(name) &ret->name,
		SCATTER_NUMBERS(SCATTER_ADDRESS)
#undef SCATTER_ADDRESS
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		char *end;

		if (*at != ',')
			return false;
		*members[i] = strtod(at + 1, &end);
		at = end;
	}
	return true;
}

/* A file as scatter_print() wrote it; lines that begin with # say where it comes from. */
static inline bool scatter_load(const char *path, struct scatter *ret)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0, columns = 0;

	*ret = (struct scatter){ 0 };
	for (enum scatter_column c = 0; c < SCATTER_COUNT; c++)
		ret->of[c].at_top = NAN;
	while (in && getline(&line, &size, in) > 0) {
		size_t len = strcspn(line, ",");

		if (sscanf(line, "ramp,%lf,%lf,%lf", &ret->top, &ret->steps, &ret->runs) == 3)
			continue;
		for (enum scatter_column c = 0; c < SCATTER_COUNT; c++)
			if (strlen(scatter_names[c]) == len && strncmp(line, scatter_names[c], len) == 0)
				columns += scatter_parse(line + len, &ret->of[c]);
	}
	return ret->top > 0 && ret->steps > 0 && columns > 0;
}

#endif
