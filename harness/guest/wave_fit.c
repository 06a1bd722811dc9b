/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "guest/wave.h"

/* More cells than this are averaged first: the programming takes time by their square. */
#define CELLS_MAX 480

/* Sums over the first i cells, from which the cost of any segment follows. */
struct sums {
	double w, wx, wxx;
};

/* Squared error, times duration, of cells from..to-1 by their mean. */
static double cost(const struct sums *s, size_t from, size_t to)
{
	double w = s[to].w - s[from].w, wx = s[to].wx - s[from].wx;

	return fmax(s[to].wxx - s[from].wxx - wx * wx / w, 0);
}

static size_t average(const struct wave_step *steps, size_t count, struct wave_step *cells)
{
	double total = 0, done = 0, start = 0;
	size_t k = 0;

	if (count <= CELLS_MAX) {
		memcpy(cells, steps, count * sizeof(*cells));
		return count;
	}
	for (size_t i = 0; i < count; i++)
		total += steps[i].ms;
	for (size_t i = 0; i < CELLS_MAX; i++) {
		double end = total * (double)(i + 1) / CELLS_MAX, at = total * (double)i / CELLS_MAX, sum = 0;

		while (k < count && at < end) {
			double until = fmin(end, start + steps[k].ms);

			sum += steps[k].load_pct * fmax(until - at, 0);
			at = until;
			if (start + steps[k].ms > end)
				break;
			start += steps[k++].ms;
		}
		cells[i] = (struct wave_step){ .load_pct = sum / (end - done), .ms = end - done };
		done = end;
	}
	return CELLS_MAX;
}

/* best[k][j]: least cost of the first j cells in k + 1 segments; from[k][j]: where the last of them begins.
 */
static void program(const struct sums *s, size_t n, size_t most, double *best, uint16_t *from)
{
	for (size_t j = 1; j <= n; j++) {
		best[j] = cost(s, 0, j);
		from[j] = 0;
	}
	for (size_t k = 1; k < most; k++) {
		const double *before = best + (k - 1) * (n + 1);
		double *now = best + k * (n + 1);

		for (size_t j = 1; j <= n; j++) {
			now[j] = before[j];
			from[k * (n + 1) + j] = UINT16_MAX; /* one segment less does as well */
			for (size_t i = k; i < j; i++) {
				double c = before[i] + cost(s, i, j);

				if (c < now[j]) {
					now[j] = c;
					from[k * (n + 1) + j] = (uint16_t)i;
				}
			}
		}
	}
}

static size_t trace_back(const struct sums *s, size_t n, size_t most, const uint16_t *from,
			 struct wave_step *ret)
{
	size_t count = 0, j = n, k = most;

	while (j > 0) {
		size_t i = from[(k - 1) * (n + 1) + j];

		if (i == UINT16_MAX) {
			k--;
			continue;
		}
		double w = s[j].w - s[i].w;
		ret[count++] = (struct wave_step){ .load_pct = (s[j].wx - s[i].wx) / w, .ms = w };
		j = i;
		k = k > 1 ? k - 1 : 1;
	}
	for (size_t i = 0; i < count / 2; i++) {
		struct wave_step x = ret[i];

		ret[i] = ret[count - 1 - i];
		ret[count - 1 - i] = x;
	}
	return count;
}

size_t wave_reduce(const struct wave_step *steps, size_t count, size_t most, struct wave_step **ret_steps)
{
	struct wave_step *cells = xcalloc(MAX(MIN(count, (size_t)CELLS_MAX), most), sizeof(*cells));
	size_t n = average(steps, count, cells);

	*ret_steps = cells;
	if (n <= most)
		return n;
	struct sums *s = xcalloc(n + 1, sizeof(*s));
	double *best = xcalloc(most * (n + 1), sizeof(*best));
	uint16_t *from = xcalloc(most * (n + 1), sizeof(*from));
	for (size_t i = 0; i < n; i++)
		s[i + 1] = (struct sums){
			.w = s[i].w + cells[i].ms,
			.wx = s[i].wx + cells[i].ms * cells[i].load_pct,
			.wxx = s[i].wxx + cells[i].ms * cells[i].load_pct * cells[i].load_pct,
		};
	program(s, n, most, best, from);
	size_t got = trace_back(s, n, most, from, cells);
	free(s);
	free(best);
	free(from);
	return got;
}
