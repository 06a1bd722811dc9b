/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launch by exec (or early fork): every VM is a QEMU of its own that boots its guest. */
#include "backend/qemu/qemu.h"
#include "base/spawn.h"

/* The numbers under which a QEMU finds its descriptors, in the order of the array that hands them over. */
const int qemu_fd_numbers[ZYGOTE_FDS] = { SUPERVISOR_CONSOLE_FD, QEMU_BOOT_FD, QEMU_DISK_FD };

static error *exec_one(struct qemu *q, const struct supervisor_slot *s, const int pass[ZYGOTE_FDS],
		       pid_t *ret_pid)
{
	struct spawn_fd fds[ZYGOTE_FDS];
	size_t fd_count = 0;
	struct strlist env = { 0 };
	struct binding where;
	struct spawn_spec spec = {
		.path = q->plan.binary,
		.argv = q->plan.argv.items,
		.cwd = q->cfg.runtime_dir,
		.stderr_fd = s->stderr_fd,
		.cgroup_procs_fd = q->cfg.cgroup_procs_fd,
		.cgroup_more_fds = q->cfg.cgroup_more_fds,
		.cgroup_more = q->cfg.cgroup_more,
		.binding = supervisor_binding(&q->supervisor, s->vm, false, &where),
		.fds = fds,
	};
	error *e = qemu_tune_spec(q, ZYGOTE_KEEP_PROCESS, &env, &spec);

	for (size_t i = 0; i < ZYGOTE_FDS; i++)
		if (pass[i] >= 0)
			fds[fd_count++] = (struct spawn_fd){ .from = pass[i], .to = qemu_fd_numbers[i] };
	spec.fd_count = fd_count;

	spec.envp = env.items;
	if (!e)
		e = spawn_process(&spec, ret_pid);
	strlist_clear(&env);
	return e;
}

static error *become_qemu(void *user, const struct supervisor_slot *s, int listen_fd, pid_t *ret_pid)
{
	struct qemu *q = user;
	_cleanup_close_ int disk_fd = -1;
	error *e = qemu_vary_slot(q, s, s->vm);

	if (e || (e = qemu_disk_create(q, &disk_fd)))
		return e;
	const int pass[ZYGOTE_FDS] = { listen_fd, s->boot_fd, disk_fd };
	return q->launch == LAUNCH_FORK ? qemu_fork_spawn(q, s->vm, pass, ret_pid)
					: exec_one(q, s, pass, ret_pid);
}

error *qemu_exec_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct qemu *q = (struct qemu *)b;

	return supervisor_start(&q->supervisor, first, count, ret_begun, become_qemu, q);
}
