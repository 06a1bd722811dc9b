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
static bool only_mean(const struct session *s, const struct wave_code *c)
{
	return (s->cloned && !s->vary.phase) || (c->jitter > 1 && !c->passes);
}

/* Mean over the window of window_ms that ends at now_ms. */
static double load_of(const struct session *s, const struct wave_code *c, uint32_t id, double now_ms,
		      double window_ms)
{
	if (only_mean(s, c))
		return wave_mean(c);
	const struct vm *vm = &s->vms[id];
	struct vary_values v = vary_values_of(&s->vary, id);
	double ready_ms = ((double)vm->spawn_ns + vm->ready_us * 1e3) / 1e6;
	double to = now_ms - ready_ms + v.phase_ms;

	return wave_load_between(c, v.seed, to - window_ms, to);
}

double predict_cpu_pct(const struct session *s, uint64_t at_ns, double window_s)
{
	struct wave_code c;
	double sum = 0, cores = (double)s->host.cores_online;
	uint32_t seen = 0;

	if (!wave_of_image(&s->image, &c))
		return NAN;
	if (only_mean(s, &c))
		return fmin(s->ready * wave_mean(&c) / cores, 100);
	uint32_t stride = s->ready / LOOK_AT + 1;
	for (uint32_t id = 0; id < s->next_id; id += stride) {
		if (s->vms[id].state != VM_READY)
			continue;
		sum += load_of(s, &c, id, (double)at_ns / 1e6, window_s * 1000);
		seen++;
	}
	return seen ? fmin(sum * s->ready / seen / cores, 100) : 0;
}

void life_prepare(struct session *s)
{
	struct wave_code c;

	if (wave_of_image(&s->image, &c) && (backend_flags(s->backend) & BACKEND_PROCESSES))
		s->lives = xcalloc(s->vm_slots, sizeof(*s->lives));
}

void life_begin(struct session *s, uint32_t id)
{
	if (s->lives)
		s->lives[id] =
			(struct life){ clock_ns(), s->vms[id].pid > 0 ? vmcpu_ns(s->vms[id].pid) : -1 };
}

static void add_life(const struct session *s, const struct wave_code *c, uint32_t id, struct lives *l)
{
	const struct life *life = &s->lives[id];
	int64_t used = vmcpu_ns(s->vms[id].pid);
	double now = (double)clock_ns() / 1e6, ms = now - (double)life->begun_ns / 1e6;

	if (used >= 0 && life->cpu_ns >= 0)
		lives_add(l, ms, load_of(s, c, id, now, ms), used - life->cpu_ns);
}

void life_row(const struct session *s, struct interval *row)
{
	struct wave_code c;
	struct lives l = { 0 };

	if (!s->lives || !wave_of_image(&s->image, &c))
		return;
	for (uint32_t id = 0; id < s->next_id; id += s->ready / LOOK_AT + 1)
		if (s->vms[id].state == VM_READY)
			add_life(s, &c, id, &l);
	if (!l.count)
		return;
	row->extra[EXTRA_LIFE_ASKED] = l.asked / l.ms;
	row->extra[EXTRA_LIFE_GOT] = l.got / l.ms;
	row->extra[EXTRA_LIFE_OVER] = l.over;
}

json_t *predict_json(const struct session *s)
{
	struct wave_code c;

	if (!wave_of_image(&s->image, &c))
		return NULL;
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:s}", "mean_pct", wave_mean(&c), "peak_pct", wave_peak(&c),
			 "period_ms", wave_period_ms(&c), "slice_ms", wave_slice_ms(&c), "spread_ms",
			 (double)s->vary.spread_ms, "prediction",
			 only_mean(s, &c) ? "VMs x mean load / cores"
					  : "sum over VMs of each one's present load / cores");
}
