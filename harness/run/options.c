/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/options.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(struct run_options, field)
#define FAR "How far:"
#define WHERE "Where VMs run, and what they may use together:"
#define MEASURE "How to measure:"
#define RESULTS "Results:"

static error *take_stop_on(const struct option_row *o, const char *arg, void *config)
{
	_cleanup_free_ char *list = xstrdup(arg);
	unsigned mask = 0;
	char *save = NULL;

	(void)o;
	for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		enum resource r = resource_by_name(w);

		if (r == RESOURCE_COUNT)
			return err_new(EXIT_BAD_INPUT,
				       "--stop-on %s: '%s' is no resource; known are cpu, ram, swap", arg, w);
		mask |= 1U << r;
	}
	if (!mask)
		return err_new(EXIT_BAD_INPUT, "--stop-on: needs at least one of cpu, ram, swap");
	((struct run_options *)config)->stop_on = mask;
	return NULL;
}

static error *take_backend(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	return backend_choose(arg, &((struct run_options *)config)->backend);
}

static error *take_verify(const struct option_row *o, const char *arg, void *config)
{
	_cleanup_free_ char *number = xstrdup(str_eq(arg, "all") ? "100" : arg);
	size_t n = strlen(number);

	if (n && number[n - 1] == '%')
		number[n - 1] = '\0';
	_cleanup_free_ char *wrong =
		option_real(o->name, number, 0, 100, &((struct run_options *)config)->verify_pct);
	return wrong ? err_new(EXIT_BAD_INPUT, "%s", wrong) : NULL;
}

#define CANNOT_PLACE .needs = BACKEND_AFFINITY, .why = "cannot place its VMs"
#define NO_CGROUP .needs = BACKEND_CGROUP, .why = "does not keep its VMs in one cgroup"

static const struct option_row rows[] = {
	{ "max", 'n', "N", FAR, OPT_WHOLE, AT(max), .help = "Ramp up to N VMs (default 200)", .min = 1,
	  .max = 10000000, .key = OPT_KEY_CONFIG, .key_words = "auto each" },
	{ "intervals", 0, "N", FAR, OPT_WHOLE, AT(intervals),
	  .help = "Steps of the finished curve (default 20)", .min = 1, .max = 10000, .key = OPT_KEY },
	{ "threshold", 0, "PCT", FAR, OPT_REAL, AT(threshold_pct),
	  .help = "Stop when CPU, RAM or swap reaches PCT of the host (default 90)", .min = 1, .max = 99,
	  .key = OPT_KEY },
	{ "stop-on", 0, "LIST", FAR, OPT_ANY, AT(stop_on),
	  .help = "Resources whose threshold ends the run (default cpu,ram,swap); the others are only recorded",
	  .take = take_stop_on, .key = OPT_KEY },
	{ "repeat", 0, "R", FAR, OPT_WHOLE, AT(repeat),
	  .help = "Run the whole ramp R times and pool the samples (default 1)", .min = 1, .max = 1000,
	  .key = OPT_KEY, .set_by_ab = true },
	{ "backend", 0, "NAME", RUN_GROUP_WHAT, OPT_ANY, AT(backend),
	  .help = "How VMs are made; see 'mvmscale list backends' (default qemu)", .take = take_backend,
	  .key = OPT_KEY },
	{ "profile", 0, "NAME|FILE", RUN_GROUP_WHAT, OPT_TEXT, AT(profile),
	  .help = "What the guests do; see 'mvmscale list profiles' (default sleep)", .key = OPT_KEY,
	  .file = ".profile" },
	{ "image", 0, "FILE", RUN_GROUP_WHAT, OPT_TEXT, AT(image),
	  .help = "A 512-byte boot sector instead of a profile", .key = OPT_KEY, .file = "" },
	{ "jobs", 'j', "N", RUN_GROUP_LAUNCH, OPT_WHOLE, AT(jobs),
	  .help = "VMs that start at the same time (default: 2 per core)", .min = 1, .max = 256,
	  .key = OPT_KEY },
	{ "rate", 0, "N", RUN_GROUP_LAUNCH, OPT_REAL, AT(rate),
	  .help = "Start at most N VMs a second (the 2013 paper: 10; default: no limit)", .min = 0.001,
	  .max = 1e6, .key = OPT_KEY },
	{ "ready-timeout", 0, "S", RUN_GROUP_LAUNCH, OPT_REAL, AT(ready_timeout_s),
	  .help = "A guest that is not ready after so many seconds has failed (default 60)", .min = 0.05,
	  .max = 3600, .key = OPT_KEY },
	{ "swap", 0, "SIZE|zram:SIZE", RUN_GROUP_LAUNCH, OPT_ANY, AT(swap),
	  .help = "Add a swap file (or compressed swap in RAM) for this run; RAM then does not end it, unless --stop-on names it. Needs root",
	  .excludes = BACKEND_SYNTHETIC, .why = "uses no memory", .key = OPT_KEY },
	{ "no-raise", 0, NULL, RUN_GROUP_LAUNCH, OPT_FLAG, AT(no_raise),
	  .help = "Leave the host's limits as they are", .key = OPT_KEY },
	{ "pin", 0, "HOW", WHERE, OPT_ANY, AT(pin),
	  .help = "CPUs of the VMs: spread (one each, dealt round the memory nodes), pack (one each, one CPU after the other), or a list such as 0-3,8 that each may use (default none)",
	  CANNOT_PLACE },
	{ "numa", 0, "HOW", WHERE, OPT_ANY, AT(numa),
	  .help = "Memory of the VMs: interleave (page by page over all nodes), local (of the node that a VM runs on), or a list of nodes (default none: as the kernel does)",
	  CANNOT_PLACE },
	{ "cgroup", 0, "FOLDER", WHERE, OPT_ANY, AT(cgroup),
	  .help = "Count memory and tasks in the VMs' own cgroup, not only their CPU time; make it in FOLDER (a cgroup of v2 or v1). --cgroup=none makes none",
	  .bare = "auto", NO_CGROUP },
	{ "cgroup-cpu", 0, "CORES", WHERE, OPT_ANY, AT(cgroup_cpu),
	  .help = "CPU time that all VMs together may use, in cores (1.5) or of the host (50%)", NO_CGROUP },
	{ "cgroup-mem", 0, "SIZE", WHERE, OPT_ANY, AT(cgroup_mem),
	  .help = "Memory that all VMs together may use", NO_CGROUP },
	{ "cgroup-pids", 0, "N", WHERE, OPT_ANY, AT(cgroup_pids),
	  .help = "Tasks that all VMs together may have", NO_CGROUP },
	{ "settle", 0, "auto|SECONDS", MEASURE, OPT_REAL, AT(settle_s),
	  .help = "Wait until CPU and RAM are quiet (auto), or a fixed time", .max = 3600, .words = "auto",
	  .key = OPT_KEY },
	{ "samples", 0, "N", MEASURE, OPT_WHOLE, AT(samples), .help = "Samples per interval (default 8)",
	  .min = 2, .max = 10000, .key = OPT_KEY },
	{ "sample-time", 0, "SECONDS", MEASURE, OPT_REAL, AT(sample_s),
	  .help = "Length of one sample (default 0.35)", .min = 0.001, .max = 600, .key = OPT_KEY },
	{ "verify", 0, "N%|all", MEASURE, OPT_ANY, AT(verify_pct),
	  .help = "Share of the VMs that must answer a ping at every interval (default 1%); one that does not is not counted",
	  .take = take_verify, .excludes = BACKEND_SYNTHETIC, .why = "has no guests that could answer",
	  .key = OPT_KEY },
	{ "predict", 0, NULL, MEASURE, OPT_FLAG, AT(predict),
	  .help = "Forecast where the run will stop, from a quarter of it on, and check that at the end" },
	{ "disk-capacity", 0, "MB/s", MEASURE, OPT_REAL, AT(disk_mb_s),
	  .help = "What is 100 % of disk_pct (default: not known, and the column stays empty)", .min = 0.001,
	  .max = 1e9 },
	{ "net-capacity", 0, "MB/s", MEASURE, OPT_REAL, AT(net_mb_s),
	  .help = "What is 100 % of net_pct (default: not known, and the column stays empty)", .min = 0.001,
	  .max = 1e9 },
	{ "seed", 0, "N", MEASURE, OPT_WHOLE, AT(seed), .help = "Seed of all random choices (default 1)",
	  .max = 4294967295.0, .key = OPT_KEY, .key_max = 4294966295.0 /* rounds are added to it */ },
	{ "out", 'o', "DIR", RESULTS, OPT_TEXT, AT(out),
	  .help = "Run folder (default runs/<time>-<backend>-<preset>-<profile>)", .set_by_ab = true,
	  .set_by_nested = true },
	{ "name", 0, "TEXT", RESULTS, OPT_ANY, AT(name), .help = "Label of this run in plots and reports",
	  .set_by_ab = true },
	{ "json", 0, NULL, RESULTS, OPT_FLAG, AT(json),
	  .help = "Print the outcome as JSON on standard output", .set_by_ab = true },
	{ "quiet", 'q', NULL, RESULTS, OPT_FLAG, AT(quiet),
	  .help = "Say nothing but what went wrong; --json prints the outcome all the same",
	  .set_by_ab = true },
	{ "slo", 0, "NAME|FILE", RESULTS, OPT_TEXT, AT(slo),
	  .help = "File of limits that the figures of this run must keep (exit status 1)" },
	{ "yes", 0, NULL, RESULTS, OPT_NOTHING, 0, .help = "Ask nothing (it never does without a terminal)" },
};

static const struct run_options defaults = {
	.max = 200,
	.intervals = 20,
	.repeat = 1,
	.threshold_pct = 90,
	.verify_pct = 1,
	.settle_s = -1,
	.ready_timeout_s = 60,
	.sample_s = 0.35,
	.samples = 8,
	.seed = 1,
	.backend = &backend_qemu,
};

static const struct option_table run_table = { .rows = rows, .count = ARRAY_LEN(rows) };

/* Every table, that of run first; returns their number. */
static size_t all_tables(const struct option_table *ret[RUN_TABLES])
{
	size_t n = 0;

	ret[n++] = &run_table;
	for (size_t i = 0; backends[i]; i++) {
		assert(n < RUN_TABLES);
		if (backends[i]->options)
			ret[n++] = backends[i]->options;
	}
	return n;
}

static const struct option_row *find_in(const struct option_table *t, const char *name)
{
	for (size_t i = 0; t && i < t->count; i++)
		if (str_eq(t->rows[i].name, name))
			return &t->rows[i];
	return NULL;
}

static const struct option_row *listed[RUN_OPTIONS_MAX + 1];

/* All rows of a group, whoever brings them. */
static size_t list_group(const struct option_table *const *from, size_t tables, const char *group, size_t n)
{
	for (size_t t = 0; t < tables; t++)
		for (size_t i = 0; i < from[t]->count; i++) {
			const struct option_row *o = &from[t]->rows[i];

			if (!str_eq(o->group, group) || option_find(listed, o->name, strlen(o->name)))
				continue;
			assert(n < RUN_OPTIONS_MAX);
			listed[n++] = o;
		}
	return n;
}

const struct option_row *const *run_option_rows(void)
{
	const struct option_table *from[RUN_TABLES];
	size_t tables = all_tables(from), n = 0;

	if (listed[0])
		return listed;
	for (size_t t = 0; t < tables; t++)
		for (size_t i = 0; i < from[t]->count; i++)
			n = list_group(from, tables, from[t]->rows[i].group, n);
	return listed;
}

void run_options_init(struct run_options *o)
{
	const struct option_table *from[RUN_TABLES];
	size_t tables = all_tables(from);

	*o = defaults;
	for (size_t t = 1; t < tables; t++) {
		o->configs[t] = xcalloc(1, from[t]->size);
		if (from[t]->defaults)
			memcpy(o->configs[t], from[t]->defaults, from[t]->size);
	}
}

void run_options_clear(struct run_options *o)
{
	const struct option_table *from[RUN_TABLES];
	size_t tables = all_tables(from);

	for (size_t t = 1; t < tables; t++) {
		if (o->configs[t] && from[t]->clear)
			from[t]->clear(o->configs[t]);
		free(o->configs[t]);
	}
	strlist_clear(&o->kept);
	*o = (struct run_options){ 0 };
}

error *run_options_take(struct run_options *o, size_t at, const char *arg)
{
	const struct option_row *given = run_option_rows()[at];
	const struct option_table *from[RUN_TABLES];
	size_t tables = all_tables(from);
	error *e = NULL;

	/* several backends may have an option of that name; which of them counts is not known yet */
	for (size_t t = 0; t < tables && !e; t++) {
		const struct option_row *row = find_in(from[t], given->name);

		if (row)
			e = option_take(row, arg, t ? o->configs[t] : o);
	}
	o->given[at] = !given->silent || !str_eq(arg, given->silent);
	return e;
}

static bool usable(const struct option_row *row, const struct backend_ops *b)
{
	if (find_in(&run_table, row->name))
		return (!row->needs || b->flags & row->needs) && !(b->flags & row->excludes);
	return find_in(b->options, row->name);
}

/* Names of the backends that can use every option of the list. */
static char *who_can(const struct strlist *options)
{
	_cleanup_(strlist_clear) struct strlist who = { 0 };

	for (size_t i = 0; backends[i]; i++) {
		bool all = true;

		for (size_t k = 0; k < options->count; k++)
			all &= find_in(backends[i]->options, options->items[k] + 2) != NULL;
		if (all)
			strlist_add(&who, backends[i]->name);
	}
	return option_list(&who, " or ");
}

/* Names the option with all that the backend has no use for in the same way. */
static error *refuse(const struct option_row *row, const struct backend_ops *b)
{
	const struct option_table *from[RUN_TABLES] = { NULL };
	_cleanup_(strlist_clear) struct strlist names = { 0 };
	size_t t = 0;

	all_tables(from);
	while (!find_in(from[t], row->name))
		t++;
	for (size_t i = 0; i < from[t]->count; i++) {
		const struct option_row *r = &from[t]->rows[i];
		bool alike = row->why ? str_eq(r->why, row->why) : !r->why;

		/* what an earlier table has as well is not for this one alone */
		if (alike && !usable(r, b) && option_find(listed, r->name, strlen(r->name)) == r)
			strlist_addf(&names, "--%s", r->name);
	}
	_cleanup_free_ char *who = who_can(&names),
			    *all = from[t]->all ? xstrdup(from[t]->all) : option_list(&names, " and ");
	if (!t)
		return err_new(EXIT_BAD_INPUT, "backend %s %s: %s cannot be used", b->name, row->why, all);
	_cleanup_free_ char *needs =
		xasprintf("%s --backend %s", names.count > 1 ? "they need" : "it needs", who);
	return err_new(EXIT_BAD_INPUT, "backend %s has no use for %s: %s", b->name, all,
		       row->why				   ? row->why
		       : b->options && b->options->instead ? b->options->instead
							   : needs);
}

static bool is_given(const struct run_options *o, const char *name)
{
	const struct option_row *const *all = run_option_rows();

	for (size_t i = 0; all[i]; i++)
		if (o->given[i] && str_eq(all[i]->name, name))
			return true;
	return false;
}

/* Options of run that exclude each other. */
static error *check_together(const struct run_options *o)
{
	const char *wrong = NULL;

	if (str_eq(o->cgroup, "none") && cgroup_limits_any(&o->limits))
		wrong = "--cgroup=none leaves no cgroup for the limits of --cgroup-*";
	else if (o->cgroup && !*o->cgroup)
		wrong = "--cgroup=: needs auto, none or a cgroup's folder";
	else if (o->image && o->profile)
		wrong = "--image and --profile exclude each other";
	else if (o->swap && (is_given(o, "connect") || is_given(o, "hosts")))
		wrong = "--swap is added to this machine, not to the hosts of --connect or --hosts";
	return wrong ? err_new(EXIT_BAD_INPUT, "%s", wrong) : NULL;
}

error *run_options_finish(struct run_options *o)
{
	const struct option_row *const *all = run_option_rows();
	const struct option_table *own = o->backend->options;
	const struct option_table *from[RUN_TABLES];
	size_t tables = all_tables(from);
	error *e = cgroup_limits_parse(o->cgroup_cpu, o->cgroup_mem, o->cgroup_pids,
				       sysconf(_SC_NPROCESSORS_ONLN), &o->limits);

	for (size_t i = 0; all[i] && !e; i++)
		if (o->given[i] && !usable(all[i], o->backend))
			e = refuse(all[i], o->backend);
	for (size_t t = 1; t < tables; t++)
		if (from[t] == own)
			o->own = o->configs[t];
	if (!e && own && own->finish)
		e = own->finish(o->own, &o->kept);
	if (e || (e = check_together(o)))
		return e;
	if (!o->profile && !o->image)
		o->profile = "sleep";
	/* swap was asked for to see it used: RAM is full before that */
	if (!o->stop_on)
		o->stop_on = o->swap ? 1U << RESOURCE_CPU | 1U << RESOURCE_SWAP : (1U << RESOURCE_COUNT) - 1;
	return NULL;
}

const char *run_options_text(const struct run_options *o, const char *name)
{
	const struct option_row *row = find_in(o->backend->options, name);

	return row ? *(const char *const *)((const char *)o->own + row->offset) : NULL;
}
