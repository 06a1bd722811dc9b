/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/answers.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

void answers_open(struct answers *a, uint32_t vms)
{
	*a = (struct answers){ .vm = xcalloc(vms, sizeof(*a->vm)), .vms = vms };
}

void answers_close(struct answers *a)
{
	free(a->vm);
	*a = (struct answers){ 0 };
}

void answers_reset(struct answers *a)
{
	if (a->vm)
		memset(a->vm, 0, a->vms * sizeof(*a->vm));
	a->silent = a->unasked = 0;
}

static void is_asked(struct answers *a, uint32_t vm)
{
	a->unasked -= a->vm[vm].unasked;
	a->vm[vm].unasked = false;
}

bool answers_missed(struct answers *a, uint32_t vm, uint64_t at_ns)
{
	is_asked(a, vm);
	if (a->vm[vm].silent_since_ns)
		return false;
	a->vm[vm].silent_since_ns = at_ns;
	a->silent++;
	return true;
}

double answers_came(struct answers *a, uint32_t vm, uint64_t now_ns)
{
	uint64_t since = a->vm[vm].silent_since_ns;

	answers_forget(a, vm);
	return since ? (double)(now_ns - since) / 1e9 : -1;
}

void answers_unasked(struct answers *a, uint32_t vm)
{
	/* one that is known to be silent is left out already */
	if (a->vm[vm].silent_since_ns || a->vm[vm].unasked)
		return;
	a->vm[vm].unasked = true;
	a->unasked++;
}

void answers_begin(struct answers *a)
{
	for (uint32_t i = 0; i < a->vms && a->unasked; i++)
		is_asked(a, i);
}

void answers_forget(struct answers *a, uint32_t vm)
{
	is_asked(a, vm);
	a->silent -= a->vm[vm].silent_since_ns != 0;
	a->vm[vm].silent_since_ns = 0;
}

bool answers_is_silent(const struct answers *a, uint32_t vm)
{
	return a->vm[vm].silent_since_ns != 0;
}

bool answers_is_proven(const struct answers *a, uint32_t vm)
{
	return !a->vm[vm].silent_since_ns && !a->vm[vm].unasked;
}

uint32_t answers_unproven(const struct answers *a)
{
	return a->silent + a->unasked;
}
