/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launch by exec: every VM is a QEMU of its own that boots its guest. */
#include "backend/console.h"
#include "backend/qemu.h"
#include "backend/spawn.h"
#include "base/clock.h"

static error *exec_one(struct qemu *q, const struct crew_slot *s, int listen_fd, pid_t *ret_pid)
{
	struct spawn_fd fds[] = { { .from = listen_fd, .to = CREW_CONSOLE_FD } };
	struct strlist env = { 0 };
	struct spawn_spec spec = {
		.path = q->plan.binary,
		.argv = q->plan.argv.items,
		.cwd = q->cfg.runtime_dir,
		.stderr_fd = s->stderr_fd,
		.cgroup_procs_fd = q->cfg.cgroup_procs_fd,
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

static error *start_one(struct qemu *q, struct crew_slot *s)
{
	struct crew *c = &q->crew;
	struct vm *vm = &c->vms[s->vm];
	_cleanup_close_ int listen_fd = -1;
	error *e = console_listen(c->console_dir_fd, s->vm, &listen_fd);
	pid_t pid = 0;

	if (e || (e = console_connect(c->console_dir_fd, s->vm, &s->console_fd)))
		return e;
	*vm = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
	e = q->launch == LAUNCH_FORK ? qemu_fork_spawn(q, s->vm, listen_fd, &pid)
				     : exec_one(q, s, listen_fd, &pid);
	if (e)
		return e;
	vm->up_us = (uint32_t)((clock_ns() - vm->spawn_ns) / 1000);
	s->deadline_ns = vm->spawn_ns + c->ready_timeout_ns;
	crew_joined(c, s->vm, pid);
	return NULL;
}

error *qemu_exec_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct qemu *q = (struct qemu *)b;

	for (*ret_begun = 0; *ret_begun < count; (*ret_begun)++) {
		struct crew_slot *s = crew_take_slot(&q->crew, first + *ret_begun);
		error *e = s ? start_one(q, s) : NULL;

		if (!s)
			return NULL;
		if (e) {
			crew_unstart(&q->crew, s);
			return e;
		}
	}
	return NULL;
}
