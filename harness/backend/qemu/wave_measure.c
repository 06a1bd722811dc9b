/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/wave_measure.h"

#include "backend/qemu/trial.h"
#include "base/clock.h"

/* The waveform begins with the ready line. */
static double wave_time_ms(const struct guest_image *img, const struct vm *vm, uint64_t now)
{
	uint64_t ready = vm->spawn_ns + vm->ready_us * 1000ULL;

	return ((double)now - (double)ready) / 1e6 + img->phase_ms;
}

static error *sample(const struct guest_image *img, const struct wave_code *c, const struct vm *vm,
		     const struct wave_measure_options *o, struct wave_measured *m)
{
	uint64_t born = clock_ns();
	int64_t birth_cpu = vmcpu_ns(vm->pid);

	/* the guest does no work in its first slice */
	clock_sleep_ns((uint64_t)(2 * wave_slice_ms(c) * 1e6));
	uint64_t start = clock_ns(), before = start;
	int64_t cpu = vmcpu_ns(vm->pid), waited = vmcpu_waited_ns(vm->pid);
	size_t room = (size_t)(o->seconds * 1000 / o->window_ms) + 1;

	m->at_s = xcalloc(room, sizeof(double));
	m->asked = xcalloc(room, sizeof(double));
	m->got = xcalloc(room, sizeof(double));
	while (m->count < room && !*o->stop && (double)(clock_ns() - start) < o->seconds * 1e9) {
		/* by the clock, so that delays do not add up */
		uint64_t due = start + (uint64_t)((double)(m->count + 1) * o->window_ms * 1e6);
		uint64_t now = clock_ns();
		if (now < due) {
			clock_sleep_ns(due - now);
			continue;
		}
		int64_t used = vmcpu_ns(vm->pid);
		now = clock_ns();
		if (cpu < 0 || used < 0)
			return err_new(EXIT_CANNOT, "the VM ended by itself while it was measured");
		double from = wave_time_ms(img, vm, before), to = wave_time_ms(img, vm, now);
		m->at_s[m->count] = (from + to) / 2000;
		m->asked[m->count] = wave_load_between(c, img->seed, from, to);
		m->got[m->count++] = 100 * (double)(used - cpu) / (double)(now - before);
		cpu = used;
		before = now;
	}
	m->waited_pct = 100 * (double)(vmcpu_waited_ns(vm->pid) - waited) / (double)(clock_ns() - start);
	m->fidelity = fidelity_of(m->asked, m->got, m->count);
	if (cpu >= 0 && birth_cpu >= 0)
		lives_add(&m->life, (double)(before - born) / 1e6,
			  wave_load_between(c, img->seed, wave_time_ms(img, vm, born),
					    wave_time_ms(img, vm, before)),
			  cpu - birth_cpu);
	return NULL;
}

error *wave_measure(const struct guest_image *img, const struct wave_measure_options *o,
		    struct wave_measured *ret)
{
	const struct trial_launch_spec spec = { .image = img,
						.preset = "lean",
						.qemu = o->qemu,
						.accel = o->accel,
						.launch = LAUNCH_EXEC,
						.vms = 1 };
	struct trial_launch *l = NULL;
	struct wave_code code;

	*ret = (struct wave_measured){ 0 };
	if (!wave_of_image(img, &code))
		return err_new(EXIT_BAD_INPUT, "the image has no waveform");
	error *e = trial_launch_start(&spec, &l);
	if (e)
		return e;
	const struct backend_facts facts = l->b->ops->facts(l->b);
	ret->accel = xstrdup(facts.accel);
	ret->binary = xstrdup(facts.binary);
	ret->version = xstrdup(facts.version);
	e = sample(img, &code, &l->vms[0], o, ret);
	trial_launch_stop(l);
	return e;
}
