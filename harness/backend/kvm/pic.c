/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/pic.h"

#include <string.h>

#define CASCADE 2 /* the master's input that the slave drives */
#define SPURIOUS 7
#define ICW1 0x10 /* bit of a command that starts the initialization */
#define ICW1_ICW4 0x01
#define ICW1_SINGLE 0x02
#define ICW1_LEVEL 0x08
#define ICW4_AUTO_EOI 0x02
#define OCW3 0x08
#define POLL_REQUEST 0x80

void pic_reset(struct pic *p)
{
	memset(p, 0, sizeof(*p));
	p->chip[PIC_MASTER].imr = p->chip[PIC_SLAVE].imr = 0xFF;
}

/* The input that the chip would deliver now, -1 for none. */
static int best(const struct pic_chip *c)
{
	unsigned wanted = c->irr & ~(unsigned)c->imr;
	/* special mask mode: what is in service but masked holds nothing back */
	unsigned holds = c->isr & (c->special_mask ? ~(unsigned)c->imr : 0xFFU);

	for (unsigned i = 0; i < 8; i++) {
		unsigned irq = (c->top + i) & 7U;

		if (holds & 1U << irq)
			return -1;
		if (wanted & 1U << irq)
			return (int)irq;
	}
	return -1;
}

static void chip_line(struct pic_chip *c, unsigned irq, bool level)
{
	uint8_t bit = (uint8_t)(1U << irq), rest = (uint8_t)~bit;

	if (!level) {
		c->lines &= rest;
		c->irr &= rest;
		return;
	}
	if (c->level || !(c->lines & bit))
		c->irr |= bit;
	c->lines |= bit;
}

static void cascade(struct pic *p)
{
	chip_line(&p->chip[PIC_MASTER], CASCADE, best(&p->chip[PIC_SLAVE]) >= 0);
}

void pic_line(struct pic *p, unsigned irq, bool level)
{
	chip_line(&p->chip[irq < 8 ? PIC_MASTER : PIC_SLAVE], irq & 7U, level);
	cascade(p);
}

bool pic_pending(const struct pic *p)
{
	return best(&p->chip[PIC_MASTER]) >= 0;
}

bool pic_is_open(const struct pic *p, unsigned irq)
{
	const struct pic_chip *m = &p->chip[PIC_MASTER], *s = &p->chip[PIC_SLAVE];

	if (irq < 8)
		return !(m->imr & 1U << irq);
	return !(s->imr & 1U << (irq - 8)) && !(m->imr & 1U << CASCADE);
}

/* Puts the chip's best request in service; returns the input, SPURIOUS when there is none. */
static unsigned take(struct pic_chip *c)
{
	int irq = best(c);

	if (irq < 0)
		return SPURIOUS;
	if (!c->level)
		c->irr &= (uint8_t) ~(1U << irq);
	if (!c->auto_eoi)
		c->isr |= (uint8_t)(1U << irq);
	else if (c->auto_rotate)
		c->top = (uint8_t)((irq + 1) & 7);
	return (unsigned)irq;
}

uint8_t pic_acknowledge(struct pic *p)
{
	struct pic_chip *m = &p->chip[PIC_MASTER], *s = &p->chip[PIC_SLAVE];
	bool real = best(m) >= 0;
	unsigned irq = take(m);
	uint8_t vector = (uint8_t)(m->base + irq);

	if (real && irq == CASCADE && !m->single) {
		vector = (uint8_t)(s->base + take(s));
		/* one more of the slave's is a new edge for the master */
		chip_line(m, CASCADE, false);
		cascade(p);
	}
	return vector;
}

/* End of interrupt: of that input, or of the one in service with the highest priority for irq < 0. */
static void end(struct pic_chip *c, int irq, bool rotate)
{
	for (unsigned i = 0; i < 8 && irq < 0; i++) {
		unsigned n = (c->top + i) & 7U;

		if (c->isr & 1U << n && !(c->special_mask && c->imr & 1U << n))
			irq = (int)n;
	}
	if (irq < 0)
		return;
	c->isr &= (uint8_t) ~(1U << irq);
	if (rotate)
		c->top = (uint8_t)((irq + 1) & 7);
}

static void ocw2(struct pic_chip *c, uint8_t value)
{
	int irq = value & 7;

	switch (value >> 5) {
	case 0:
	case 4:
		c->auto_rotate = value >> 5 == 4;
		break;
	case 1:
	case 5:
		end(c, -1, value >> 5 == 5);
		break;
	case 3:
	case 7:
		end(c, irq, value >> 5 == 7);
		break;
	case 6:
		c->top = (uint8_t)((irq + 1) & 7);
		break;
	default: /* no operation */
		break;
	}
}

static void ocw3(struct pic_chip *c, uint8_t value)
{
	c->poll = value & 0x04;
	if (value & 0x02)
		c->read_isr = value & 0x01;
	if (value & 0x40)
		c->special_mask = value & 0x20;
}

static void icw1(struct pic_chip *c, uint8_t value)
{
	uint8_t lines = c->lines;

	/* the initialization forgets all requests; a line that is up needs a new edge */
	*c = (struct pic_chip){ .lines = lines,
				.next_icw = 2,
				.needs_icw4 = value & ICW1_ICW4,
				.single = value & ICW1_SINGLE,
				.level = value & ICW1_LEVEL };
}

/* The data port while ICWs are expected. */
static void next_icw(struct pic_chip *c, uint8_t value)
{
	switch (c->next_icw) {
	case 2:
		c->base = value & 0xF8;
		c->next_icw = c->single ? (c->needs_icw4 ? 4 : 0) : 3;
		break;
	case 3: /* how the chips are wired: fixed in a PC */
		c->next_icw = c->needs_icw4 ? 4 : 0;
		break;
	default:
		c->auto_eoi = value & ICW4_AUTO_EOI;
		c->next_icw = 0;
	}
}

void pic_write(struct pic *p, int chip, unsigned a0, uint8_t value)
{
	struct pic_chip *c = &p->chip[chip];

	if (a0 && c->next_icw)
		next_icw(c, value);
	else if (a0)
		c->imr = value;
	else if (value & ICW1)
		icw1(c, value);
	else if (value & OCW3)
		ocw3(c, value);
	else
		ocw2(c, value);
	cascade(p);
}

uint8_t pic_read(struct pic *p, int chip, unsigned a0)
{
	struct pic_chip *c = &p->chip[chip];

	if (c->poll) {
		int irq = best(c);

		c->poll = false;
		if (irq < 0)
			return 0;
		take(c);
		cascade(p);
		return (uint8_t)(POLL_REQUEST | (unsigned)irq);
	}
	return a0 ? c->imr : c->read_isr ? c->isr : c->irr;
}
