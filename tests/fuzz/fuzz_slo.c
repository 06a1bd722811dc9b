/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of limits: no limit that is accepted is NAN by accident, or below what its scale allows. */
#include <math.h>

#include "compare/slo.h"
#include "driver.h"

static void run(const char *text, size_t len)
{
	struct slo *s = NULL;

	(void)len;
	if (fuzz_refused(slo_parse(text, "x.slo", &s), "x.slo"))
		return;
	for (int i = 0; i < FIGURE_COUNT; i++) {
		fuzz_must(!isinf(s->min[i]) && !isinf(s->max[i]), "a limit is infinite");
		fuzz_must(isnan(s->change[i]) || s->change[i] >= 0, "a change is %g", s->change[i]);
	}
	double none[FIGURE_COUNT];
	for (int i = 0; i < FIGURE_COUNT; i++)
		none[i] = i % 2 ? (double)NAN : 1;
	struct slo_result r;
	slo_check(s, none, &r);
	slo_result_clear(&r);
	slo_free(s);
}

static const char *const words[] = { "[slo]\n", "[limits]\n", "[changes]\n", "max ", "min ",
				     "3 %",	" = ",	      "summary",     NULL };
static const struct fuzz_shape shapes[] = {
	{ "[limits]\n", "mem_per_vm = max 1\n", "" },
	{ "[slo]\nsummary = a", "\n b", "\n" },
	{ "[limits]\nmem_per_vm = max 1", " ", "%\n" },
	{ 0 },
};

const struct fuzz_target fuzz_target = { .name = "slo", .run = run, .words = words, .shapes = shapes };
