/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run is bound by, and how probable that is. */
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <string.h>

#include "advise/steps.h"
#include "base/text.h"
#include "model/usl.h"
#include "record/interval.h"
#include "record/metric.h"

#define DRAWS 2000
#define Z95 1.96
/* Launching has come to its end where its rate is below this share of the first. */
#define LAUNCH_ENDS_SHARE 0.25

/* How often each candidate comes first when all are drawn from their intervals. */
static double probability_of_first(const struct candidates *c)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	unsigned first = 0;

	for (unsigned k = 0; k < DRAWS; k++) {
		double least = INFINITY;
		size_t who = 0;

		for (size_t i = 0; i < c->n; i++) {
			const struct candidate *x = &c->items[i];
			double sd = fmax(x->upper - x->lower, 0) / 2 / Z95;
			double at = x->vms + (sd > 0 ? gsl_ran_gaussian(rng, sd) : 0);

			if (at < least) {
				least = at;
				who = i;
			}
		}
		first += who == 0;
	}
	gsl_rng_free(rng);
	return (double)first / DRAWS;
}

/* The launch rate falls to a small share of what it was, and by more than its scatter. */
static bool launch_ends(const struct run_record *r, struct usl_fit *f)
{
	return usl_fit_column(r, interval_extra_columns[EXTRA_LAUNCH_RATE], USL_RATE, f) && f->slows &&
	       usl_at(f, run_measured_to(r)) < LAUNCH_ENDS_SHARE * f->lambda;
}

static void set_class(struct advice *a, enum run_class k, const char *name, double probability)
{
	a->class = k;
	a->class_name = xstrdup(name);
	a->class_probability = probability;
}

/*
 * How probable it is that no resource reaches its threshold within reach: each slope, with its uncertainty,
 * stays below what that would take.
 */
static double probability_of_none(const struct advice *a, const struct candidates *c)
{
	double p = 1, way = (ADVICE_REACH - 1) * a->measured_to;

	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		const struct metric_advice *m = &a->metrics[i];
		double se = m->per_vm_half / m->trend.shape.tail.t95;

		if (!m->present || !isfinite(m->per_vm_pct) || m->measured)
			continue;
		double need = (a->threshold_pct - a->reserve_pct - m->last_pct) / way;
		p *= se > 0 ? gsl_cdf_tdist_P((need - m->per_vm_pct) / se, (double)m->trend.shape.tail.n - 2)
			    : need > m->per_vm_pct;
	}
	for (size_t i = 0; i < c->n; i++)
		if (c->items[i].metric && c->items[i].lower < ADVICE_REACH * a->measured_to)
			p = fmin(p, 1 - probability_of_first(c) / 2);
	return p;
}

/* Nothing binds within reach: either launching ends it, or nothing in range does, or neither is sure. */
static void classify_open(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	struct usl_fit f;

	if (r->intervals->rows < ADVICE_INTERVALS) {
		set_class(a, CLASS_INCONCLUSIVE, "inconclusive", 0);
	} else if (launch_ends(r, &f)) {
		set_class(a, CLASS_LAUNCH, "launch-bound", f.probability);
	} else if (!advice_tells_both(a, NULL)) { /* of what was not read nothing is in range */
		set_class(a, CLASS_INCONCLUSIVE, "inconclusive", 0);
	} else {
		double p = probability_of_none(a, c);

		if (p < ADVICE_PROBABILITY)
			set_class(a, CLASS_INCONCLUSIVE, "inconclusive", p);
		else
			set_class(a, CLASS_UNBOUNDED, "unbounded in range", p);
	}
}

static void classify_bound(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	const struct candidate *first = &c->items[0];
	double p = first->measured ? 1 : probability_of_first(c);
	_cleanup_free_ char *name = first->metric
					    ? xasprintf("%s-bound", first->name)
					    : xasprintf("limit-bound (%s)", first->name + strlen("limit:"));

	if (!first->measured &&
	    (p < ADVICE_PROBABILITY || r->intervals->rows < ADVICE_INTERVALS || !advice_tells_both(a, NULL)))
		set_class(a, CLASS_INCONCLUSIVE, "inconclusive", p);
	else
		set_class(a, first->metric ? class_of(first->metric - a->metrics) : CLASS_LIMIT, name, p);
}

void advice_classify(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	bool failed = str_eq(run_str(r, "state"), "failed") || str_eq(run_str(r, "stop.kind"), "failed");

	if (!(a->measured_to > 0))
		set_class(a, CLASS_INCONCLUSIVE, "inconclusive", 0);
	else if (failed)
		set_class(a, CLASS_LAUNCH, "launch-bound", 1);
	else if (c->n && (c->items[0].measured || c->items[0].vms <= ADVICE_REACH * a->measured_to))
		classify_bound(r, c, a);
	else
		classify_open(r, c, a);
}

static const struct {
	enum interval_extra extra;
	const char *label;
	enum usl_kind kind;
} timed[] = {
	{ EXTRA_LAUNCH_RATE, "launch rate", USL_RATE },
	{ EXTRA_BOOT_P50, "start to ready, median", USL_LATENCY },
	{ EXTRA_BOOT_P99, "start to ready, 99th percentile", USL_LATENCY },
	{ EXTRA_WAKE_P50, "ping to pong, median", USL_LATENCY },
	{ EXTRA_WAKE_P99, "ping to pong, 99th percentile", USL_LATENCY },
};

json_t *classify_json(const struct run_record *r, const struct advice *a)
{
	json_t *curves = json_array(), *scaling = json_array();
	struct usl_fit u;

	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		const struct metric_advice *m = &a->metrics[i];

		if (!m->present)
			continue;
		json_array_append_new(curves,
				      json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "name",
						m->name, "shape", shape_names[m->trend.shape.shape],
						"probability", advice_real(m->trend.shape.probability),
						"knee", advice_real(m->trend.shape.knee), "knee_lower",
						advice_real(m->trend.shape.knee_lower), "knee_upper",
						advice_real(m->trend.shape.knee_upper), "level",
						advice_real(m->trend.shape.level), "per_vm_pct",
						advice_real(m->per_vm_pct), "outliers",
						(int)m->trend.shape.outliers));
	}
	for (size_t i = 0; i < ARRAY_LEN(timed); i++)
		if (usl_fit_column(r, interval_extra_columns[timed[i].extra], timed[i].kind, &u))
			json_array_append_new(
				scaling, json_pack("{s:s, s:b, s:o, s:o, s:o, s:o}", "name",
						   interval_extra_columns[timed[i].extra], "slows",
						   (int)u.slows, "lambda", advice_real(u.lambda), "sigma",
						   advice_real(u.sigma), "kappa", advice_real(u.kappa),
						   "twofold_at", advice_real(usl_twofold(&u))));
	return json_pack("{s:s, s:s, s:f, s:s, s:o, s:o, s:o}", "run", r->dir, "class", a->class_name,
			 "probability", a->class_probability, "binding_resource", a->binding, "measured_to",
			 advice_real(a->measured_to), "curves", curves, "scaling", scaling);
}

static void format_curve(FILE *out, const struct metric_advice *m)
{
	_cleanup_free_ char *knee = text_thousands(m->trend.shape.knee, 0);
	_cleanup_free_ char *lower = text_thousands(m->trend.shape.knee_lower, 0);
	_cleanup_free_ char *upper = text_thousands(m->trend.shape.knee_upper, 0);

	fprintf(out, "  %-5s %-11s", m->label, shape_names[m->trend.shape.shape]);
	if (m->trend.shape.shape == SHAPE_KNEE)
		fprintf(out, "knee at %s VMs (95 %% interval %s to %s), then %.4g %% of the host per VM",
			knee, lower, upper, m->per_vm_pct);
	else if (m->trend.shape.shape == SHAPE_SATURATING)
		fprintf(out, "stays at %.1f %% from %s VMs on", m->trend.shape.level, knee);
	else if (m->trend.shape.shape == SHAPE_FLAT)
		fprintf(out, "at %.2f %%", m->trend.shape.level);
	else if (m->trend.shape.shape == SHAPE_LINEAR)
		fprintf(out, "%.4g %% of the host per VM", m->per_vm_pct);
	else
		fprintf(out, "scatter %.2f %%", m->trend.shape.scatter);
	if (m->trend.shape.probability > 0)
		fprintf(out, " (probability %.2f)", m->trend.shape.probability);
	fputc('\n', out);
}

char *classify_text(const struct run_record *r, const struct advice *a)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);
	_cleanup_free_ char *seen = text_thousands(a->measured_to, 0);
	struct usl_fit u;

	fprintf(out, "%s: %s (probability %.2f), measured to %s VMs\n", r->dir, a->class_name,
		a->class_probability, seen);
	for (size_t i = 0; i < RESOURCE_COUNT; i++)
		if (a->metrics[i].present)
			format_curve(out, &a->metrics[i]);
	for (size_t i = 0; i < ARRAY_LEN(timed); i++) {
		if (!usl_fit_column(r, interval_extra_columns[timed[i].extra], timed[i].kind, &u))
			continue;
		_cleanup_free_ char *twofold = text_thousands(usl_twofold(&u), 0);
		fprintf(out, "  %s: %.4g at the first VM, ", timed[i].label, u.lambda);
		if (!u.slows)
			fputs("no worse with more of them\n", out);
		else if (usl_twofold(&u) <= ADVICE_REACH * a->measured_to)
			fprintf(out, "half as good at %s VMs\n", twofold);
		else
			fprintf(out, "%.4g at %s\n", usl_at(&u, a->measured_to), seen);
	}
	return textbuf_close(&buf);
}
