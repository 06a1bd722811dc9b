/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VMs that differ boot each from an image of its own. All have the same argv: it names a descriptor,
 * behind which every slot has a file. A slot's file is written anew for each VM that starts in it:
 * by then the one before has read it, for it was ready, or is dead.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/qemu/qemu.h"
#include "base/fs.h"

#define BOOT_PATH "/proc/self/fd/12"
_Static_assert(QEMU_BOOT_FD == 12, "BOOT_PATH names it");

static bool boots_firmware(const struct qemu *q, enum accel a)
{
	return q->own.preset->accel[a].firmware_boot;
}

error *qemu_vary_open(struct qemu *q, enum accel a)
{
	const char *path = boots_firmware(q, a) ? q->firmware_path : q->image_path;
	_cleanup_free_ char *data = NULL;
	size_t len = 0;

	qemu_vary_close(q);
	q->plan.accel = a;
	q->varied = vary_needed(q->cfg.vary);
	if (!q->varied)
		return NULL;
	error *e = fs_read(path, &data, &len);
	for (unsigned i = 0; !e && i < q->supervisor.slot_count; i++) {
		q->supervisor.slots[i].boot_fd = memfd_create("mvm-boot", MFD_CLOEXEC);
		if (q->supervisor.slots[i].boot_fd < 0 ||
		    write(q->supervisor.slots[i].boot_fd, data, len) != (ssize_t)len)
			e = err_sys(EXIT_CANNOT, errno, "cannot keep an image per VM: memfd");
	}
	return e;
}

void qemu_vary_close(struct qemu *q)
{
	for (unsigned i = 0; i < q->supervisor.slot_count; i++) {
		util_closep(&q->supervisor.slots[i].boot_fd);
		q->supervisor.slots[i].boot_fd = -1;
	}
}

error *qemu_vary_slot(const struct qemu *q, const struct supervisor_slot *s, uint32_t vm)
{
	struct guest_image img = *q->cfg.image;
	off_t at = 0;

	if (!q->varied)
		return NULL;
	if (boots_firmware(q, q->plan.accel))
		at = MVM_FIRMWARE_SLOT;
	vary_image(q->cfg.vary, vm, &img);
	return pwrite(s->boot_fd, img.bytes, sizeof(img.bytes), at) == (ssize_t)sizeof(img.bytes)
		       ? NULL
		       : err_sys(EXIT_CANNOT, errno, "cannot write the image of VM %u", vm);
}

const char *qemu_vary_image(const struct qemu *q)
{
	return q->varied && !boots_firmware(q, q->plan.accel) ? BOOT_PATH : q->image_path;
}

const char *qemu_vary_firmware(const struct qemu *q)
{
	return q->varied && boots_firmware(q, q->plan.accel) ? BOOT_PATH : q->firmware_path;
}

json_t *qemu_vary_json(const struct qemu *q)
{
	if (!q->varied)
		return NULL;
	return json_pack("{s:b,s:b,s:I,s:s}", "seed", q->cfg.vary->seed, "phase", q->cfg.vary->phase,
			 "spread_ms", (json_int_t)q->cfg.vary->spread_ms, "how",
			 q->launch == LAUNCH_CLONE
				 ? "written into the parameter block in each clone's memory"
				 : "written into an image of each VM's own, inherited as descriptor 12");
}
