/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures of a run, environments, limits, specifications, verdicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "compare/compare.h"
#include "compare/format.h"
#include "compare/slo.h"
#include "compare/spec.h"
#include "run/options.h"

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

static void add(struct side *s, struct run_record *r)
{
	s->runs = xrealloc(s->runs, s->n + 1, sizeof(struct run_record *));
	s->runs[s->n++] = r;
}

/* n runs around `kb`, each a little off. */
static struct side side_of(size_t n, double kb, const char *meta)
{
	struct side s = { 0 };

	for (size_t i = 0; i < n; i++)
		add(&s, with_memory(kb * (1 + 0.001 * (double)(i % 5)), meta));
	return s;
}

static struct comparison *judged(struct side a, struct side b, const struct compare_options *given)
{
	struct compare_options o = given ? *given : compare_defaults();
	struct comparison *c = NULL;
	error *e = compare_sides(&a, &b, &o, &c);

	if (e)
		fail_msg("%s", e->msg);
	side_clear(&a);
	side_clear(&b);
	return c;
}

static void is(struct comparison *c, enum verdict v, const char *words)
{
	_cleanup_free_ char *text = comparison_format_find("text")->write(c);

	if (c->verdict != v || !strstr(text, words))
		fail_msg("%s instead of %s with '%s':\n%s", verdict_names[c->verdict], verdict_names[v],
			 words, text);
	comparison_free(c);
}

static void figures_of_a_run(void **state)
{
	double f[FIGURE_COUNT];
	struct run_record *r = with_memory(1000, COMPLETE ",\"teardown\":{\"seconds\":0.6,\"vms\":30}");

	(void)state;
	figures_read(r, 0, f);
	assert_near(f[FIGURE_MEM_PER_VM], 1000, 1e-6);
	assert_near(f[FIGURE_MEM_FIXED], 5000, 1e-6);
	assert_near(f[FIGURE_IDLE_CPU], 0.3, 1e-9);
	assert_near(f[FIGURE_BOOT_P50], 40, 1e-9);
	assert_near(f[FIGURE_LAUNCH_CPU], 20, 1e-9);
	assert_near(f[FIGURE_TEARDOWN], 20, 1e-9);
	assert_true(isnan(f[FIGURE_CEILING])); /* it ended because it was asked to */
	assert_true(isnan(f[FIGURE_WAKE_P50]));
	figures_read(r, 20, f);
	assert_near(f[FIGURE_MEM_PER_VM], 1000, 1e-6);
	assert_near(f[FIGURE_IDLE_CPU], 0.2, 1e-9);
	run_record_free(r);
	r = record(COMPLETE ",\"stop\":{\"kind\":\"threshold\"}", COLUMNS "0,0,1,0,,\n64,90,1,100,1,2\n");
	figures_read(r, 0, f);
	assert_near(f[FIGURE_CEILING], 64, 0);
	assert_true(isnan(f[FIGURE_MEM_PER_VM])); /* one point has no slope */
	run_record_free(r);
}

/* Every VM costs as much, but those of a new interval are more: the mean is over VMs, not over intervals. */
static void launch_cpu_is_per_vm(void **state)
{
	double f[FIGURE_COUNT];
	struct run_record *r = record(COMPLETE, COLUMNS "0,0,1,0,,\n10,0,1,0,1,10\n100,0,1,0,1,20\n");

	(void)state;
	figures_read(r, 0, f);
	assert_near(f[FIGURE_LAUNCH_CPU], (10 * 10 + 90 * 20) / 100.0, 1e-9);
	assert_near(f[FIGURE_LAUNCH_CPU_END], 20, 1e-9);
	run_record_free(r);
}

static void verdicts(void **state)
{
	struct compare_options loose = compare_defaults();

	(void)state;
	loose.gates[FIGURE_MEM_PER_VM] = 0.2;
	is(judged(side_of(7, 1000, COMPLETE), side_of(7, 1100, COMPLETE), NULL), VERDICT_REGRESSED,
	   "memory per VM +");
	is(judged(side_of(7, 1100, COMPLETE), side_of(7, 1000, COMPLETE), NULL), VERDICT_IMPROVED,
	   "memory per VM -");
	is(judged(side_of(7, 1000, COMPLETE), side_of(7, 1000, COMPLETE), NULL), VERDICT_PASS,
	   "no figure is worse");
	/* significant, and below the gate */
	is(judged(side_of(9, 1000, COMPLETE), side_of(9, 1010, COMPLETE), NULL), VERDICT_PASS, "+1.");
	is(judged(side_of(7, 1000, COMPLETE), side_of(7, 1100, COMPLETE), &loose), VERDICT_PASS,
	   "no figure is worse");
	/* large, and too few to be sure */
	is(judged(side_of(3, 1000, COMPLETE), side_of(3, 1100, COMPLETE), NULL), VERDICT_INCONCLUSIVE,
	   "run 4 more");
	is(judged(side_of(1, 1000, COMPLETE), side_of(1, 1000, COMPLETE), NULL), VERDICT_INCONCLUSIVE,
	   "run 6 more");
	/* three runs carry 90 %, enough to say that nothing is worse by the gate */
	is(judged(side_of(3, 1000, COMPLETE), side_of(3, 1000, COMPLETE), NULL), VERDICT_PASS,
	   "no figure is worse");
}

static void invalid_runs(void **state)
{
	(void)state;
	is(judged(side_of(7, 1000, COMPLETE), side_of(7, 1100, "\"state\":\"complete\",\"vms\":{\"died\":2}"),
		  NULL),
	   VERDICT_INVALID, "2 VMs died");
	is(judged(side_of(7, 1000, COMPLETE),
		  side_of(7, 1100, "\"state\":\"failed\",\"stop\":{\"evidence\":\"no fork\"}"), NULL),
	   VERDICT_INVALID, "no fork");
	is(judged(side_of(7, 1000, COMPLETE ",\"host\":{\"cores\":2}"),
		  side_of(7, 1000, COMPLETE ",\"host\":{\"cores\":4}"), NULL),
	   VERDICT_INVALID, "different hosts (host.cores)");
	struct compare_options other = compare_defaults();
	other.other_host = true;
	is(judged(side_of(7, 1000, COMPLETE ",\"host\":{\"cores\":2}"),
		  side_of(7, 1000, COMPLETE ",\"host\":{\"cores\":4}"), &other),
	   VERDICT_PASS, "host.cores: 2 -> 4");
	struct side mixed = side_of(4, 1000, COMPLETE ",\"preset\":\"lean\"");
	add(&mixed, with_memory(1000, COMPLETE ",\"preset\":\"dense\""));
	is(judged(mixed, side_of(5, 1000, COMPLETE ",\"preset\":\"lean\""), NULL), VERDICT_INVALID,
	   "not alike: preset");
	struct side noisy = { 0 };
	add(&noisy, record(COMPLETE, COLUMNS "0,0,1,0,,\n10,1,0,10,1,1\n20,1,0,20,1,1\n"));
	is(judged(noisy, side_of(1, 1000, COMPLETE), NULL), VERDICT_INVALID, "not quiet in 2 of 2");
}

static void what_cannot_be_compared(void **state)
{
	struct compare_options o = compare_defaults();
	struct comparison *c = NULL;
	struct side a = { 0 }, b = side_of(1, 1000, COMPLETE);

	(void)state;
	add(&a, record(COMPLETE, COLUMNS "0,0,1,0,,\n"));
	_cleanup_err_ error *e = compare_sides(&a, &b, &o, &c);
	assert_int_equal(e->code, EXIT_INCONCLUSIVE);
	assert_non_null(strstr(e->msg, "no interval with VMs"));
	side_clear(&a);
	side_clear(&b);
	/* memory that the host gains instead of losing: no ratio, and it says so */
	is(judged(side_of(7, -10, COMPLETE), side_of(7, 1000, COMPLETE), NULL), VERDICT_INCONCLUSIVE,
	   "use more VMs");
	/* runs that went differently far are compared as far as all went */
	struct side shorter = { 0 };
	add(&shorter, record(COMPLETE, COLUMNS "0,0,1,0,,\n10,0,1,10,1,1\n20,0,1,20,1,1\n"));
	c = judged(side_of(1, 1000, COMPLETE), shorter, NULL);
	assert_near(c->top, 20, 0);
	is(c, VERDICT_INCONCLUSIVE, "up to 30 VMs; all are compared up to 20");
}

#define HOST(kernel, ram)                                                                                  \
	"\"host\":{\"kernel\":\"" kernel "\",\"ram_kb\":" ram ",\"load1\":0." ram ",\"boot_id\":\"" kernel \
	"\"}"

/* Runs of which nothing, or one thing, can be read. */
static const struct {
	const char *what, *rows;
} degenerate[] = {
	{ "no value", "0,,1,,,\n10,,1,,,\n20,,1,,,\n30,,1,,,\n" },
	{ "words", "0,a,1,b,c,d\n10,a,1,b,c,d\n20,a,1,b,c,d\n30,a,1,b,c,d\n" },
	{ "infinite", "0,I,1,I,I,I\n10,I,1,I,I,I\n20,I,1,I,I,I\n30,I,1,I,I,I\n" },
	{ "no row", "" },
	{ "the baseline", "0,0.1,1,0,,\n" },
	{ "the baseline twice", "0,0.1,1,0,,\n0,0.2,1,5,,\n" },
	{ "one row with VMs", "0,0.1,1,0,,\n10,0.2,1,9000,40,20\n" },
	{ "CPU alone", "0,0.1,1,,,\n10,0.2,1,,,\n20,0.3,1,,,\n30,0.4,1,,,\n" },
	{ "memory alone", "0,,1,0,,\n10,,1,15000,,\n20,,1,25000,,\n30,,1,35000,,\n" },
	{ "boot times alone", "0,,1,,,\n10,,1,,40,\n20,,1,,41,\n30,,1,,42,\n" },
	{ "launch CPU alone", "0,,1,,,\n10,,1,,,20\n20,,1,,,20\n30,,1,,,20\n" },
	{ "zeros", "0,0,1,0,0,0\n10,0,1,0,0,0\n20,0,1,0,0,0\n30,0,1,0,0,0\n" },
	{ "one count", "10,1,1,9000,40,20\n10,2,1,9100,40,20\n10,3,1,9200,40,20\n" },
};

/* n such runs; `sane` ones where i is beyond the table. */
static struct side degenerate_side(size_t i, size_t n, const char *meta)
{
	struct side s = { 0 };

	if (i >= ARRAY_LEN(degenerate))
		return side_of(n, 1000, meta);
	for (size_t k = 0; k < n; k++) {
		_cleanup_free_ char *text = xasprintf(COLUMNS "%s", degenerate[i].rows);
		struct run_record *r = record(meta, text);

		for (size_t c = 0;
		     strchr(degenerate[i].rows, 'I') && c < r->intervals->rows * r->intervals->columns; c++)
			if (isnan(r->intervals->cells[c]))
				r->intervals->cells[c] = c % 2 ? INFINITY : -INFINITY;
		add(&s, r);
	}
	return s;
}

static enum exit_code status_of(struct side *a, struct side *b, const struct slo *limits)
{
	struct compare_options o = compare_defaults();
	_cleanup_(comparison_freep) struct comparison *c = NULL;
	_cleanup_err_ error *e = compare_sides(a, b, &o, &c);

	if (e)
		return e->code;
	if (limits)
		slo_check_comparison(limits, b, c);
	_cleanup_free_ char *text = comparison_format_find("text")->write(c);
	assert_true(strlen(text) > 0);
	return verdict_status(c->verdict);
}

/* Neither of nothing nor of one figure comes a pass: not from compare, not from its limits, not from run's.
 */
static void nothing_told_never_passes(void **state)
{
	_cleanup_(slo_freep) struct slo *lax = NULL;
	size_t sane = ARRAY_LEN(degenerate);

	(void)state;
	assert_null(
		slo_parse("[limits]\nmem_per_vm_kb = max 1e12\nidle_cpu_pct = max 1e12\n", "lax.slo", &lax));
	for (size_t i = 0; i <= sane; i++)
		for (size_t k = 0; k <= sane; k++)
			for (size_t n = 1; n <= 8 && (i < sane || k < sane); n += 7) {
				struct side a = degenerate_side(
					i, n, COMPLETE ",\"teardown\":{\"seconds\":1,\"vms\":30}");
				struct side b = degenerate_side(
					k, n, COMPLETE ",\"teardown\":{\"seconds\":1,\"vms\":30}");
				enum exit_code plain = status_of(&a, &b, NULL),
					       limited = status_of(&a, &b, lax);

				if (plain != EXIT_INCONCLUSIVE || limited != EXIT_INCONCLUSIVE)
					fail_msg("%s against %s, %zu runs each: %d, with limits %d",
						 i < sane ? degenerate[i].what : "sane runs",
						 k < sane ? degenerate[k].what : "sane runs", n, plain,
						 limited);
				side_clear(&a);
				side_clear(&b);
			}
	/* the grid itself is not what fails */
	struct side a = degenerate_side(sane, 8, COMPLETE), b = degenerate_side(sane, 8, COMPLETE);
	assert_int_equal(status_of(&a, &b, lax), EXIT_DONE);
	side_clear(&a);
	side_clear(&b);
}

static void limits_of_nothing_are_unchecked(void **state)
{
	_cleanup_(slo_freep) struct slo *lax = NULL;
	double f[FIGURE_COUNT];

	(void)state;
	assert_null(slo_parse("[limits]\nmem_per_vm_kb = max 1e12\nwake_p50_ms = max 5\n", "lax.slo", &lax));
	for (size_t i = 0; i < ARRAY_LEN(degenerate); i++) {
		struct side s = degenerate_side(i, 1, COMPLETE);
		struct slo_result res;

		figures_read(s.runs[0], 0, f);
		slo_check(lax, f, &res);
		assert_int_equal(slo_status(&res), EXIT_INCONCLUSIVE);
		slo_result_clear(&res);
		side_clear(&s);
	}
}

/* What was asked for by name must be told, or the answer is open. */
static void named_figures_must_be_there(void **state)
{
	struct compare_options o = compare_defaults();

	(void)state;
	o.selected[FIGURE_MEM_PER_VM] = o.selected[FIGURE_WAKE_P50] = true;
	is(judged(side_of(8, 1000, COMPLETE), side_of(8, 1000, COMPLETE), &o), VERDICT_INCONCLUSIVE,
	   "wake latency, median (wake_p50_ms) must be told, and no run has it");
	o.selected[FIGURE_WAKE_P50] = false;
	is(judged(side_of(8, 1000, COMPLETE), side_of(8, 1000, COMPLETE), &o), VERDICT_PASS,
	   "no figure is worse");
	/* one that vanished on the new side is not as good as before */
	struct side b = degenerate_side(8, 8, COMPLETE), a = degenerate_side(8, 8, COMPLETE);
	is(judged(a, b, NULL), VERDICT_INCONCLUSIVE, "CPU of idle VMs (idle_cpu_pct) must be told");
}

static void environments(void **state)
{
	struct run_record *
		a = record(
		       COMPLETE "," HOST(
			       "6.1",
			       "1000000") ",\"backend\":{\"version\":\"7\",\"argv\":[\"/run/run-12/fw\"],\"tuning\":{\"ksm\":{\"in_force\":true}}}",
		       COLUMNS),
	       *b = record(
		       COMPLETE "," HOST(
			       "6.2",
			       "1000100") ",\"backend\":{\"version\":\"8\",\"argv\":[\"/run/run-345/fw\"],\"tuning\":{\"ksm\":{\"in_force\":false}}}",
		       COLUMNS);
	struct strlist intended = { 0 };
	struct env_diff d;

	(void)state;
	strlist_add(&intended, "tune");
	env_compare(a, b, &intended, &d);
	assert_int_equal(d.count, 3);
	assert_string_equal(d.items[0].path, "backend.tuning.ksm.in_force");
	assert_true(d.items[0].intended);
	assert_string_equal(d.items[1].path, "backend.version");
	assert_false(d.items[1].intended);
	assert_string_equal(d.items[2].path, "host.kernel");
	assert_string_equal(d.items[2].new_value, "6.2");
	assert_null(env_other_host(&d));
	env_diff_clear(&d);
	strlist_clear(&intended);
	run_record_free(a);
	run_record_free(b);
}

static void bad_limits(const char *text, const char *words)
{
	struct slo *s = NULL;
	_cleanup_err_ error *e = slo_parse(text, "x.slo", &s);

	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, words))
		fail_msg("'%s' lacks '%s'", e->msg, words);
}

static void limits_files(void **state)
{
	struct slo *s = NULL;
	struct slo_result r;
	struct compare_options o = compare_defaults();
	double f[FIGURE_COUNT];

	(void)state;
	assert_null(slo_parse("[slo]\nsummary = x\n[limits]\nmem_per_vm_kb = max 600\nceiling_vms = min 100\n"
			      "boot_p99_ms = max 5\n[changes]\nmem_per_vm_kb = 3 %\nidle_cpu_pct = 0.25\n",
			      "a/b.slo", &s));
	for (int i = 0; i < FIGURE_COUNT; i++)
		f[i] = NAN;
	f[FIGURE_MEM_PER_VM] = 601;
	f[FIGURE_CEILING] = 99;
	slo_check(s, f, &r);
	assert_int_equal(r.broken.count, 2);
	assert_non_null(strstr(r.broken.items[0], "601 kB, above the limit of 600 in b.slo"));
	assert_non_null(strstr(r.broken.items[1], "99 VMs, below the limit of 100"));
	assert_int_equal(r.unchecked.count, 1);
	assert_int_equal(slo_status(&r), EXIT_REGRESSION);
	assert_true(slo_has_limits(s));
	slo_result_clear(&r);
	f[FIGURE_MEM_PER_VM] = 600;
	f[FIGURE_CEILING] = 100;
	slo_check(s, f, &r);
	assert_int_equal(slo_status(&r), EXIT_INCONCLUSIVE);
	slo_result_clear(&r);
	slo_gates(s, &o);
	assert_near(o.gates[FIGURE_MEM_PER_VM], 0.03, 1e-12);
	assert_near(o.gates[FIGURE_IDLE_CPU], 0.25, 1e-12);
	assert_true(isnan(o.gates[FIGURE_BOOT_P50]));
	slo_free(s);
	bad_limits("[limits]\nmem = max 3\n", "x.slo:2: mem = max 3: no such figure");
	bad_limits("[limits]\nmem_per_vm_kb = 3\n", "max NUMBER");
	bad_limits("[limits]\nmem_per_vm_kb = max abc\n", "max NUMBER");
	bad_limits("[changes]\nmem_per_vm_kb = 3\n", "'3 %'");
	bad_limits("[changes]\nidle_cpu_pct = 3 %\n", "by its difference");
	bad_limits("[changes]\nmem_per_vm_kb = -3 %\n", "at least 0");
	/* what limits nothing would let everything pass */
	bad_limits("", "limits nothing");
	bad_limits("[slo]\nsummary = x\n[limits]\n[changes]\n", "limits nothing");
	bad_limits("[wishes]\nmem_per_vm_kb = 3\n", "known are");
}

static void bad_spec(const char *text, const char *words)
{
	struct strlist l = { 0 };
	_cleanup_err_ error *e = spec_parse(text, run_option_rows(), &l);

	assert_non_null(e);
	if (!strstr(e->msg, words))
		fail_msg("'%s' lacks '%s'", e->msg, words);
	strlist_clear(&l);
}

static void specifications(void **state)
{
	struct strlist a = { 0 }, b = { 0 }, differ = { 0 };

	(void)state;
	assert_null(spec_parse("qemu=/a b/q,tune=+ksm,-noaslr,no-raise,max=3", run_option_rows(), &a));
	_cleanup_free_ char *all = strlist_join(&a);
	assert_string_equal(all, "--qemu=/a b/q --tune=+ksm,-noaslr --no-raise --max=3");
	assert_null(spec_parse("max=4,qemu=/a b/q,no-raise,", run_option_rows(), &b));
	spec_differences(&a, &b, &differ);
	_cleanup_free_ char *names = strlist_join(&differ);
	assert_string_equal(names, "tune max");
	strlist_clear(&a);
	assert_null(spec_parse("", run_option_rows(), &a));
	assert_int_equal(a.count, 0);
	strlist_clear(&b);
	assert_null(spec_parse("machine=microvm,pit=on,acpi=off,max=3", run_option_rows(), &b));
	_cleanup_free_ char *machine = strlist_join(&b);
	assert_string_equal(machine, "--machine=microvm,pit=on,acpi=off --max=3");
	bad_spec("max=3,pit=on", "'pit' is no option");
	bad_spec("guest=idle", "profile=NAME or image=FILE");
	bad_spec("nix=3", "'nix' is no option");
	bad_spec("qemu", "needs a value");
	bad_spec("no-raise=1", "takes no value");
	bad_spec("out=x", "set by ab itself");
	strlist_clear(&a);
	strlist_clear(&b);
	strlist_clear(&differ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_of_a_run),
		cmocka_unit_test(launch_cpu_is_per_vm),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(invalid_runs),
		cmocka_unit_test(what_cannot_be_compared),
		cmocka_unit_test(nothing_told_never_passes),
		cmocka_unit_test(limits_of_nothing_are_unchecked),
		cmocka_unit_test(named_figures_must_be_there),
		cmocka_unit_test(environments),
		cmocka_unit_test(limits_files),
		cmocka_unit_test(specifications),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
