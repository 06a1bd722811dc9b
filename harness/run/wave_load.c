/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the guests' waveforms say that the host's CPU should be, from where each VM is in its own. */
#include <math.h>

#include "base/clock.h"
#include "measure/vmcpu.h"
#include "model/fidelity.h"
#include "run/session.h"

/* So many VMs are looked at in one prediction; of more, evenly chosen ones stand for the rest. */
#define LOOK_AT 256

/* A clone that was given no phase of its own goes on where its template was, at a time that is not known.
   With endless jitter, every VM has drifted away from any plan. Their mean is known. */
static bool only_mean(const struct plan *plan, const struct population *pop, const struct wave_code *c)
{
	return (pop->cloned && !plan->vary.phase) || (c->jitter > 1 && !c->passes);
}

/* Mean over the window of window_ms that ends at now_ms. */
static double load_of(const struct plan *plan, const struct population *pop, const struct wave_code *c,
		      uint32_t id, double now_ms, double window_ms)
{
	if (only_mean(plan, pop, c))
		return wave_mean(c);
	const struct vm *vm = &pop->vms[id];
	struct vary_values v = vary_values_of(&plan->vary, id);
	double ready_ms = ((double)vm->spawn_ns + vm->ready_us * 1e3) / 1e6;
	double to = now_ms - ready_ms + v.phase_ms;

	return wave_load_between(c, v.seed, to - window_ms, to);
}

double wave_load_pct(const struct plan *plan, const struct population *pop, uint64_t at_ns, double window_s)
{
	struct wave_code c;
	double sum = 0, cores = (double)plan->host.cores_online;
	uint32_t seen = 0;

	if (!wave_of_image(&plan->image, &c))
		return NAN;
	if (only_mean(plan, pop, &c))
		return fmin(pop->ready * wave_mean(&c) / cores, 100);
	uint32_t stride = pop->ready / LOOK_AT + 1;
	for (uint32_t id = 0; id < pop->next_id; id += stride) {
		if (pop->vms[id].state != VM_READY)
			continue;
		sum += load_of(plan, pop, &c, id, (double)at_ns / 1e6, window_s * 1000);
		seen++;
	}
	return seen ? fmin(sum * pop->ready / seen / cores, 100) : 0;
}

void wave_load_prepare(const struct plan *plan, struct population *pop)
{
	struct wave_code c;

	if (wave_of_image(&plan->image, &c) && (backend_flags(pop->backend) & BACKEND_PROCESSES))
		pop->lives = xcalloc(pop->vm_slots, sizeof(*pop->lives));
}

void wave_load_begin(struct population *pop, uint32_t id)
{
	if (pop->lives)
		pop->lives[id] =
			(struct life){ clock_ns(), pop->vms[id].pid > 0 ? vmcpu_ns(pop->vms[id].pid) : -1 };
}

static void add_life(const struct plan *plan, const struct population *pop, const struct wave_code *c,
		     uint32_t id, struct lives *l)
{
	const struct life *life = &pop->lives[id];
	int64_t used = vmcpu_ns(pop->vms[id].pid);
	double now = (double)clock_ns() / 1e6, ms = now - (double)life->begun_ns / 1e6;

	if (used >= 0 && life->cpu_ns >= 0)
		lives_add(l, ms, load_of(plan, pop, c, id, now, ms), used - life->cpu_ns);
}

void wave_load_row(const struct plan *plan, const struct population *pop, struct interval *row)
{
	struct wave_code c;
	struct lives l = { 0 };

	if (!pop->lives || !wave_of_image(&plan->image, &c))
		return;
	for (uint32_t id = 0; id < pop->next_id; id += pop->ready / LOOK_AT + 1)
		if (pop->vms[id].state == VM_READY)
			add_life(plan, pop, &c, id, &l);
	if (!l.count)
		return;
	row->extra[EXTRA_LIFE_ASKED] = l.asked / l.ms;
	row->extra[EXTRA_LIFE_GOT] = l.got / l.ms;
	row->extra[EXTRA_LIFE_OVER] = l.over;
}

json_t *wave_load_json(const struct plan *plan, const struct population *pop)
{
	struct wave_code c;

	if (!wave_of_image(&plan->image, &c))
		return NULL;
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:s}", "mean_pct", wave_mean(&c), "peak_pct", wave_peak(&c),
			 "period_ms", wave_period_ms(&c), "slice_ms", wave_slice_ms(&c), "spread_ms",
			 (double)plan->vary.spread_ms, "prediction",
			 only_mean(plan, pop, &c) ? "VMs x mean load / cores"
						  : "sum over VMs of each one's present load / cores");
}
