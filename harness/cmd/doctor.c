/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/libvirt/left.h"
#include "backend/qemu/preset.h"
#include "base/fs.h"
#include "base/table.h"
#include "cmd/cmd.h"
#include "host/facts.h"
#include "host/limits.h"
#include "host/settings.h"

/* What a run stops at by default (--threshold). */
#define THRESHOLD_PCT 90.0

struct doctor {
	bool apply, restore, json;
	unsigned max; /* 0: as many as RAM holds */
	const struct backend_ops *backend;
	const char *preset;	    /* NULL: what a run takes by default */
	double vm_mem_kb, vm_tasks; /* given; < 0: as declared */
	struct vm_cost cost;
	char *source; /* of the cost */
	double vms;
	struct host host;
	struct limits limits;
	struct strlist warnings, pending, restored;
	struct strlist uris; /* libvirt hosts to look for leftovers on */
	struct limit_raises raises;
};

#define AT(field) offsetof(struct doctor, field)

static error *take_backend(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	return backend_choose(arg, &((struct doctor *)config)->backend);
}

static error *take_tasks(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	((struct doctor *)config)->vm_tasks = strtod(arg, NULL);
	return NULL;
}

static const struct option_row options[] = {
	{ "apply", 0, NULL, NULL, OPT_FLAG, AT(apply),
	  .help = "Raise the limits for good: until --restore or a reboot" },
	{ "restore", 0, NULL, NULL, OPT_FLAG, AT(restore),
	  .help = "Undo what --apply did, and what killed runs left changed" },
	{ "max", 0, "N", NULL, OPT_WHOLE, AT(max),
	  .help = "VMs that shall fit (default: as many as RAM holds)", .min = 1, .max = 10000000 },
	{ "backend", 0, "NAME", NULL, OPT_ANY, AT(backend), .take = take_backend,
	  .help = "Take what a VM of this backend costs (default qemu, as for run)" },
	{ "preset", 0, "NAME|FILE", NULL, OPT_TEXT, AT(preset),
	  .help = "Take what this preset declares for a VM (default dense, as for run)" },
	{ "vm-mem", 0, "KB", NULL, OPT_REAL, AT(vm_mem_kb), .help = "Memory of one VM instead", .min = 1,
	  .max = 1e12 },
	{ "vm-tasks", 0, "N", NULL, OPT_WHOLE, AT(vm_tasks), .take = take_tasks,
	  .help = "Tasks of one VM instead", .max = 100000 },
	{ "connect", 0, "URI", NULL, OPT_LIST, AT(uris),
	  .help = "Also look on this libvirt host for domains that killed runs left; may be given several times" },
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json), .help = "Print JSON" },
	{ 0 },
};

static error *check(void *config)
{
	const struct doctor *d = config;

	if (d->apply && d->restore)
		return err_new(EXIT_BAD_INPUT, "--apply and --restore exclude one another");
	if (d->preset && !(d->backend->flags & BACKEND_PRESETS))
		return err_new(EXIT_BAD_INPUT, "backend %s has no use for --preset", d->backend->name);
	return NULL;
}

/* Programs that a part of mvmscale starts. */
static const struct {
	const char *name, *what_for, *how;
} tools[] = {
	{ "qemu-system-x86_64", "backend qemu", "install qemu-system-x86" },
	{ "qemu-system-x86_64-microvm", "smaller VMs under KVM; optional", "install qemu-system-x86" },
	{ "nasm", "building guests from source", "install nasm" },
	{ "gnuplot", "plots", "install gnuplot-nox" },
};

static char *kvm_state(bool *ret_opens)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	*ret_opens = fd >= 0;
	if (fd >= 0)
		return xstrdup("device opens; a run probes it by booting a guest");
	if (errno == ENOENT)
		return xstrdup("no such device: load the kvm module, or run with --accel tcg");
	return xasprintf("cannot be opened: %s; join the group kvm, or run with --accel tcg",
			 strerror(errno));
}

/* The accelerator that a run would try first. */
static enum accel likely_accel(const struct preset *p)
{
	bool kvm = false;
	_cleanup_free_ char *state = kvm_state(&kvm);

	if (!p->accel[ACCEL_TCG].present || (str_eq(p->prefer, "kvm") && kvm && p->accel[ACCEL_KVM].present))
		return ACCEL_KVM;
	return ACCEL_TCG;
}

/* What a VM of such a run is declared to cost, and by what; nothing is measured here. */
static error *declared_cost(struct doctor *d)
{
	_cleanup_(preset_freep) struct preset *p = NULL;

	if (d->backend->flags & BACKEND_PRESETS) {
		error *e = preset_load(d->preset ? d->preset : "dense", &p);
		if (e)
			return e;
		enum accel a = likely_accel(p);

		d->cost = preset_vm_cost(&p->accel[a]);
		d->source = xasprintf("as preset %s declares for %s", p->name, accel_names[a]);
	} else {
		d->cost = d->backend->cost(NULL);
		if (!(d->cost.mem_kb > 0) && !(d->vm_mem_kb >= 0))
			return err_new(
				EXIT_BAD_INPUT,
				"--backend %s: what a VM costs stands in its template: give --vm-mem and --vm-tasks",
				d->backend->name);
		d->source = xasprintf("as backend %s declares", d->backend->name);
	}
	if (d->vm_mem_kb >= 0)
		d->cost.mem_kb = d->vm_mem_kb;
	if (d->vm_tasks >= 0)
		d->cost.tasks = d->vm_tasks;
	return NULL;
}

static void examine(struct doctor *d)
{
	struct limit_raw raw;

	limits_free(&d->limits);
	limits_read("", &raw);
	limits_compute(&raw, &d->cost, THRESHOLD_PCT, &d->limits);
	limit_raw_free(&raw);
	d->vms = (double)d->max;
	for (size_t i = 0; !d->max && i < d->limits.count; i++)
		if (str_eq(d->limits.items[i].name, "ram") && isfinite(d->limits.items[i].vms_now))
			d->vms = d->limits.items[i].vms_now;
}

/* Whether all took; RLIMIT_* belong to a process, so raising ours for good means nothing. */
static error *apply(struct doctor *d, bool *ret_all)
{
	struct settings *s = NULL;
	error *e = settings_open_applied(&s);

	if (e)
		return e;
	for (size_t i = 0; i < d->limits.count; i++)
		d->limits.items[i].rlimit = -1;
	limits_raise(s, &d->limits, d->vms, &d->raises);
	settings_close(s);
	*ret_all = true;
	for (size_t i = 0; i < d->raises.count; i++)
		*ret_all = *ret_all && !d->raises.items[i].failure;
	return NULL;
}

static char *known(long long v)
{
	return v < 0 ? xstrdup("unknown") : count_text((double)v);
}

static void show_host(const struct host *h)
{
	_cleanup_free_ char *cores = known(h->cores_online), *nodes = known(h->numa_nodes);
	_cleanup_free_ char *total = known(h->mem_total_kb);
	_cleanup_free_ char *available = known(h->mem_available_kb);
	_cleanup_free_ char *swap = known(h->swap_total_kb);

	printf("Host\n");
	printf("  CPU          %s; cores online: %s; NUMA nodes: %s%s\n",
	       *h->cpu_model ? h->cpu_model : "unknown", cores, nodes,
	       h->nested == 1 ? "; under a hypervisor" : "");
	printf("  memory       %s kB, %s kB available, swap %s kB\n", total, available, swap);
	printf("  kernel       %s, %s\n", h->kernel,
	       *h->distribution ? h->distribution : "unknown distribution");
	printf("  cgroups      %s%s%s\n", *h->cgroup ? h->cgroup : "not mounted",
	       h->container == 1 ? "; in a container: " : "", h->container_reason);
	printf("  KSM          %s\n", h->ksm_present != 1 ? "not in this kernel"
				      : h->ksm_run == 1	  ? "running"
							  : "stopped");
	printf("  huge pages   %s\n", *h->thp ? h->thp : "not in this kernel");
	printf("  governor     %s\n", *h->governor ? h->governor : "none (no frequency scaling)");
	printf("  overcommit   %d, randomize_va_space %d\n", h->overcommit, h->randomize_va_space);
	printf("  mitigations  %s\n", *h->mitigations ? h->mitigations : "unknown");
}

static void show_limits(const struct doctor *d)
{
	static const struct table_column columns[] = {
		{ .heading = "limit" },
		{ .heading = "in use", .align = TABLE_RIGHT },
		{ .heading = "maximum", .align = TABLE_RIGHT },
		{ .heading = "VMs now", .align = TABLE_RIGHT },
		{ .heading = "VMs if raised", .align = TABLE_RIGHT },
		{ .heading = "how" },
	};
	struct table t = table_new(columns, ARRAY_LEN(columns));

	printf("\nLimits for VMs of %g kB, %g tasks and %g open files each: %s%s\n"
	       "  (--backend, --preset, --vm-mem and --vm-tasks say otherwise; a run measures what they take)\n",
	       d->cost.mem_kb, d->cost.tasks, d->cost.fds_vm, d->source,
	       d->vm_mem_kb >= 0 || d->vm_tasks >= 0 ? ", but what is given" : "");
	for (size_t i = 0; i < d->limits.count; i++) {
		const struct limit *l = &d->limits.items[i];

		table_row(&t, (char *[]){ xstrdup(l->name), count_text(l->current_use),
					  count_text(l->current_max), count_text(l->vms_now),
					  count_text(l->vms_raised), xstrdup(l->how) });
	}
	table_write_text(&t, "  ", stdout);
	table_clear(&t);
}

static void show_verdict(const struct doctor *d)
{
	const struct limit *now = limits_binding(&d->limits, false);
	const struct limit *raised = limits_binding(&d->limits, true);
	_cleanup_free_ char *sentence = limits_sentence(&d->limits, false);
	_cleanup_free_ char *then = limits_sentence(&d->limits, true);

	printf("\nVerdict: %s.\n", sentence);
	if (now && (!raised || raised->vms_raised > now->vms_now))
		printf("With every limit raised that can be (as a run does while it lasts, or for good by 'mvmscale doctor --apply'), %s.\n",
		       then);
	if (d->max && raised && raised->vms_raised < (double)d->max)
		printf("%u VMs do not fit on this host.\n", d->max);
}

static void show_tools(void)
{
	static const struct table_column columns[] = { { .name = "tool" }, { .name = "state" } };
	struct table t = table_new(columns, ARRAY_LEN(columns));
	bool opens;

	printf("\nTools\n");
	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		_cleanup_free_ char *path = fs_find_program(tools[i].name);

		table_row(&t, (char *[]){ xstrdup(tools[i].name),
					  xasprintf("%s%s (%s)", path ? "" : "missing: ",
						    path ? path : tools[i].how, tools[i].what_for) });
	}
	table_row(&t, (char *[]){ xstrdup("/dev/kvm"), kvm_state(&opens) });
	for (size_t i = 0; backends[i]; i++) {
		_cleanup_err_ error *e = backends[i]->probe ? backends[i]->probe() : NULL;

		if (e)
			table_row(&t,
				  (char *[]){ xasprintf("backend %s", backends[i]->name), xstrdup(e->msg) });
	}
	table_write_text(&t, "  ", stdout);
	table_clear(&t);
}

static void show_list(const char *title, const struct strlist *l)
{
	if (l->count)
		printf("\n%s\n", title);
	for (size_t i = 0; i < l->count; i++)
		printf("  - %s\n", l->items[i]);
}

static void show_raises(const struct doctor *d)
{
	_cleanup_free_ char *vms = count_text(d->vms);

	if (!d->apply)
		return;
	printf("\nRaised for %s VMs\n", vms);
	if (!d->raises.count)
		printf("  nothing: no limit that can be raised for good ends below that\n");
	for (size_t i = 0; i < d->raises.count; i++) {
		const struct limit_raise *r = &d->raises.items[i];
		_cleanup_free_ char *from = count_text(r->from), *to = count_text(r->to);

		if (r->failure)
			printf("  %s\n", r->failure);
		else
			printf("  %-15s from %s to %s, until 'mvmscale doctor --restore' or a reboot\n",
			       r->name, from, to);
	}
}

static json_t *json_lines(const struct strlist *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(a, json_string(l->items[i]));
	return a;
}

static json_t *json_tools(void)
{
	json_t *a = json_array();
	bool opens;
	_cleanup_free_ char *kvm = kvm_state(&opens);

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		_cleanup_free_ char *path = fs_find_program(tools[i].name);

		json_array_append_new(a, json_pack("{s:s, s:b, s:s?, s:s}", "name", tools[i].name, "found",
						   path != NULL, "path", path, "for", tools[i].what_for));
	}
	json_array_append_new(a, json_pack("{s:s, s:b, s:s, s:s}", "name", "/dev/kvm", "found", (int)opens,
					   "path", "/dev/kvm", "for", kvm));
	return a;
}

static json_t *json_verdict(const struct limits *l, bool raised)
{
	const struct limit *b = limits_binding(l, raised);
	_cleanup_free_ char *sentence = limits_sentence(l, raised);

	return json_pack("{s:s?, s:o, s:s}", "limit", b ? b->name : NULL, "vms",
			 b ? json_integer((json_int_t)(raised ? b->vms_raised : b->vms_now)) : json_null(),
			 "sentence", sentence);
}

static void show_json(const struct doctor *d)
{
	json_t *o = json_pack("{s:o, s:{s:s, s:f, s:f, s:f, s:f}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			      "host", host_json(&d->host), "assumed", "source", d->source, "vm_mem_kb",
			      d->cost.mem_kb, "vm_tasks", d->cost.tasks, "vm_files", d->cost.fds_vm,
			      "threshold_pct", THRESHOLD_PCT, "limits", limits_json(&d->limits),
			      "verdict_now", json_verdict(&d->limits, false), "verdict_raised",
			      json_verdict(&d->limits, true), "tools", json_tools(), "warnings",
			      json_lines(&d->warnings), "pending", json_lines(&d->pending), "raised",
			      limit_raises_json(&d->raises), "restored", json_lines(&d->restored));

	cmd_print_json(o, 6);
}

static void show(const struct doctor *d)
{
	if (d->json) {
		show_json(d);
		return;
	}
	if (d->restore) {
		for (size_t i = 0; i < d->restored.count; i++)
			printf("%s\n", d->restored.items[i]);
		if (!d->restored.count)
			printf("nothing to restore\n");
		return;
	}
	show_host(&d->host);
	show_limits(d);
	show_raises(d);
	show_verdict(d);
	show_tools();
	show_list("What can distort a measurement here", &d->warnings);
	show_list("Changed by mvmscale and not restored yet ('mvmscale doctor --restore')", &d->pending);
}

static void doctor_free(struct doctor *d)
{
	free(d->source);
	host_free(&d->host);
	limits_free(&d->limits);
	limit_raises_free(&d->raises);
	strlist_clear(&d->warnings);
	strlist_clear(&d->pending);
	strlist_clear(&d->restored);
	strlist_clear(&d->uris);
}

/* What runs left on libvirt hosts: destroyed with --restore, else listed. The first failure is returned, the
   other hosts are looked at all the same. */
static error *look_at_hosts(struct doctor *d)
{
	error *e = NULL;

	for (size_t i = 0; i < d->uris.count; i++)
		e = err_first(e, libvirt_leftovers(d->uris.items[i], d->restore,
						   d->restore ? &d->restored : &d->pending));
	return e;
}

static int run(int argc, char **argv)
{
	_cleanup_(
		doctor_free) struct doctor d = { .backend = &backend_qemu, .vm_mem_kb = -1, .vm_tasks = -1 };
	bool all = true;
	error *e = NULL;

	cmd_parse(&cmd_doctor, argc, argv, &d);
	if ((e = declared_cost(&d)))
		return cmd_fail(e);
	if (d.restore)
		e = settings_restore_applied(&d.restored);
	examine(&d);
	if (d.apply)
		e = apply(&d, &all);
	host_read(&d.host, "");
	host_warnings(&d.host, &d.warnings);
	e = err_first(e, settings_list_pending(&d.pending));
	e = err_first(e, look_at_hosts(&d));
	show(&d);
	if (e)
		return cmd_fail(e);
	return all ? EXIT_DONE
		   : cmd_fail(err_new(EXIT_CANNOT,
				      "not every limit could be raised; the list above says why"));
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "show this host's limits and what can distort a measurement",
	.doc = "Shows this host, the limits that end a run on it, and what can distort a measurement.",
	.options = options,
	NO_WORDS,
	.too_many = "'%s' is one argument too many: doctor takes options only",
	.check = check,
	.run = run,
};
