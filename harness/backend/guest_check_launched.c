/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The contract in VMs that the qemu backend launched: by exec, early fork, or as clones. */
#include <string.h>

#include "backend/guest_check.h"

static struct guest_check_run *add_run(struct guest_check *c, enum launch_mode mode, enum accel a)
{
	struct guest_check_run *r = &c->runs[c->count++];

	*r = (struct guest_check_run){ .image = c->image, .fd = -1 };
	r->solo.serial_fd = r->solo.log_fd = -1;
	r->name = xasprintf("a VM by %s, %s", launch_names[mode], a == ACCEL_KVM ? "KVM" : "TCG");
	return r;
}

/* Copies of a VM with devices would share them, and are refused: nothing is broken by that. */
static const char *why_not(const struct guest_image *img, enum launch_mode mode)
{
	unsigned devices = 0;
	_cleanup_err_ error *e = solo_devices(img, &devices);

	return mode == LAUNCH_CLONE && devices ? "VMs with devices are not cloned: copies would share them"
					       : NULL;
}

static void launch(const struct launched_spec *spec, struct guest_check *c)
{
	struct launched *l = NULL;
	_cleanup_err_ error *e = launched_start(spec, &l);

	if (e) {
		guest_check_judge(add_run(c, spec->launch, spec->accel), CLAUSE_READY, false,
				  xstrdup(e->msg));
		return;
	}
	c->launched[c->launched_count++] = l;
	for (uint32_t i = 0; i < LAUNCHED_VMS; i++) {
		struct guest_check_run *r = add_run(c, spec->launch, spec->accel);

		r->launched = l;
		r->vm = i;
		r->pid = l->vms[i].pid;
		r->fd = l->lines[i];
		/* the backend read it, or it would not have come so far */
		r->clauses[CLAUSE_READY].state =
			spec->launch == LAUNCH_CLONE ? CLAUSE_ELSEWHERE : CLAUSE_KEPT;
		if (spec->launch == LAUNCH_CLONE)
			r->clauses[CLAUSE_READY].detail =
				xstrdup("a clone does not boot: the VM that it is a copy of said it");
	}
}

static void launch_modes(const struct guest_image *img, const char *qemu, enum accel a, unsigned modes,
			 const char *skipped, struct guest_check *c)
{
	for (enum launch_mode m = 0; m < LAUNCH_AUTO; m++) {
		const struct launched_spec spec = { .image = img, .qemu = qemu, .accel = a, .launch = m };
		const char *reason = skipped ? skipped : why_not(img, m);

		if (!(modes & 1U << m))
			continue;
		if (reason)
			add_run(c, m, a)->skipped = xstrdup(reason);
		else
			launch(&spec, c);
	}
}

error *guest_check_launched(const struct guest_image *img, const char *qemu, const char *accel,
			    unsigned modes, struct guest_check *ret)
{
	struct solo like = { .image = img, .serial_fd = -1, .log_fd = -1 };
	_cleanup_free_ char *binary = NULL;

	*ret = (struct guest_check){
		.image = img, .runs = xcalloc(LAUNCH_AUTO * ACCEL_COUNT * LAUNCHED_VMS, sizeof(*ret->runs))
	};
	error *e = solo_find_qemu(qemu, &binary);
	if (e || (e = solo_devices(img, &like.devices)))
		return e;
	like.binary = binary;
	if (!str_eq(accel, "kvm"))
		launch_modes(img, qemu, ACCEL_TCG, modes, NULL, ret);
	if (!str_eq(accel, "tcg")) {
		_cleanup_free_ char *trouble = guest_check_kvm_trouble(&like);

		launch_modes(img, qemu, ACCEL_KVM, modes, trouble, ret);
	}
	guest_check_examine(ret);
	return NULL;
}
