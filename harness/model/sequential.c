/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/sequential.h"

#include <math.h>

#include "base/util.h"
#include "model/stats.h"

#define SPEND (2.0 / 3)
#define GROWTH 1.4

struct look_plan look_plan_start(void)
{
	return (struct look_plan){ .left = 1 };
}

void look_plan_first(struct look_plan *p, double alpha, size_t figures)
{
	if (!p->next)
		p->next = rank_test_least_n(alpha * SPEND / (double)MAX(figures, 1));
}

double look_plan_spend(struct look_plan *p, bool last)
{
	double spent = last ? p->left : p->left * SPEND;

	p->left -= spent;
	p->looks++;
	p->next = MAX((size_t)ceil(GROWTH * (double)p->next), p->next + 1);
	return spent;
}

int abba_side(size_t i)
{
	return i % 4 == 1 || i % 4 == 2;
}
