/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/wave_measure.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "backend/qemu/options.h"
#include "base/clock.h"
#include "base/fs.h"

#define READY_NS 60000000000ULL

static error *await_ready(struct backend *b)
{
	struct backend_event ev = { 0 };
	uint32_t begun;
	error *e = b->ops->start(b, 0, 1, &begun);

	while (!e && b->ops->poll(b, 100, &ev, 1) == 0)
		;
	if (!e && ev.kind != BACKEND_READY)
		e = err_new(EXIT_CANNOT, "the VM did not get ready: %s", ev.reason);
	free(ev.reason);
	return e;
}

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

static void note_backend(struct backend *b, struct wave_measured *m)
{
	const struct backend_facts facts = b->ops->facts(b);

	m->accel = xstrdup(facts.accel);
	m->binary = xstrdup(facts.binary);
	m->version = xstrdup(facts.version);
}

error *wave_measure(const struct guest_image *img, const struct wave_measure_options *o,
		    struct wave_measured *ret)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *dir = xasprintf("%s/mvm-wave-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	_cleanup_(preset_freep) struct preset *preset = NULL;
	struct backend *b = NULL;
	struct wave_code code;
	/* one more, for the probe */
	struct vm vms[2] = { 0 };

	*ret = (struct wave_measured){ 0 };
	if (!wave_of_image(img, &code))
		return err_new(EXIT_BAD_INPUT, "the image has no waveform");
	error *e = preset_load("lean", &preset);
	if (e)
		return e;
	if (!mkdtemp(dir))
		return err_sys(EXIT_CANNOT, errno, "cannot create a temporary folder %s", dir);
	const struct qemu_config own = {
		.preset = preset, .accel = o->accel, .qemu = o->qemu, .launch = LAUNCH_EXEC
	};
	struct backend_config cfg = { .image = img,
				      .runtime_dir = dir,
				      .jobs = 1,
				      .ready_timeout_ns = READY_NS,
				      .cgroup_procs_fd = -1,
				      .own = &own };
	e = backend_qemu.open(&cfg, vms, ARRAY_LEN(vms), &b);
	if (!e && !(e = await_ready(b))) {
		note_backend(b, ret);
		e = sample(img, &code, &vms[0], o, ret);
	}
	if (b)
		b->ops->close(b);
	fs_remove_tree(dir);
	return e;
}
