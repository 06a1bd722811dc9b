/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The contract of an image that boots: on every machine, in every way. */
#include <errno.h>
#include <string.h>

#include "backend/guest_check.h"
#include "base/clock.h"

/* SeaBIOS under nested KVM takes 10 to 20 s, more when several start at once. */
#define READY_NS 90000000000ULL
#define PROBE_NS 20000000000ULL

static const struct setting {
	const char *machine;
	enum solo_boot boot;
} settings[] = {
	{ "isapc", SOLO_FIRMWARE }, { "microvm", SOLO_FIRMWARE }, { "pc", SOLO_FIRMWARE },
	{ "isapc", SOLO_DISK },	    { "pc", SOLO_DISK },	  { "pc", SOLO_FLOPPY },
};

static void start(struct guest_check_run *r)
{
	error *e = solo_power_on(&r->solo);

	if (e)
		guest_check_judge(r, CLAUSE_READY, false, xstrdup(e->msg));
	r->pid = r->solo.pid;
	r->fd = r->solo.serial_fd;
	err_free(e);
}

static void await_all(struct guest_check *c)
{
	uint64_t deadline = clock_ns() + READY_NS;

	for (size_t i = 0; i < c->count; i++) {
		struct guest_check_run *r = &c->runs[i];

		if (r->skipped || r->clauses[CLAUSE_READY].state != CLAUSE_UNTRIED)
			continue;
		bool ready = guest_check_is_ready(r, clock_left_ns(deadline));
		_cleanup_free_ char *said = solo_complaint(&r->solo);
		guest_check_judge(
			r, CLAUSE_READY, ready,
			ready ? NULL
			      : xasprintf("no such line came within %llu s%s", READY_NS / 1000000000, said));
	}
}

/* /dev/kvm may open and yet carry no guest: a probe tells. */
char *guest_check_kvm_trouble(const struct solo *like)
{
	struct guest_check_run probe = { .image = like->image, .solo = *like };

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return xasprintf("/dev/kvm: %s", strerror(errno));
	probe.solo.machine = solo_machines;
	probe.solo.boot = SOLO_FIRMWARE;
	probe.solo.accel = ACCEL_KVM;
	start(&probe);
	bool works =
		probe.clauses[CLAUSE_READY].state == CLAUSE_UNTRIED && guest_check_is_ready(&probe, PROBE_NS);
	solo_close(&probe.solo);
	free(probe.clauses[CLAUSE_READY].detail);
	return works ? NULL
		     : xstrdup("the guest does not get ready under KVM with the toolkit's own firmware");
}

static const struct solo_machine *machine_named(const char *name)
{
	const struct solo_machine *m = solo_machines;

	while (!str_eq(m->name, name))
		m++;
	return m;
}

static void add_runs(const struct solo *like, enum accel a, bool quick, const char *skipped,
		     struct guest_check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (quick && settings[i].boot != SOLO_FIRMWARE)
			continue;
		struct guest_check_run *r = &c->runs[c->count++];

		r->image = like->image;
		r->solo = *like;
		r->solo.machine = machine_named(settings[i].machine);
		r->solo.boot = settings[i].boot;
		r->solo.accel = a;
		r->name = xasprintf("%s, %s, %s", settings[i].machine, solo_boot_names[settings[i].boot],
				    a == ACCEL_KVM ? "KVM" : "TCG");
		r->skipped = skipped ? xstrdup(skipped) : NULL;
	}
}

error *guest_check_image(const struct guest_image *img, const char *qemu, const char *accel, bool quick,
			 struct guest_check *ret)
{
	struct solo like = { .binary = qemu, .image = img, .serial_fd = -1, .log_fd = -1 };
	error *e = solo_devices(img, &like.devices);

	*ret = (struct guest_check){ .image = img,
				     .runs = xcalloc(2 * ARRAY_LEN(settings), sizeof(*ret->runs)) };
	if (e)
		return e;
	if (!str_eq(accel, "kvm"))
		add_runs(&like, ACCEL_TCG, quick, NULL, ret);
	if (!str_eq(accel, "tcg")) {
		_cleanup_free_ char *trouble = guest_check_kvm_trouble(&like);

		add_runs(&like, ACCEL_KVM, quick, trouble, ret);
	}
	for (size_t i = 0; i < ret->count; i++)
		if (!ret->runs[i].skipped)
			start(&ret->runs[i]);
	await_all(ret);
	guest_check_examine(ret);
	for (size_t i = 0; i < ret->count; i++)
		solo_close(&ret->runs[i].solo);
	return NULL;
}

void guest_check_clear(struct guest_check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (!c->runs[i].launched)
			solo_close(&c->runs[i].solo);
		for (enum clause k = 0; k < CLAUSES; k++)
			free(c->runs[i].clauses[k].detail);
		free(c->runs[i].name);
		free(c->runs[i].skipped);
	}
	for (size_t i = 0; i < c->launched_count; i++)
		launched_stop(c->launched[i]);
	free(c->runs);
	*c = (struct guest_check){ 0 };
}
