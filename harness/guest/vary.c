/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest/vary.h"

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014): neighbours in, strangers out. */
static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15U;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
	x = (x ^ x >> 27) * 0x94D049BB133111EBU;
	return x ^ x >> 31;
}

struct vary vary_of(const struct guest_image *img, uint32_t spread_ms, uint32_t run_seed)
{
	return (struct vary){
		.seed = img->has_params && img->flags & MVM_PARAM_FLAG_SEED,
		.phase = img->has_params && img->flags & MVM_PARAM_FLAG_PHASE && spread_ms,
		.run_seed = mix((uint64_t)img->seed << 32 | run_seed),
		.base_seed = img->seed,
		.base_phase_ms = img->phase_ms,
		.spread_ms = spread_ms,
	};
}

struct vary_values vary_values_of(const struct vary *v, uint32_t vm)
{
	/* two numbers per VM: its seed and its phase must not be related */
	uint64_t seed = mix(v->run_seed ^ mix(2 * (uint64_t)vm));
	uint64_t phase = mix(v->run_seed ^ mix(2 * (uint64_t)vm + 1));
	uint64_t ms = v->base_phase_ms;

	if (v->phase)
		ms += (phase >> 32) * v->spread_ms >> 32;
	return (struct vary_values){
		/* 0 stops some generators for good */
		.seed = v->seed ? (uint32_t)(seed >> 32) | 1U : v->base_seed,
		.phase_ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms,
	};
}

void vary_image(const struct vary *v, uint32_t vm, struct guest_image *img)
{
	struct vary_values x = vary_values_of(v, vm);

	image_set_seed(img, x.seed);
	image_set_phase(img, x.phase_ms);
}
