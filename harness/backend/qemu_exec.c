/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launch by exec (or early fork): every VM is a QEMU of its own that boots its guest. */
#include "backend/qemu.h"
#include "backend/spawn.h"

static error *exec_one(void *user, const struct crew_slot *s, int listen_fd, pid_t *ret_pid)
{
	struct qemu *q = user;
	struct spawn_fd fds[] = { { .from = listen_fd, .to = CREW_CONSOLE_FD } };
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
		.binding = crew_binding(&q->crew, s->vm, false, &where),
		.fds = fds,
		.fd_count = ARRAY_LEN(fds),
	};
	error *e = qemu_tune_spec(q, ZYGOTE_KEEP_PROCESS, &env, &spec);

	spec.envp = env.items;
	if (!e)
		e = spawn_process(&spec, ret_pid);
	strlist_clear(&env);
	return e;
}

static error *fork_one(void *user, const struct crew_slot *s, int listen_fd, pid_t *ret_pid)
{
	return qemu_fork_spawn(user, s->vm, listen_fd, ret_pid);
}

error *qemu_exec_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct qemu *q = (struct qemu *)b;

	return crew_start(&q->crew, first, count, ret_begun, q->launch == LAUNCH_FORK ? fork_one : exec_one,
			  q);
}
