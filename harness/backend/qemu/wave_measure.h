/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_WAVE_MEASURE_H
#define MVM_BACKEND_QEMU_WAVE_MEASURE_H

#include <signal.h>

#include "base/err.h"
#include "guest/wave.h"
#include "measure/vmcpu.h"
#include "model/fidelity.h"

struct wave_measure_options {
	const char *accel, *qemu; /* qemu may be NULL */
	double seconds, window_ms;
	const volatile sig_atomic_t *stop; /* ends it early, with what there is */
};

/*
 * Boots the image in one VM (preset lean), and compares the CPU time of its process, window by window, with
 * what its waveform says. The time of a kernel thread that serves its timer (kvm-pit) is not in it.
 * Leaves neither VM nor file. Clear *ret with wave_measured_clear(), also after an error.
 */
error *wave_measure(const struct guest_image *img, const struct wave_measure_options *o,
		    struct wave_measured *ret) ERR_MUST_CHECK;

#endif
