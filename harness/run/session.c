/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/session.h"
#include "host/swap.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

void session_notice(struct session *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->obs->notice)
		return;
	va_start(ap, fmt);
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	va_end(ap);
	s->obs->notice(s->obs->user, text);
}

void session_status(struct session *s, enum run_stage stage, bool force)
{
	uint64_t now = clock_ns();

	if (!s->obs->status ||
	    (!force && stage == s->status.stage && now - s->last_status_ns < STATUS_PERIOD_NS))
		return;
	s->last_status_ns = now;
	s->status.stage = stage;
	s->status.ready = session_counted(s);
	s->status.unproven = answers_unproven(&s->answers);
	s->status.elapsed_s = (double)(now - s->start_ns) / 1e9;
	s->obs->status(s->obs->user, &s->status);
}

void session_stop(struct session *s, enum stop_kind kind, const char *metric, const char *limit, int sys,
		  double value, const char *fmt, ...)
{
	struct run_stop *st = &s->out->stop;
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
	ret->v[METRIC_CPU_PREDICTED] = predict_cpu_pct(s, ret->at_ns, ret->window_s);
}

error *session_save(struct session *s, const char *state)
{
	json_object_set_new(s->folder.meta, "state", json_string(state));
	record_stop(s);
	confine_record(s);
	return run_folder_save(&s->folder);
}

static error *load_image(struct session *s)
{
	const struct run_options *o = s->o;
	error *e;

	if (o->image)
		return image_load(o->image, &s->image);
	if ((e = profile_load(o->profile, &s->profile)))
		return e;
	return image_from_profile(s->profile, &s->image);
}

/* What the backend would leave out is refused, or said where it changes little. */
static error *check_backend(struct session *s)
{
	unsigned flags = s->o->backend->flags;

	if (!s->source.ops->guests)
		return NULL;
	if (s->devices && !(flags & BACKEND_DEVICES))
		return err_new(
			EXIT_CANNOT,
			"guest '%s' needs a device besides its serial port, and backend %s gives none: use --backend qemu",
			s->image.guest, s->o->backend->name);
	if (s->profile && s->vary.phase && !(flags & BACKEND_VARY))
		return err_new(
			EXIT_CANNOT,
			"%s: spread_ms: backend %s starts all VMs from one image, so their phases cannot differ: use --backend qemu or kvm",
			s->profile->path, s->o->backend->name);
	if (s->vary.seed && !(flags & BACKEND_VARY))
		session_notice(s, "backend %s starts all VMs from one image: all have the same seed",
			       s->o->backend->name);
	return NULL;
}

static error *load_guest(struct session *s)
{
	_cleanup_(strlist_clear) struct strlist words = { 0 };
	error *e = load_image(s);

	if (!e)
		e = profile_devices(s->profile, &s->image, &words);
	if (!e)
		e = device_set(&words, s->profile ? s->profile->path : s->image.guest, &s->devices);
	s->vary = vary_of(&s->image, s->profile ? s->profile->spread_ms : 0, s->o->seed);
	return e ? e : check_backend(s);
}

/* --swap: from here on it is the host's swap like any other. */
static error *add_swap(struct session *s)
{
	struct swap_spec spec;
	_cleanup_free_ char *path = NULL;
	error *e = swap_parse(s->o->swap, &spec);

	if (!e)
		e = swap_add(s->settings, &spec, &path);
	if (e)
		return e;
	session_notice(s, "added %.0f MB of swap for this run: %s", (double)spec.bytes / 1e6, path);
	json_object_set_new(s->folder.meta, "swap_added",
			    json_pack("{s:s,s:s,s:f}", "kind", spec.zram ? "zram" : "file", "path", path,
				      "kb", (double)spec.bytes / 1024));
	host_free(&s->host);
	host_read(&s->host, "");
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

	s->runtime_dir = xasprintf("%s/run-%d", settings_folder(s->settings), (int)getpid());
	if ((e = settings_note_tree(s->settings, s->runtime_dir)) || (e = make_private(s->runtime_dir)))
		return e;
	if (s->o->swap && (e = add_swap(s)))
		return e;
	return confine_create(s);
}

static error *open_backend(struct session *s)
{
	const struct run_options *o = s->o;
	struct backend_config cfg = {
		.preset = s->preset,
		.image = &s->image,
		.vary = &s->vary,
		.devices = &s->devices,
		.memory_mb = s->profile ? s->profile->memory_mb : 0,
		.disk_mb = s->profile ? s->profile->disk_mb : 1,
		.accel = o->accel,
		.qemu = o->qemu,
		.machine = o->machine,
		.runtime_dir = s->runtime_dir,
		.tune = o->tune,
		.launch = o->launch,
		.launch_given = o->launch != LAUNCH_AUTO,
		.jobs = o->jobs ? o->jobs : (unsigned)MAX(2 * s->host.cores_online, 2L),
		.ready_timeout_ns = (uint64_t)(o->ready_timeout_s * 1e9),
		.cgroup_procs_fd = s->cgroup.path ? s->cgroup.procs_fd : -1,
		.null = &o->null,
		.libvirt = &o->libvirt,
		.settings = s->settings,
		.shard = o->shard,
		.kvm_debugfs = !o->no_kvm_debugfs,
		.seed = o->seed,
	};

	/* a host that is lost takes up to all VMs with it, and others are started instead */
	s->vm_slots = o->max + SPARE_VMS + (o->libvirt.hosts && o->libvirt.hosts->count > 1 ? o->max : 0);
	s->vms = xcalloc(s->vm_slots, sizeof(*s->vms));
	answers_open(&s->answers, s->vm_slots);
	cfg.runtime = o->runtime;
	cfg.cgroup_more_fds = s->cgroup.more_fds;
	cfg.cgroup_more = s->cgroup.more;
	cfg.place = s->place.pin != PIN_NONE || s->place.numa != NUMA_NONE ? &s->place : NULL;
	cfg.cgroup_version = s->cgroup.version;
	cfg.cgroup_whole = confine_wanted(s);
	cfg.cgroup_relative = s->cgroup.path ? cgroup_relative(&s->cgroup) : NULL;
	error *e = o->backend->open(&cfg, s->vms, s->vm_slots, &s->backend);
	if (e)
		return confine_explain(s, e);
	life_prepare(s);
	return NULL;
}

/* Which limits would end the run before --max, raising those that may be raised. */
static void preflight(struct session *s)
{
	s->limit_vms = UINT32_MAX;
	s->preflight_end = s->o->max;
	if (!s->source.ops->limits)
		return;
	struct vm_cost cost = s->backend->ops->cost(s->backend);
	struct limit_raw raw;
	struct limits limits;
	struct limit_raises raises = { 0 };

	limits_read("", &raw);
	limits_compute(&raw, &cost, s->o->threshold_pct, &limits);
	if (!s->o->no_raise && (backend_flags(s->backend) & BACKEND_HERE)) {
		limits_raise(s->settings, &limits, s->o->max, &raises);
		for (size_t i = 0; i < raises.count; i++)
			if (!raises.items[i].failure)
				session_notice(s, "raised %s from %.0f to %.0f for this run",
					       raises.items[i].name, raises.items[i].from,
					       raises.items[i].to);
	}
	for (size_t i = 0; i < limits.count; i++) {
		const struct limit *l = &limits.items[i];

		if (!(l->vms_now < s->preflight_end) && !(l->vms_now < s->limit_vms))
			continue;
		s->preflight_end = MIN(s->preflight_end, (uint32_t)fmax(l->vms_now, 1));
		if (str_eq(l->name, "ram") || !(l->vms_now < s->limit_vms))
			continue;
		s->limit_vms = (uint32_t)fmax(l->vms_now, 0);
		s->limit_value = l->current_max;
		free(s->limit_name);
		free(s->limit_evidence);
		s->limit_name = xstrdup(l->name);
		s->limit_evidence = xstrdup(l->evidence ? l->evidence : "");
	}
	if (s->preflight_end < s->o->max) {
		_cleanup_free_ char *sentence = limits_sentence(&limits, false);
		session_notice(
			s, "preflight: %s, by the declared cost of a VM; the steps follow what is measured",
			sentence);
		json_object_set_new(s->folder.meta, "preflight", json_string(sentence));
	}
	json_object_set_new(s->folder.meta, "limits", limits_json(&limits));
	json_object_set_new(s->folder.meta, "raised", limit_raises_json(&raises));
	confine_preflight(s, cost.tasks);
	json_object_set_new(s->folder.meta, "predicted_end", json_integer(s->preflight_end));
	limits_free(&limits);
	limit_raises_free(&raises);
	limit_raw_free(&s->limits_before);
	s->limits_before = raw;
}

static void say_warnings(struct session *s)
{
	struct strlist w = { 0 };
	json_t *list = json_array();

	host_warnings(&s->host, &w);
	for (size_t i = 0; i < w.count; i++) {
		if (backend_flags(s->backend) & BACKEND_HERE)
			session_notice(s, "warning: %s", w.items[i]);
		json_array_append_new(list, json_string(w.items[i]));
	}
	json_object_set_new(s->folder.meta, "warnings", list);
	strlist_clear(&w);
}

error *session_open(struct session *s)
{
	const struct run_options *o = s->o;
	error *e;

	s->start_ns = clock_ns();
	s->janitor_fd = -1;
	s->cgroup = CGROUP_NONE;
	s->folder = RUN_FOLDER_NONE;
	s->source.ops = o->backend->synthetic ? &source_null : &source_host;
	s->rng = gsl_rng_alloc(gsl_rng_mt19937);
	gsl_rng_set(s->rng, o->seed);
	host_read(&s->host, "");
	if ((o->backend->flags & BACKEND_QEMU) && (e = preset_load(o->preset, &s->preset)))
		return e;
	if ((e = confine_place(s)) || (e = load_guest(s)) || (e = record_begin(s)) ||
	    (e = settings_open(&s->settings)) || (e = janitor_start(&s->janitor_fd, &s->janitor)) ||
	    (e = create_places(s)) || (e = confine_begin(s)) ||
	    (e = sampler_open(&s->cgroup, &s->source.sampler)) || (e = open_backend(s)))
		return e;
	sampler_set_capacity(s->source.sampler, o->disk_mb_s, o->net_mb_s);
	s->status = (struct run_status){ .repeats = o->repeat,
					 .intervals = o->intervals,
					 .max = o->max,
					 .threshold_pct = o->threshold_pct,
					 .eta_s = NAN,
					 .has_swap = s->host.swap_total_kb > 0 };
	if ((e = source_fleet_open(s)))
		return e;
	say_warnings(s);
	preflight(s);
	s->status.predicted_end = s->preflight_end;
	record_environment(s);
	if ((e = ksm_begin(s)))
		return e;
	record_announce(s);
	return session_save(s, "running");
}

/* The record says so as well: nobody may have seen it. */
static void say_left(struct session *s, const char *line)
{
	session_notice(s, "%s", line);
	if (s->folder.events_fd >= 0)
		err_free(run_folder_event(&s->folder, "left", json_pack("{s:s}", "what", line)));
}

void session_close(struct session *s)
{
	struct strlist said = { 0 };
	bool all_done = true;

	if (s->source.ops->close)
		s->source.ops->close(s);
	if (s->backend)
		s->backend->ops->close(s->backend);
	sampler_close(s->source.sampler);
	cgroup_remove(&s->cgroup);
	if (s->settings) {
		error *e = settings_restore(s->settings, &said);

		all_done = !e;
		if (e)
			session_notice(
				s,
				"not everything could be put back: %s; 'mvmscale doctor --restore' tries again",
				e->msg);
		err_free(e);
		settings_close(s->settings);
	}
	/* what was restored was said when it was changed */
	for (size_t i = 0; i < said.count; i++)
		if (str_starts(said.items[i], "left "))
			say_left(s, said.items[i]);
	strlist_clear(&said);
	janitor_dismiss(s->janitor_fd, s->janitor, all_done);
	run_folder_close(&s->folder);
	host_free(&s->host);
	profile_free(s->profile);
	preset_free(s->preset);
	gsl_rng_free(s->rng);
	placement_clear(&s->place);
	free(s->runtime_dir);
	free(s->vms);
	free(s->lives);
	limit_raw_free(&s->limits_before);
	answers_close(&s->answers);
	free(s->rows);
	free(s->targets);
	free(s->limit_name);
	free(s->limit_evidence);
}
