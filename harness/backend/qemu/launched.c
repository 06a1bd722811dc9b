/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/launched.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/qemu/qemu.h"
#include "backend/qemu/solo.h"
#include "base/clock.h"
#include "base/fs.h"

#define READY_NS 60000000000ULL
#define REACH_MS 20000
#define SPREAD_MS 100000U
/* QEMU lays guest memory at multiples of this. */
#define RAM_ALIGN 0x200000UL

/* NULL when all are ready. */
static error *await_all(struct launched *l)
{
	uint64_t deadline = clock_ns() + READY_NS;
	uint32_t begun = 0, ready = 0;

	while (ready < LAUNCHED_VMS) {
		struct backend_event ev = { 0 };
		uint32_t room = l->b->ops->room(l->b), more = 0;
		error *e = NULL;

		if (begun < LAUNCHED_VMS && room)
			e = l->b->ops->start(l->b, begun, MIN(room, LAUNCHED_VMS - begun), &more);
		begun += more;
		if (e)
			return e;
		if (l->b->ops->poll(l->b, 20, &ev, 1) == 0) {
			if (clock_ns() > deadline)
				return err_new(EXIT_CANNOT, "%u of %d VMs became ready within %llu s", ready,
					       LAUNCHED_VMS, READY_NS / 1000000000);
			continue;
		}
		if (ev.kind != BACKEND_READY)
			e = err_new(EXIT_CANNOT, "VM %u: %s", ev.vm, ev.reason);
		free(ev.reason);
		if (e)
			return e;
		ready++;
	}
	return NULL;
}

static error *launch(struct launched *l, const struct launched_spec *spec)
{
	struct qemu_config own = { .preset = l->preset,
				   .accel = accel_names[spec->accel],
				   .qemu = spec->qemu,
				   .launch = spec->launch };
	struct backend_config cfg = { .image = &l->image,
				      .devices = &l->devices,
				      .vary = &l->vary,
				      .runtime_dir = l->dir,
				      .disk_mb = 1,
				      .jobs = LAUNCHED_VMS,
				      .ready_timeout_ns = READY_NS,
				      .cgroup_procs_fd = -1,
				      .own = &own };
	error *e = backend_qemu.open(&cfg, l->vms, LAUNCHED_VMS, &l->b);

	if (!e)
		e = await_all(l);
	for (uint32_t i = 0; !e && i < LAUNCHED_VMS; i++)
		e = qemu_reach(l->b, i, REACH_MS, &l->lines[i]);
	return e;
}

/* A folder for as long as VMs start. Only its owner could remove it: signals that would end us wait
 * meanwhile. */
static error *launch_in_folder(struct launched *l, const struct launched_spec *spec)
{
	const char *tmp = getenv("TMPDIR");
	sigset_t ends, before;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, &before);
	l->dir = xasprintf("%s/mvm-launch-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	error *e = mkdtemp(l->dir)
			   ? launch(l, spec)
			   : err_sys(EXIT_CANNOT, errno, "cannot create a temporary folder %s", l->dir);
	fs_remove_tree(l->dir);
	sigaddset(&before, SIGCHLD); /* the backend takes it by descriptor */
	sigprocmask(SIG_SETMASK, &before, NULL);
	return e;
}

error *launched_start(const struct launched_spec *spec, struct launched **ret)
{
	struct launched *l = xcalloc(1, sizeof(*l));
	error *e;

	l->launch = spec->launch;
	l->image = *spec->image;
	for (uint32_t i = 0; i < LAUNCHED_VMS; i++)
		l->lines[i] = -1;
	l->vary = vary_of(&l->image, l->image.flags & MVM_PARAM_FLAG_PHASE ? SPREAD_MS : 0, 1);
	if ((e = preset_load("dense", &l->preset)) || (e = solo_devices(&l->image, &l->devices)) ||
	    (e = launch_in_folder(l, spec))) {
		launched_stop(l);
		return e;
	}
	*ret = l;
	return NULL;
}

void launched_stop(struct launched *l)
{
	for (uint32_t i = 0; i < LAUNCHED_VMS; i++)
		util_closep(&l->lines[i]);
	if (l->b) {
		l->b->ops->close(l->b);
		fs_remove_tree(l->dir); /* an empty one came back for the next VMs */
	}
	free(l->dir);
	preset_free(l->preset);
	free(l);
}

/* The toolkit's boot sector where it runs, if guest memory begins at that address. */
static bool read_guest(int memory, uint64_t at, struct guest_image *ret)
{
	unsigned char bytes[MVM_IMAGE_SIZE];

	if (pread(memory, bytes, sizeof(bytes), (off_t)(at + MVM_LOAD_ADDRESS)) != sizeof(bytes))
		return false;
	_cleanup_err_ error *e = image_parse(bytes, sizeof(bytes), "memory", ret);
	return !e && ret->has_params;
}

/* In one mapping: at its start, and at every aligned address. */
static bool search(int memory, uint64_t from, uint64_t to, struct guest_image *ret)
{
	while (from + MVM_LOAD_ADDRESS + MVM_IMAGE_SIZE <= to) {
		if (read_guest(memory, from, ret))
			return true;
		from = (from + RAM_ALIGN) & ~(RAM_ALIGN - 1);
	}
	return false;
}

error *launched_values(pid_t pid, struct vary_values *ret)
{
	_cleanup_free_ char *maps = xasprintf("/proc/%d/maps", (int)pid);
	_cleanup_free_ char *mem = xasprintf("/proc/%d/mem", (int)pid), *text = NULL;
	_cleanup_close_ int memory = open(mem, O_RDONLY | O_CLOEXEC);
	struct guest_image image;
	error *e = fs_read(maps, &text, NULL);

	if (!e && memory < 0)
		e = err_sys(EXIT_CANNOT, errno, "%s", mem);
	if (e)
		return e;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		char *end = line;
		uint64_t from = strtoull(line, &end, 16), to = *end == '-' ? strtoull(end + 1, &end, 16) : 0;

		/* anonymous memory that can be written */
		if (strncmp(end, " rw-p", 5) != 0 || strchr(end, '/') || !search(memory, from, to, &image))
			continue;
		*ret = (struct vary_values){ .seed = image.seed, .phase_ms = image.phase_ms };
		return NULL;
	}
	return err_new(EXIT_CANNOT, "process %d holds no memory of a guest", (int)pid);
}
