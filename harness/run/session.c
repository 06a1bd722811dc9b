/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/session.h"
#include "host/swap.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/qemu/options.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fs.h"
#include "base/text.h"

#define STATUS_PERIOD_NS 100000000ULL

volatile int run_interrupted;

const char *const run_stage_names[STAGE_STOP + 1] = {
	[STAGE_PREPARE] = "prepare", [STAGE_BASELINE] = "baseline", [STAGE_LAUNCH] = "launch",
	[STAGE_SETTLE] = "settle",   [STAGE_MEASURE] = "measure",   [STAGE_VERIFY] = "verify",
	[STAGE_STOP] = "stop",
};

const char *const stop_kind_names[STOP_FAILED + 1] = {
	[STOP_NONE] = "none",
	[STOP_MAX] = "max",
	[STOP_THRESHOLD] = "threshold",
	[STOP_LIMIT] = "limit",
	[STOP_INTERRUPTED] = "interrupted",
	[STOP_FAILED] = "failed",
};

void record_notice(struct record *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->obs->notice)
		return;
	va_start(ap, fmt);
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	va_end(ap);
	r->obs->notice(r->obs->user, text);
}

void session_status(struct session *s, enum run_stage stage, bool force)
{
	uint64_t now = clock_ns();

	if (!s->record.obs->status ||
	    (!force && stage == s->record.status.stage && now - s->record.last_status_ns < STATUS_PERIOD_NS))
		return;
	s->record.last_status_ns = now;
	s->record.status.stage = stage;
	s->record.status.ready = population_counted(&s->pop);
	s->record.status.unproven = answers_unproven(&s->pop.answers);
	s->record.status.elapsed_s = (double)(now - s->record.start_ns) / 1e9;
	s->record.obs->status(s->record.obs->user, &s->record.status);
}

void record_stop(struct record *r, enum stop_kind kind, const char *metric, const char *limit, int sys,
		 double value, const char *fmt, ...)
{
	struct run_stop *st = &r->out->stop;
	va_list ap;

	if (st->kind != STOP_NONE && kind != STOP_INTERRUPTED)
		return; /* the first reason is the reason */
	free(st->limit);
	free(st->evidence);
	va_start(ap, fmt);
	*st = (struct run_stop){ .kind = kind, .metric = metric, .sys = sys, .value = value };
	st->limit = limit ? xstrdup(limit) : NULL;
	st->evidence = xvasprintf(fmt, ap);
	text_clean(st->evidence);
	va_end(ap);
}

void session_sample(struct session *s, struct sample *ret)
{
	s->source.ops->sample(s, ret);
	ret->v[METRIC_CPU_PREDICTED] = wave_load_pct(&s->plan, &s->pop, ret->at_ns, ret->window_s);
}

bool session_limit_met(struct session *s)
{
	return confine_met(&s->plan, &s->enclosure, &s->pop, &s->record);
}

error *session_save(struct session *s, const char *state)
{
	json_object_set_new(s->record.folder.meta, "state", json_string(state));
	describe_stop(&s->record);
	confine_record(&s->plan, &s->enclosure, &s->record);
	return run_folder_save(&s->record.folder);
}

static error *load_image(struct session *s)
{
	const struct run_options *o = s->plan.o;
	error *e;

	if (o->image)
		return image_load(o->image, &s->plan.image);
	if ((e = profile_load(o->profile, &s->plan.profile)))
		return e;
	return image_from_profile(s->plan.profile, &s->plan.image);
}

/* What the backend would leave out is refused, or said where it changes little. */
static error *check_backend(struct session *s)
{
	unsigned flags = s->plan.o->backend->flags;

	if (!s->source.ops->guests)
		return NULL;
	if (s->plan.devices && !(flags & BACKEND_DEVICES))
		return err_new(
			EXIT_CANNOT,
			"guest '%s' needs a device besides its serial port, and backend %s gives none: use --backend qemu",
			s->plan.image.guest, s->plan.o->backend->name);
	if (s->plan.profile && s->plan.vary.phase && !(flags & BACKEND_VARY))
		return err_new(
			EXIT_CANNOT,
			"%s: spread_ms: backend %s starts all VMs from one image, so their phases cannot differ: use --backend qemu or kvm",
			s->plan.profile->path, s->plan.o->backend->name);
	if (s->plan.vary.seed && !(flags & BACKEND_VARY))
		record_notice(&s->record, "backend %s starts all VMs from one image: all have the same seed",
			      s->plan.o->backend->name);
	return NULL;
}

static error *load_guest(struct session *s)
{
	_cleanup_(strlist_clear) struct strlist words = { 0 };
	error *e = load_image(s);

	if (!e)
		e = profile_devices(s->plan.profile, &s->plan.image, &words);
	if (!e)
		e = device_set(&words, s->plan.profile ? s->plan.profile->path : s->plan.image.guest,
			       &s->plan.devices);
	s->plan.vary =
		vary_of(&s->plan.image, s->plan.profile ? s->plan.profile->spread_ms : 0, s->plan.o->seed);
	return e ? e : check_backend(s);
}

/* --swap: from here on it is the host's swap like any other. */
static error *add_swap(struct session *s)
{
	struct swap_spec spec;
	_cleanup_free_ char *path = NULL;
	error *e = swap_parse(s->plan.o->swap, &spec);

	if (!e)
		e = swap_add(s->enclosure.settings, &spec, &path);
	if (e)
		return e;
	record_notice(&s->record, "added %.0f MB of swap for this run: %s", (double)spec.bytes / 1e6, path);
	json_object_set_new(s->record.folder.meta, "swap_added",
			    json_pack("{s:s,s:s,s:f}", "kind", spec.zram ? "zram" : "file", "path", path,
				      "kb", (double)spec.bytes / 1024));
	host_free(&s->plan.host);
	host_read(&s->plan.host, "");
	return NULL;
}

static error *make_private(const char *path)
{
	struct dir d;
	error *e = dir_open(path, DIR_CREATE | DIR_PRIVATE, &d);

	dir_close(&d);
	return e;
}

/* Private folder and cgroup; both are in the journal before they exist. */
static error *create_places(struct session *s)
{
	error *e;

	s->enclosure.runtime_dir =
		xasprintf("%s/run-%d", settings_folder(s->enclosure.settings), (int)getpid());
	if ((e = settings_note_tree(s->enclosure.settings, s->enclosure.runtime_dir)) ||
	    (e = make_private(s->enclosure.runtime_dir)))
		return e;
	if (s->plan.o->swap && (e = add_swap(s)))
		return e;
	return confine_create(&s->plan, &s->enclosure, &s->record);
}

static error *open_backend(struct session *s)
{
	const struct run_options *o = s->plan.o;
	struct backend_config cfg = {
		.image = &s->plan.image,
		.vary = &s->plan.vary,
		.devices = &s->plan.devices,
		.memory_mb = s->plan.profile ? s->plan.profile->memory_mb : 0,
		.disk_mb = s->plan.profile ? s->plan.profile->disk_mb : 1,
		.runtime_dir = s->enclosure.runtime_dir,
		.jobs = o->jobs ? o->jobs : (unsigned)MAX(2 * s->plan.host.cores_online, 2L),
		.ready_timeout_ns = (uint64_t)(o->ready_timeout_s * 1e9),
		.cgroup_procs_fd = s->enclosure.cgroup.path ? s->enclosure.cgroup.procs_fd : -1,
		.settings = s->enclosure.settings,
		.seed = o->seed,
		.own = o->own,
	};

	/* a host that is lost takes up to all VMs with it, and others are started instead */
	s->pop.vm_slots = o->max + SPARE_VMS + (o->backend->hosts ? o->max : 0);
	s->pop.vms = xcalloc(s->pop.vm_slots, sizeof(*s->pop.vms));
	answers_open(&s->pop.answers, s->pop.vm_slots);
	cfg.cgroup_more_fds = s->enclosure.cgroup.more_fds;
	cfg.cgroup_more = s->enclosure.cgroup.more;
	cfg.place = s->plan.place.pin != PIN_NONE || s->plan.place.numa != NUMA_NONE ? &s->plan.place : NULL;
	cfg.cgroup_version = s->enclosure.cgroup.version;
	cfg.cgroup_whole = confine_wanted(s->plan.o);
	cfg.cgroup_relative = s->enclosure.cgroup.path ? cgroup_relative(&s->enclosure.cgroup) : NULL;
	error *e = o->backend->open(&cfg, s->pop.vms, s->pop.vm_slots, &s->pop.backend);
	if (e)
		return confine_explain(&s->plan, &s->enclosure, e);
	wave_load_prepare(&s->plan, &s->pop);
	return NULL;
}

/* Which limits would end the run before --max, raising those that may be raised. */
static void preflight(struct session *s)
{
	s->pop.limit_vms = UINT32_MAX;
	s->plan.preflight_end = s->plan.o->max;
	if (!s->source.ops->limits)
		return;
	struct vm_cost cost = s->pop.backend->ops->cost(s->pop.backend);
	struct limit_raw raw;
	struct limits limits;
	struct limit_raises raises = { 0 };

	limits_read("", &raw);
	limits_compute(&raw, &cost, s->plan.o->threshold_pct, &limits);
	if (!s->plan.o->no_raise && (backend_flags(s->pop.backend) & BACKEND_HERE)) {
		limits_raise(s->enclosure.settings, &limits, s->plan.o->max, &raises);
		for (size_t i = 0; i < raises.count; i++)
			if (!raises.items[i].failure)
				record_notice(&s->record, "raised %s from %.0f to %.0f for this run",
					      raises.items[i].name, raises.items[i].from, raises.items[i].to);
	}
	for (size_t i = 0; i < limits.count; i++) {
		const struct limit *l = &limits.items[i];

		if (!(l->vms_now < s->plan.preflight_end) && !(l->vms_now < s->pop.limit_vms))
			continue;
		s->plan.preflight_end = MIN(s->plan.preflight_end, (uint32_t)fmax(l->vms_now, 1));
		if (str_eq(l->name, "ram") || !(l->vms_now < s->pop.limit_vms))
			continue;
		s->pop.limit_vms = (uint32_t)fmax(l->vms_now, 0);
		s->pop.limit_value = l->current_max;
		free(s->pop.limit_name);
		free(s->pop.limit_evidence);
		s->pop.limit_name = xstrdup(l->name);
		s->pop.limit_evidence = xstrdup(l->evidence ? l->evidence : "");
	}
	if (s->plan.preflight_end < s->plan.o->max) {
		_cleanup_free_ char *sentence = limits_sentence(&limits, false);
		record_notice(
			&s->record,
			"preflight: %s, by the declared cost of a VM; the steps follow what is measured",
			sentence);
		json_object_set_new(s->record.folder.meta, "preflight", json_string(sentence));
	}
	json_object_set_new(s->record.folder.meta, "limits", limits_json(&limits));
	json_object_set_new(s->record.folder.meta, "raised", limit_raises_json(&raises));
	confine_preflight(&s->plan, &s->enclosure, &s->pop, cost.tasks);
	json_object_set_new(s->record.folder.meta, "predicted_end", json_integer(s->plan.preflight_end));
	limits_free(&limits);
	limit_raises_free(&raises);
	limit_raw_free(&s->pop.limits_before);
	s->pop.limits_before = raw;
}

static void say_warnings(struct session *s)
{
	struct strlist w = { 0 };
	json_t *list = json_array();

	host_warnings(&s->plan.host, &w);
	for (size_t i = 0; i < w.count; i++) {
		if (backend_flags(s->pop.backend) & BACKEND_HERE)
			record_notice(&s->record, "warning: %s", w.items[i]);
		json_array_append_new(list, json_string(w.items[i]));
	}
	json_object_set_new(s->record.folder.meta, "warnings", list);
	strlist_clear(&w);
}

error *session_open(struct session *s)
{
	const struct run_options *o = s->plan.o;
	error *e;

	s->record.start_ns = clock_ns();
	s->enclosure.janitor_fd = -1;
	s->enclosure.cgroup = CGROUP_NONE;
	s->record.folder = RUN_FOLDER_NONE;
	s->source.ops = o->backend->synthetic ? &source_null : &source_host;
	s->rng = gsl_rng_alloc(gsl_rng_mt19937);
	gsl_rng_set(s->rng, o->seed);
	host_read(&s->plan.host, "");
	if (o->backend->flags & BACKEND_PRESETS) {
		struct qemu_config *own = o->own;

		if ((e = preset_load(own->preset_name, &s->plan.preset)))
			return e;
		own->preset = s->plan.preset;
	}
	if ((e = confine_place(&s->plan)) || (e = load_guest(s)) || (e = describe_begin(s)) ||
	    (e = settings_open(&s->enclosure.settings)) ||
	    (e = janitor_start(&s->enclosure.janitor_fd, &s->enclosure.janitor)) || (e = create_places(s)) ||
	    (e = confine_begin(&s->plan, &s->enclosure, &s->record)) ||
	    (e = sampler_open(&s->enclosure.cgroup, &s->source.sampler)) || (e = open_backend(s)))
		return e;
	sampler_set_capacity(s->source.sampler, o->disk_mb_s, o->net_mb_s);
	s->record.status = (struct run_status){ .repeats = o->repeat,
						.intervals = o->intervals,
						.max = o->max,
						.threshold_pct = o->threshold_pct,
						.eta_s = NAN,
						.has_swap = s->plan.host.swap_total_kb > 0 };
	if ((e = source_fleet_open(s)))
		return e;
	say_warnings(s);
	preflight(s);
	s->record.status.predicted_end = s->plan.preflight_end;
	describe_environment(s);
	if ((e = ksm_begin(s->enclosure.settings, &s->pop, &s->record, &s->ksm)))
		return e;
	describe_announce(&s->pop, &s->record);
	return session_save(s, "running");
}

/* The record says so as well: nobody may have seen it. */
static void say_left(struct session *s, const char *line)
{
	record_notice(&s->record, "%s", line);
	if (s->record.folder.events_fd >= 0)
		err_free(run_folder_event(&s->record.folder, "left", json_pack("{s:s}", "what", line)));
}

void session_close(struct session *s)
{
	struct strlist said = { 0 };
	bool all_done = true;

	if (s->source.ops->close)
		s->source.ops->close(s);
	if (s->pop.backend)
		s->pop.backend->ops->close(s->pop.backend);
	sampler_close(s->source.sampler);
	cgroup_remove(&s->enclosure.cgroup);
	if (s->enclosure.settings) {
		error *e = settings_restore(s->enclosure.settings, &said);

		all_done = !e;
		if (e)
			record_notice(
				&s->record,
				"not everything could be put back: %s; 'mvmscale doctor --restore' tries again",
				e->msg);
		err_free(e);
		settings_close(s->enclosure.settings);
	}
	/* what was restored was said when it was changed */
	for (size_t i = 0; i < said.count; i++)
		if (str_starts(said.items[i], "left "))
			say_left(s, said.items[i]);
	strlist_clear(&said);
	janitor_dismiss(s->enclosure.janitor_fd, s->enclosure.janitor, all_done);
	run_folder_close(&s->record.folder);
	host_free(&s->plan.host);
	profile_free(s->plan.profile);
	preset_free(s->plan.preset);
	gsl_rng_free(s->rng);
	placement_clear(&s->plan.place);
	free(s->enclosure.runtime_dir);
	free(s->pop.vms);
	free(s->pop.lives);
	limit_raw_free(&s->pop.limits_before);
	answers_close(&s->pop.answers);
	free(s->record.rows);
	free(s->record.targets);
	free(s->pop.limit_name);
	free(s->pop.limit_evidence);
}
