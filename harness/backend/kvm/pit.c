/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/pit.h"

#include <string.h>

#define NS_PER_S 1000000000U
#define READ_BACK 3 /* "channel" of a control word that latches several */

static uint64_t clocks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * PIT_HZ / NS_PER_S);
}

/* The first nanosecond at which so many clocks have passed. */
static uint64_t nanoseconds(uint64_t n)
{
	return (uint64_t)(((unsigned __int128)n * NS_PER_S + PIT_HZ - 1) / PIT_HZ);
}

static bool periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static uint64_t passed(const struct pit_channel *c, uint64_t now_ns)
{
	return now_ns > c->start_ns ? clocks(now_ns - c->start_ns) : 0;
}

/* Clocks after loading at which channel 0's output rises for the k-th time (k from 1). */
static uint64_t edge(const struct pit_channel *c, uint64_t k)
{
	return periodic(c) ? k * c->period : (uint64_t)c->period + 1;
}

static void schedule(struct pit *p, uint64_t now_ns)
{
	const struct pit_channel *c = &p->channel[0];
	uint64_t k = 1;

	p->next_ns = UINT64_MAX;
	if (!c->loaded || c->mode == 1 || c->mode == 5)
		return;
	if (periodic(c))
		k = passed(c, now_ns) / c->period + 1;
	else if (passed(c, now_ns) >= edge(c, 1))
		return;
	p->next_ns = c->start_ns + nanoseconds(edge(c, k));
}

void pit_reset(struct pit *p)
{
	memset(p, 0, sizeof(*p));
	for (int i = 0; i < 3; i++)
		p->channel[i] = (struct pit_channel){ .mode = 3, .access = 3, .period = 65536 };
	p->next_ns = UINT64_MAX;
}

static uint32_t from_bcd(uint32_t v)
{
	return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12 & 15) * 1000;
}

static uint16_t to_bcd(uint32_t v)
{
	return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}

/* What the counter holds now, as it is read. */
static uint16_t count(const struct pit_channel *c, uint64_t now_ns)
{
	uint32_t wrap = c->bcd ? 10000 : 65536;
	uint64_t n = passed(c, now_ns), value;

	if (!c->loaded)
		n = 0;
	if (c->mode == 3) /* counts by two, twice a period */
		value = c->period - 2 * n % c->period;
	else if (c->mode == 2)
		value = c->period - n % c->period;
	else /* goes on below zero, from the top */
		value = (c->period % wrap + wrap - n % wrap) % wrap;
	return c->bcd ? to_bcd((uint32_t)(value % wrap)) : (uint16_t)value;
}

bool pit_output(const struct pit *p, unsigned channel, uint64_t now_ns)
{
	const struct pit_channel *c = &p->channel[channel];
	uint64_t n = passed(c, now_ns);

	switch (c->mode) {
	case 0:
		return c->loaded && n > c->period;
	case 2:
		return !c->loaded || n % c->period != c->period - 1U;
	case 3:
		return !c->loaded || n % c->period < (c->period + 1U) / 2;
	case 4:
		return !c->loaded || n != c->period;
	default:
		return true;
	}
}

static void latch_count(struct pit_channel *c, uint64_t now_ns)
{
	if (c->latched)
		return; /* the first latch stays until it was read */
	c->latch = count(c, now_ns);
	c->latched = c->access;
}

static void latch_status(const struct pit *p, struct pit_channel *c, uint64_t now_ns)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)((unsigned)pit_output(p, (unsigned)(c - p->channel), now_ns) << 7 |
			      (unsigned)!c->loaded << 6 | (unsigned)c->access << 4 | (unsigned)c->mode << 1 |
			      (unsigned)c->bcd);
	c->status_latched = true;
}

static void control(struct pit *p, uint8_t value, uint64_t now_ns)
{
	unsigned which = value >> 6, mode = value >> 1 & 7U;

	if (which == READ_BACK) {
		for (unsigned i = 0; i < 3; i++) {
			if (!(value & 2U << i))
				continue;
			if (!(value & 0x20))
				latch_count(&p->channel[i], now_ns);
			if (!(value & 0x10))
				latch_status(p, &p->channel[i], now_ns);
		}
		return;
	}
	struct pit_channel *c = &p->channel[which];
	if (!(value & 0x30)) {
		latch_count(c, now_ns);
		return;
	}
	*c = (struct pit_channel){ .mode = (uint8_t)(mode >= 6 ? mode - 4 : mode),
				   .access = value >> 4 & 3,
				   .bcd = value & 1,
				   .period = 65536 };
	if (which == 0)
		schedule(p, now_ns);
}

static void load(struct pit *p, struct pit_channel *c, uint32_t value, uint64_t now_ns)
{
	c->period = c->bcd ? from_bcd(value) : value;
	if (!c->period)
		c->period = c->bcd ? 10000 : 65536;
	c->start_ns = now_ns;
	c->loaded = true;
	if (c == &p->channel[0])
		schedule(p, now_ns);
}

void pit_write(struct pit *p, unsigned port, uint8_t value, uint64_t now_ns)
{
	if (port == 3) {
		control(p, value, now_ns);
		return;
	}
	struct pit_channel *c = &p->channel[port];
	if (c->access == 1) {
		load(p, c, value, now_ns);
	} else if (c->access == 2) {
		load(p, c, (uint32_t)value << 8, now_ns);
	} else if (!c->wrote_low) {
		c->low = value;
		c->wrote_low = true;
	} else {
		c->wrote_low = false;
		load(p, c, (uint32_t)value << 8 | c->low, now_ns);
	}
}

/* Low byte, high byte, or one after the other; `left` has the bits of what is still to be read. */
uint8_t pit_read(struct pit *p, unsigned port, uint64_t now_ns)
{
	if (port == 3)
		return 0xFF; /* write only */
	struct pit_channel *c = &p->channel[port];
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched) {
		bool low = c->latched & 1;

		c->latched &= (uint8_t)(low ? 2 : 0);
		return (uint8_t)(low ? c->latch : c->latch >> 8);
	}
	uint16_t value = count(c, now_ns);
	if (c->access == 3)
		c->read_low = !c->read_low;
	return (uint8_t)(c->access == 1 || (c->access == 3 && c->read_low) ? value : value >> 8);
}

bool pit_advance(struct pit *p, uint64_t now_ns)
{
	if (now_ns < p->next_ns)
		return false;
	schedule(p, now_ns);
	return true;
}
