/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the VMs of a run may run and what they may use together: placement, cgroup limits. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "run/session.h"

error *confine_place(struct session *s)
{
	affinity_map_read(&s->affinity_map);
	return placement_make(s->o->pin, s->o->numa, &s->affinity_map, s->o->max, &s->place);
}

/* A container runtime makes its cgroups in every hierarchy, below a folder of the same name. */
static error *note_siblings(struct session *s, const char *own, const char *name)
{
	struct strlist mounts = { 0 };
	error *e = NULL;

	cgroup_v1_mounts(&mounts);
	for (size_t i = 0; i < mounts.count && !e; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", mounts.items[i], name);

		if (strcmp(path, own) != 0)
			e = settings_note_cgroup(s->settings, path);
	}
	strlist_clear(&mounts);
	return e;
}

bool confine_wanted(const struct session *s)
{
	return (s->o->cgroup && !str_eq(s->o->cgroup, "none")) || cgroup_limits_any(&s->o->limits);
}

error *confine_create(struct session *s)
{
	const char *where = s->o->cgroup;
	_cleanup_free_ char *name = xasprintf("mvmscale-%d", (int)getpid());
	bool runtime = s->o->backend->flags & BACKEND_RUNTIME;

	if (!(s->o->backend->flags & BACKEND_HERE) || str_eq(where, "none"))
		return NULL;
	error *e = cgroup_choose(CGROUP_ROOT, str_eq(where, "auto") ? NULL : where, name, &s->cgroup);
	if (!e && s->cgroup.path && runtime && s->cgroup.version == 2 &&
	    !str_eq(s->cgroup.mount, CGROUP_ROOT))
		e = err_new(
			EXIT_CANNOT,
			"--cgroup %s: container runtimes keep to the hierarchies of v1 where both are mounted: name a cgroup of v1",
			where ? where : "auto");
	if (!e && s->cgroup.path && !(e = settings_note_cgroup(s->settings, s->cgroup.path)) && runtime &&
	    s->cgroup.version == 1)
		e = note_siblings(s, s->cgroup.path, cgroup_relative(&s->cgroup) + 1);
	if (e)
		return e;
	if (s->cgroup.path)
		e = cgroup_create(&s->cgroup);
	else
		e = err_new(EXIT_CANNOT, "no cgroup can be used");
	/* whoever cleans up kills what is in it: only in this very one */
	if (!e && (e = settings_note_made(s->settings, s->cgroup.path)))
		return e;
	if (e && confine_wanted(s))
		return err_wrap(e, "--cgroup and --cgroup-*");
	if (e)
		session_notice(s, "%s: the guests' own CPU will be that of a random sample of them", e->msg);
	err_free(e);
	return NULL;
}

error *confine_begin(struct session *s)
{
	_cleanup_(strlist_clear) struct strlist said = { 0 };
	error *e = confine_wanted(s) ? cgroup_confine(&s->cgroup, &s->o->limits, s->o->cgroup != NULL,
						      s->settings, &said)
				     : NULL;

	for (size_t i = 0; i < said.count; i++)
		session_notice(s, "%s", said.items[i]);
	return e;
}

static json_t *known(long long v)
{
	return v < 0 ? json_null() : json_integer(v);
}

void confine_record(struct session *s)
{
	const struct cgroup_limits *l = &s->o->limits;
	struct cgroup_hits h;

	if (s->place.pin != PIN_NONE || s->place.numa != NUMA_NONE)
		json_object_set_new(s->folder.meta, "placement", placement_json(&s->place, &s->affinity_map));
	if (!s->cgroup.path)
		return;
	json_t *c = json_pack("{s:s,s:i}", "path", s->cgroup.path, "version", s->cgroup.version);
	cgroup_read_hits(&s->cgroup, &h);
	if (l->cores > 0)
		json_object_set_new(
			c, "cpu",
			json_pack("{s:f,s:o}", "cores", l->cores, "throttled_ms", known(h.throttled_ms)));
	if (l->mem_bytes > 0 || s->cgroup.counted)
		json_object_set_new(c, "memory",
				    json_pack("{s:o,s:o,s:o}", "limit_kb",
					      l->mem_bytes > 0 ? json_real(l->mem_bytes / 1024) : json_null(),
					      "peak_kb",
					      known(h.mem_peak_bytes < 0 ? -1 : h.mem_peak_bytes / 1024),
					      "oom_kills", known(h.oom_kills)));
	if (l->pids > 0)
		json_object_set_new(
			c, "pids",
			json_pack("{s:i,s:o}", "limit", (int)l->pids, "refused", known(h.refused_pids)));
	json_object_set_new(s->folder.meta, "cgroup", c);
}

error *confine_explain(struct session *s, error *e)
{
	struct cgroup_hits h;

	if (!s->cgroup.path || !cgroup_limits_any(&s->o->limits))
		return e;
	cgroup_read_hits(&s->cgroup, &h);
	if (h.refused_pids > 0)
		return err_wrap(e, "--cgroup-pids %ld is too few even for the first VM", s->o->limits.pids);
	if (h.oom_kills > 0)
		return err_wrap(e, "--cgroup-mem of %.0f MiB is too little even for the first VM",
				s->o->limits.mem_bytes / (1 << 20));
	return e;
}

void confine_preflight(struct session *s, double tasks_per_vm)
{
	struct cgroup_hits h;
	double room;

	if (s->o->limits.pids <= 0 || tasks_per_vm <= 0 || !s->cgroup.path)
		return;
	/* A process that joins a cgroup is never refused, only one that forks in it: the kernel alone would
	 * let a population of single processes grow past the limit. */
	cgroup_read_hits(&s->cgroup, &h);
	room = ((double)s->o->limits.pids - (double)MAX(h.pids, 0LL)) / tasks_per_vm;
	if (room >= s->limit_vms)
		return;
	s->limit_vms = (uint32_t)MAX(room, 0.0);
	s->preflight_end = MIN(s->preflight_end, MAX(s->limit_vms, 1U));
	s->limit_value = (double)s->o->limits.pids;
	free(s->limit_name);
	free(s->limit_evidence);
	s->limit_name = xstrdup("cgroup-pids");
	s->limit_evidence =
		xasprintf("--cgroup-pids is %ld, %lld are in use before the first VM, a VM takes %g",
			  s->o->limits.pids, MAX(h.pids, 0LL), tasks_per_vm);
}

bool confine_met(struct session *s)
{
	const struct cgroup_limits *l = &s->o->limits;
	double near = l->mem_bytes * s->o->threshold_pct / 100;
	struct cgroup_hits h;

	if (!s->cgroup.path || !cgroup_limits_any(l))
		return false;
	cgroup_read_hits(&s->cgroup, &h);
	if (h.refused_pids > 0)
		session_stop(s, STOP_LIMIT, NULL, "cgroup-pids", EAGAIN, (double)l->pids,
			     "--cgroup-pids %ld was met with %u VMs: the kernel refused %lld tasks", l->pids,
			     s->ready, h.refused_pids);
	else if (h.oom_kills > 0)
		session_stop(
			s, STOP_LIMIT, NULL, "cgroup-memory", ENOMEM, l->mem_bytes,
			"--cgroup-mem of %.0f MiB was met with %u VMs: the kernel killed %lld of their processes",
			l->mem_bytes / (1 << 20), s->ready, h.oom_kills);
	else if (l->mem_bytes > 0 && (double)h.mem_bytes >= near)
		session_stop(
			s, STOP_LIMIT, NULL, "cgroup-memory", 0, l->mem_bytes,
			"the VMs' cgroup holds %.1f MiB with %u VMs, %.0f %% of --cgroup-mem is %.1f MiB",
			(double)h.mem_bytes / (1 << 20), s->ready, s->o->threshold_pct, near / (1 << 20));
	else
		return false;
	return true;
}
