/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What belongs to an answer: why it may not be given, what it rests on, and what would refute it. */
#include <math.h>
#include <string.h>

#include "advise/steps.h"
#include "base/text.h"

/* PSS counts pages of files, too, which the host can drop: smaller differences say nothing. */
#define OTHERS_SHARE 0.25

/* The number of VMs to ask for, so that an answer lies within reach: two digits, rounded up. */
static double ask_for(double vms)
{
	double need = vms / ADVICE_REACH, unit = pow(10, fmax(floor(log10(need)) - 1, 0));

	return ceil(need / unit) * unit;
}

/* VMs that did not answer took their share of the host and were not counted: no figure per VM holds. */
static void caveats_answers(const struct run_record *r, struct advice *a)
{
	const struct csv *t = r->intervals;
	size_t rows = 0, worst = 0;
	double most = 0;

	for (size_t i = 0; i < t->rows; i++) {
		double missing = csv_cell(t, i, interval_extra_columns[EXTRA_PING_ASKED]) -
				 csv_cell(t, i, interval_extra_columns[EXTRA_PROVEN_PING]);

		rows += missing > 0;
		if (missing > most) {
			most = missing;
			worst = i;
		}
	}
	if (!rows)
		return;
	strlist_addf(
		&a->reasons,
		"VMs did not answer in %zu of %zu intervals (at worst %.0f of %.0f asked answered): they took memory and CPU and are not counted; see events.jsonl, and run again",
		rows, t->rows, csv_cell(t, worst, interval_extra_columns[EXTRA_PROVEN_PING]),
		csv_cell(t, worst, interval_extra_columns[EXTRA_PING_ASKED]));
	a->ok = false;
}

static void caveats_population(const struct run_record *r, struct advice *a)
{
	const struct csv *t = r->intervals;
	size_t settled = 0, judged_rows = 0;

	for (size_t i = 0; i < t->rows; i++) {
		double s = csv_cell(t, i, "settled");

		judged_rows += isfinite(s);
		settled += isfinite(s) && s != 0;
	}
	if (judged_rows && 2 * settled < judged_rows &&
	    !(a->measured && strncmp(a->binding, "limit:", 6) == 0)) {
		strlist_addf(
			&a->reasons,
			"only %zu of %zu intervals were measured on a settled host: run again with a longer --settle",
			settled, judged_rows);
		a->ok = false;
	}
	if (str_eq(run_str(r, "state"), "failed") || str_eq(run_str(r, "stop.kind"), "failed")) {
		const char *why = run_str(r, "stop.evidence");

		strlist_addf(&a->reasons, "the run failed before its end%s%s", why ? ": " : "",
			     why ? why : "");
		a->ok = false;
	}
}

bool advice_tells_both(const struct advice *a, char **missing)
{
	struct strlist names = { 0 };

	for (size_t i = 0; i < 2; i++)
		if (a->metrics[i].values + 1 < ADVICE_INTERVALS)
			strlist_add(&names, a->metrics[i].label);
	bool both = !names.count;
	if (missing)
		*missing = names.count > 1   ? xasprintf("%s and %s", names.items[0], names.items[1])
			   : names.count > 0 ? xstrdup(names.items[0])
					     : NULL;
	strlist_clear(&names);
	return both;
}

/* Where the end was comes from run.json, how many VMs that were from the last row: it must be there. */
static void caveats_end(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	const struct metric_advice *m = c->n ? c->items[0].metric : NULL;
	double reached = run_num(r, "vms.reached");

	if (!r->rows_lost || !a->measured || (m && m->measured) || reached <= a->measured_to)
		return;
	strlist_add(
		&a->reasons,
		"rows of the record are lost, and perhaps those of its end: restore intervals.csv from a copy, or run again");
	a->ok = false;
}

/* What was not measured can neither be the answer nor be ruled out. */
static void caveats_silence(const struct run_record *r, struct advice *a)
{
	bool stopped_there =
		str_eq(run_str(r, "stop.kind"), "threshold") || str_eq(run_str(r, "stop.kind"), "limit");
	_cleanup_free_ char *missing = NULL;
	const char *why = run_str(r, "stop.evidence");

	if (!(a->measured_to > 0)) {
		strlist_addf(&a->reasons, "no interval with VMs was measured%s%s: run again", why ? ": " : "",
			     why ? why : "");
		a->ok = false;
	} else if (!advice_tells_both(a, &missing) && r->intervals->rows >= ADVICE_INTERVALS &&
		   !(a->measured && stopped_there)) {
		strlist_addf(
			&a->reasons,
			"too few intervals have a value of %s: whether that ends the growth first is not known; run again, or restore intervals.csv from a copy",
			missing);
		a->ok = false;
	}
}

/* Doubts that do not touch what was reached and seen. */
static void caveats_estimate(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	const struct metric_advice *m = c->n ? c->items[0].metric : NULL;
	_cleanup_free_ char *seen = text_thousands(a->measured_to, 0);
	size_t before = a->reasons.count;

	if (r->intervals->rows < ADVICE_INTERVALS)
		strlist_addf(&a->reasons,
			     "%zu interval%s: a line needs at least %d; run again with more --intervals",
			     r->intervals->rows, r->intervals->rows == 1 ? "" : "s", ADVICE_INTERVALS);
	else if (!c->n && advice_tells_both(a, NULL))
		strlist_addf(
			&a->reasons,
			"neither CPU, RAM nor swap rises clearly with the number of VMs (95 %% confidence) up to %s VMs: run again with a larger --max",
			seen);
	if (m && m->bends)
		strlist_addf(
			&a->reasons,
			"the curve of %s bends: its straight line would have crossed %g %% before %s VMs, where it had not; run further with a larger --max",
			m->label, a->threshold_pct, seen);
	if (m && m->holdout_pct > ADVICE_HOLDOUT_PCT)
		strlist_addf(
			&a->reasons,
			"a line through the first 60 %% of the intervals misses the rest of %s by %.0f %% (at most %.0f %% is trusted): run further or with more --intervals",
			m->label, m->holdout_pct, ADVICE_HOLDOUT_PCT);
	if (a->reasons.count > before)
		a->ok = false;
	if (!c->n || !(a->measured_to > 0) || c->items[0].vms <= ADVICE_REACH * a->measured_to)
		return;
	a->ok = a->ok && a->forced;
	if (a->forced)
		strlist_addf(
			&a->reasons,
			"forced: the answer lies %.1f times beyond what was measured, where more than %g times is not trusted",
			c->items[0].vms / a->measured_to, ADVICE_REACH);
	else
		strlist_addf(
			&a->reasons,
			"%s VMs were measured and the threshold lies beyond %g times that: run again with --max %.0f or more",
			seen, ADVICE_REACH, ask_for(c->items[0].vms));
}

/* The host's memory and the VMs' own count of theirs disagree: something else took or gave back memory. */
static void remark_others(struct advice *a)
{
	const struct metric_advice *ram = &a->metrics[RESOURCE_RAM];
	double inside = a->cost.inside_kb, off = a->ram_kb / inside - 1;

	if (a->projected || !ram->rises || !(inside > 0) || a->metrics[RESOURCE_SWAP].last_pct > 0 ||
	    fabs(off) < OTHERS_SHARE)
		return;
	strlist_addf(
		&a->reasons,
		"the host lost %.0f KiB per VM, but the VMs themselves hold %.0f (their PSS and the kernel's part): other processes took or gave back memory meanwhile; run again on a quiet host",
		a->ram_kb, inside);
}

/* Limits that the answer lies beyond, as they were in force. */
static void remark_limits(const struct run_record *r, struct advice *a)
{
	json_t *limits = json_object_get(r->meta, "limits"), *l;
	size_t i;

	json_array_foreach(limits, i, l)
	{
		const char *name = json_string_value(json_object_get(l, "name"));
		const json_t *now = json_object_get(l, "vms_now"), *raised = json_object_get(l, "vms_raised");
		double vms = json_number_value(now);

		if (!name || a->projected || !a->ok || !json_is_number(now) || !json_is_number(raised) ||
		    !(vms > a->measured_to && vms < a->vms && json_number_value(raised) > vms) ||
		    !advice_raises_limits(r, name))
			continue;
		_cleanup_free_ char *at = text_thousands(vms, 0);
		strlist_addf(
			&a->reasons,
			"the limit %s in force then ends at %s VMs: 'mvmscale run' raises it for as long as it runs, other tools need it raised before ('mvmscale doctor --apply')",
			name, at);
	}
}

/* What does not change the verdict but belongs to it. */
static void remarks(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	if (a->cloned)
		strlist_add(
			&a->reasons,
			"the VMs are clones of a running one: they were not booted on their own, and VMs that boot may take more memory");
	if (a->projected)
		strlist_add(
			&a->reasons,
			"projected onto another host: its limits, its kernel and its own use at rest were not measured");
	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		const struct segmented_fit *f = &a->metrics[i].trend.shape;
		_cleanup_free_ char *at = text_thousands(f->knee, 0),
				    *from = text_thousands(f->knee_lower, 0);
		_cleanup_free_ char *to = text_thousands(f->knee_upper, 0);

		if (a->metrics[i].present && f->shape == SHAPE_KNEE)
			strlist_addf(
				&a->reasons,
				"%s has a knee at %s VMs (95 %% interval %s to %s): what lies behind it counts",
				a->metrics[i].label, at, from, to);
		if (a->metrics[i].present && f->shape == SHAPE_SATURATING)
			strlist_addf(&a->reasons, "%s stays at %.1f %% from %s VMs on", a->metrics[i].label,
				     f->level, at);
	}
	if (c->n && c->items[0].metric && c->items[0].metric->overflows)
		strlist_add(
			&a->reasons,
			"swap has not begun: that it takes what does not fit into RAM is reckoned, not measured");
	remark_others(a);
	remark_limits(r, a);
	if (a->nodes > 1 && !(run_num(r, "host.numa_nodes") > 1))
		strlist_addf(
			&a->reasons,
			"measured on one NUMA node: what memory of a far node costs on %.0f of them is not known",
			a->nodes);
	if (r->note)
		strlist_add(&a->reasons, r->note);
	if (str_eq(run_str(r, "state"), "interrupted"))
		strlist_add(&a->reasons, "the run was interrupted: its curve ends early");
	if (a->ok && c->n > 1 && !c->items[0].measured && c->items[1].lower < c->items[0].upper)
		strlist_addf(&a->reasons, "%s is so close behind that it may end it first", c->items[1].name);
}

void advice_caveats(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	caveats_answers(r, a);
	caveats_population(r, a);
	caveats_silence(r, a);
	caveats_end(r, c, a);
	if (!a->measured)
		caveats_estimate(r, c, a);
	remarks(r, c, a);
}

/* What run pings without --verify. */
#define USUAL_VERIFY_PCT 1.0

static void add(struct advice *a, const char *name, char *value, const char *effect)
{
	a->assumptions = xrealloc(a->assumptions, a->n_assumptions + 1, sizeof(*a->assumptions));
	a->assumptions[a->n_assumptions++] = (struct assumption){ name, value, xstrdup(effect) };
}

static void add_guest(const struct run_record *r, struct advice *a)
{
	const char *guest = run_str(r, "guest.name"), *profile = run_str(r, "profile");
	const char *mode = run_str(r, "launch.mode");

	if (guest || profile)
		add(a, "guest",
		    xasprintf("%s, profile %s", guest ? guest : "unknown", profile ? profile : "none"),
		    str_eq(guest, "sleep") ? "guests are at rest; those that work take more of everything"
					   : "guests do no more than this profile");
	if (mode)
		add(a, "launch", xstrdup(mode),
		    str_eq(mode, "clone") ? "a clone that wakes often grows to the size of one that booted"
					  : "every VM started on its own");
}

static void add_memory(const struct run_record *r, struct advice *a)
{
	double ksm = run_num(r, "host.ksm_run"), swap = run_num(r, "host.swap_kb");
	double overcommit = run_num(r, "host.overcommit_memory");
	bool tuned = json_is_true(json_object_get(
		json_object_get(json_object_get(json_object_get(r->meta, "backend"), "tuning"), "ksm"),
		"in_force"));
	const char *thp = run_str(r, "host.thp");

	if (tuned || isfinite(ksm))
		add(a, "ksm", xstrdup(tuned || ksm == 1 ? "on" : "off"),
		    tuned || ksm == 1 ? "equal pages stay merged; guests that write to theirs take them apart"
				      : "nothing is merged");
	if (thp && *thp)
		add(a, "thp", xstrdup(thp),
		    str_eq(thp, "always") ? "sparse memory may fill 2 MiB at a touch"
					  : "VMs' memory stays in small pages unless they ask");
	if (isfinite(swap))
		add(a, "swap", swap > 0 ? xasprintf("%.1f GiB", swap / 1048576) : xstrdup("none"),
		    swap > 0 ? "what does not fit goes to disk, and answers slowly"
			     : "what does not fit is killed");
	if (isfinite(overcommit))
		add(a, "overcommit_memory", xasprintf("%.0f", overcommit),
		    overcommit == 2 ? "memory is promised only as far as it exists"
				    : "memory may be promised that does not exist");
}

void advice_assume(const struct run_record *r, struct advice *a)
{
	const char *mitigations = run_str(r, "host.mitigations"), *kernel = run_str(r, "host.kernel");
	const char *accel = run_str(r, "backend.accel"), *version = run_str(r, "backend.version");
	const json_t *nested = json_object_get(json_object_get(r->meta, "host"), "nested");

	add_guest(r, a);
	add_memory(r, a);
	if (mitigations && *mitigations)
		add(a, "mitigations",
		    xstrdup(strstr(mitigations, "Mitigation") ? "as the kernel chose" : "off or not needed"),
		    "each wake pays for them");
	if (json_is_boolean(nested))
		add(a, "nested", xstrdup(json_is_true(nested) ? "yes" : "no"),
		    json_is_true(nested) ? "an outer hypervisor takes part in every CPU figure"
					 : "no hypervisor below");
	if (kernel && accel)
		add(a, "software",
		    xasprintf("Linux %s, %s%s%s, %s", kernel, run_str(r, "backend.name") ?: "backend",
			      version ? " " : "", version ? version : "", accel),
		    "another version may cost something else");
}

/* A run as this one, far enough that the answer could fail. */
void advice_falsify(const struct run_record *r, struct advice *a)
{
	static const char *const keys[][2] = {
		{ "--backend", "backend.name" }, { "--preset", "preset" },
		{ "--profile", "profile" },	 { "--image", "options.image" },
		{ "--qemu", "options.qemu" },	 { "--machine", "options.machine" },
	};
	const char *accel = run_str(r, "backend.accel");
	const char *mode = run_str(r, "launch.mode"), *image = run_str(r, "options.image");
	double far = isfinite(a->upper) ? a->upper : ADVICE_REACH * a->measured_to;
	double verify = run_num(r, "options.verify_pct");
	struct strlist w = { 0 };

	if (a->projected || !(far >= 1))
		return; /* only on that host, which is not at hand */
	strlist_add(&w, "mvmscale run");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *v = run_str(r, keys[i][1]);

		/* without a preset the record says "none"; the profile of an image is the image */
		if (v && *v && !str_eq(v, "none") && !(image && str_eq(keys[i][0], "--profile"))) {
			_cleanup_free_ char *typed = text_shell(v);

			strlist_addf(&w, "%s %s", keys[i][0], typed);
		}
	}
	if (run_has_preset(r) && (str_eq(accel, "tcg") || str_eq(accel, "kvm")))
		strlist_addf(&w, "--accel %s", accel);
	if (run_has_preset(r) && mode)
		strlist_addf(&w, "--launch %s", mode);
	/* pings take memory: another share of them gives another curve */
	if (isfinite(verify) && verify != USUAL_VERIFY_PCT)
		strlist_addf(&w, "--verify %g%%", verify);
	strlist_addf(&w, "--threshold %g --max %.0f --predict", a->threshold_pct - a->reserve_pct,
		     ceil(far * 1.1));
	a->falsify = strlist_join(&w);
	strlist_clear(&w);
}
