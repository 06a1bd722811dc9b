/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the VMs of a run may run and what they may use together: placement, cgroup limits. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "run/session.h"

error *confine_place(struct plan *plan)
{
	affinity_map_read(&plan->affinity_map);
	return placement_make(plan->o->pin, plan->o->numa, &plan->affinity_map, plan->o->max, &plan->place);
}

/* A container runtime makes its cgroups in every hierarchy, below a folder of the same name. */
static error *note_siblings(struct settings *settings, const char *own, const char *name)
{
	struct strlist mounts = { 0 };
	error *e = NULL;

	cgroup_v1_mounts(&mounts);
	for (size_t i = 0; i < mounts.count && !e; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", mounts.items[i], name);

		if (strcmp(path, own) != 0)
			e = settings_note_cgroup(settings, path);
	}
	strlist_clear(&mounts);
	return e;
}

bool confine_wanted(const struct run_options *o)
{
	return (o->cgroup && !str_eq(o->cgroup, "none")) || cgroup_limits_any(&o->limits);
}

error *confine_create(const struct plan *plan, struct enclosure *en, struct record *rec)
{
	const char *where = plan->o->cgroup;
	_cleanup_free_ char *name = xasprintf("mvmscale-%d", (int)getpid());
	bool runtime = plan->o->backend->flags & BACKEND_RUNTIME;

	if (!(plan->o->backend->flags & BACKEND_HERE) || str_eq(where, "none"))
		return NULL;
	error *e = cgroup_choose(CGROUP_ROOT, str_eq(where, "auto") ? NULL : where, name, &en->cgroup);
	if (!e && en->cgroup.path && runtime && en->cgroup.version == 2 &&
	    !str_eq(en->cgroup.mount, CGROUP_ROOT))
		e = err_new(
			EXIT_CANNOT,
			"--cgroup %s: container runtimes keep to the hierarchies of v1 where both are mounted: name a cgroup of v1",
			where ? where : "auto");
	if (!e && en->cgroup.path && !(e = settings_note_cgroup(en->settings, en->cgroup.path)) && runtime &&
	    en->cgroup.version == 1)
		e = note_siblings(en->settings, en->cgroup.path, cgroup_relative(&en->cgroup) + 1);
	if (e)
		return e;
	if (en->cgroup.path)
		e = cgroup_create(&en->cgroup);
	else
		e = err_new(EXIT_CANNOT, "no cgroup can be used");
	/* whoever cleans up kills what is in it: only in this very one */
	if (!e && (e = settings_note_made(en->settings, en->cgroup.path)))
		return e;
	if (e && confine_wanted(plan->o))
		return err_wrap(e, "--cgroup and --cgroup-*");
	if (e)
		record_notice(rec, "%s: the guests' own CPU will be that of a random sample of them", e->msg);
	err_free(e);
	return NULL;
}

error *confine_begin(const struct plan *plan, struct enclosure *en, struct record *rec)
{
	_cleanup_(strlist_clear) struct strlist said = { 0 };
	error *e = confine_wanted(plan->o) ? cgroup_confine(&en->cgroup, &plan->o->limits,
							    plan->o->cgroup != NULL, en->settings, &said)
					   : NULL;

	for (size_t i = 0; i < said.count; i++)
		record_notice(rec, "%s", said.items[i]);
	return e;
}

static json_t *known(long long v)
{
	return v < 0 ? json_null() : json_integer(v);
}

void confine_record(const struct plan *plan, const struct enclosure *en, struct record *rec)
{
	const struct cgroup_limits *l = &plan->o->limits;
	struct cgroup_hits h;

	if (plan->place.pin != PIN_NONE || plan->place.numa != NUMA_NONE)
		json_object_set_new(rec->folder.meta, "placement",
				    placement_json(&plan->place, &plan->affinity_map));
	if (!en->cgroup.path)
		return;
	json_t *c = json_pack("{s:s,s:i}", "path", en->cgroup.path, "version", en->cgroup.version);
	cgroup_read_hits(&en->cgroup, &h);
	if (l->cores > 0)
		json_object_set_new(
			c, "cpu",
			json_pack("{s:f,s:o}", "cores", l->cores, "throttled_ms", known(h.throttled_ms)));
	if (l->mem_bytes > 0 || en->cgroup.counted)
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
	json_object_set_new(rec->folder.meta, "cgroup", c);
}

error *confine_explain(const struct plan *plan, const struct enclosure *en, error *e)
{
	struct cgroup_hits h;

	if (!en->cgroup.path || !cgroup_limits_any(&plan->o->limits))
		return e;
	cgroup_read_hits(&en->cgroup, &h);
	if (h.refused_pids > 0)
		return err_wrap(e, "--cgroup-pids %ld is too few even for the first VM",
				plan->o->limits.pids);
	if (h.oom_kills > 0)
		return err_wrap(e, "--cgroup-mem of %.0f MiB is too little even for the first VM",
				plan->o->limits.mem_bytes / (1 << 20));
	return e;
}

void confine_preflight(struct plan *plan, const struct enclosure *en, struct population *pop,
		       double tasks_per_vm)
{
	struct cgroup_hits h;
	double room;

	if (plan->o->limits.pids <= 0 || tasks_per_vm <= 0 || !en->cgroup.path)
		return;
	/* A process that joins a cgroup is never refused, only one that forks in it: the kernel alone would
	 * let a population of single processes grow past the limit. */
	cgroup_read_hits(&en->cgroup, &h);
	room = ((double)plan->o->limits.pids - (double)MAX(h.pids, 0LL)) / tasks_per_vm;
	if (room >= pop->limit_vms)
		return;
	pop->limit_vms = (uint32_t)MAX(room, 0.0);
	plan->preflight_end = MIN(plan->preflight_end, MAX(pop->limit_vms, 1U));
	pop->limit_value = (double)plan->o->limits.pids;
	free(pop->limit_name);
	free(pop->limit_evidence);
	pop->limit_name = xstrdup("cgroup-pids");
	pop->limit_evidence =
		xasprintf("--cgroup-pids is %ld, %lld are in use before the first VM, a VM takes %g",
			  plan->o->limits.pids, MAX(h.pids, 0LL), tasks_per_vm);
}

bool confine_met(const struct plan *plan, const struct enclosure *en, const struct population *pop,
		 struct record *rec)
{
	const struct cgroup_limits *l = &plan->o->limits;
	double near = l->mem_bytes * plan->o->threshold_pct / 100;
	struct cgroup_hits h;

	if (!en->cgroup.path || !cgroup_limits_any(l))
		return false;
	cgroup_read_hits(&en->cgroup, &h);
	if (h.refused_pids > 0)
		record_stop(rec, STOP_LIMIT, NULL, "cgroup-pids", EAGAIN, (double)l->pids,
			    "--cgroup-pids %ld was met with %u VMs: the kernel refused %lld tasks", l->pids,
			    pop->ready, h.refused_pids);
	else if (h.oom_kills > 0)
		record_stop(
			rec, STOP_LIMIT, NULL, "cgroup-memory", ENOMEM, l->mem_bytes,
			"--cgroup-mem of %.0f MiB was met with %u VMs: the kernel killed %lld of their processes",
			l->mem_bytes / (1 << 20), pop->ready, h.oom_kills);
	else if (l->mem_bytes > 0 && (double)h.mem_bytes >= near)
		record_stop(rec, STOP_LIMIT, NULL, "cgroup-memory", 0, l->mem_bytes,
			    "the VMs' cgroup holds %.1f MiB with %u VMs, %.0f %% of --cgroup-mem is %.1f MiB",
			    (double)h.mem_bytes / (1 << 20), pop->ready, plan->o->threshold_pct,
			    near / (1 << 20));
	else
		return false;
	return true;
}
