/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/fidelity.h"

#include <math.h>
#include <stdlib.h>

struct fidelity fidelity_of(const double *asked, const double *got, size_t n)
{
	struct fidelity f = { .samples = n, .asked = NAN, .got = NAN, .mean = NAN, .rms = NAN };
	double a = 0, g = 0, squares = 0;

	if (!n)
		return f;
	for (size_t i = 0; i < n; i++) {
		a += asked[i];
		g += got[i];
		squares += (got[i] - asked[i]) * (got[i] - asked[i]);
	}
	f.asked = a / (double)n;
	f.got = g / (double)n;
	f.mean = f.got - f.asked;
	f.rms = sqrt(squares / (double)n);
	return f;
}

void lives_add(struct lives *l, double ms, double asked_pct, int64_t got_ns)
{
	double got_pct = 100 * (double)got_ns / 1e6 / ms;

	if (!(ms > 0))
		return;
	l->over = l->count ? fmax(l->over, got_pct - asked_pct) : got_pct - asked_pct;
	l->count++;
	l->ms += ms;
	l->asked += asked_pct * ms;
	l->got += got_pct * ms;
}

void wave_measured_clear(struct wave_measured *m)
{
	free(m->at_s);
	free(m->asked);
	free(m->got);
	free(m->accel);
	free(m->binary);
	free(m->version);
	*m = (struct wave_measured){ 0 };
}
