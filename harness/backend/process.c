/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No VM but a process that does what the guest does: the floor under every other backend. */
#include "backend/console.h"
#include "backend/init_program.h"
#include "backend/supervisor.h"
#include "base/spawn.h"

struct process {
	struct backend base;
	struct backend_config cfg;
	struct supervisor supervisor;
	struct init_program init;
	char *proof;
};

static struct process *self(struct backend *b)
{
	return (struct process *)b;
}

static error *exec_init(void *user, const struct supervisor_slot *s, int listen_fd, pid_t *ret_pid)
{
	const struct process *p = user;
	char *argv[] = { p->init.path, p->init.image, NULL }, *envp[] = { NULL };
	struct spawn_fd console = { .from = listen_fd, .to = 0 };
	struct binding where;
	struct spawn_spec spec = {
		.path = p->init.path,
		.argv = argv,
		.envp = envp,
		.cwd = "/",
		.stderr_fd = s->stderr_fd,
		.cgroup_procs_fd = p->cfg.cgroup_procs_fd,
		.cgroup_more_fds = p->cfg.cgroup_more_fds,
		.cgroup_more = p->cfg.cgroup_more,
		.binding = supervisor_binding(&p->supervisor, s->vm, false, &where),
		.fds = &console,
		.fd_count = 1,
	};

	return spawn_process(&spec, ret_pid);
}

static error *process_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	return supervisor_start(&self(b)->supervisor, first, count, ret_begun, exec_init, b);
}

static uint32_t process_room(const struct backend *b)
{
	const struct process *p = (const struct process *)b;

	return p->supervisor.slot_count - p->supervisor.slots_busy;
}

static size_t process_poll(struct backend *b, int timeout_ms, struct backend_event *events, size_t max)
{
	return supervisor_poll(&self(b)->supervisor, timeout_ms, events, max);
}

static error *process_ask(struct backend *b, uint32_t vm, const char *request, int timeout_ms, char *reply,
			  size_t size, double *ret_ms)
{
	error *e = supervisor_check_console(&self(b)->supervisor, vm, "");

	return e ? e
		 : console_ask(self(b)->supervisor.console_dir_fd, vm, 0, request, timeout_ms, reply, size,
			       ret_ms);
}

static error *process_stop_all(struct backend *b, void (*progress)(void *, uint32_t), void *user)
{
	return supervisor_stop_all(&self(b)->supervisor, progress, user);
}

static void process_close(struct backend *b)
{
	struct process *p = self(b);

	err_free(supervisor_stop_all(&p->supervisor, NULL, NULL));
	supervisor_close(&p->supervisor);
	init_program_clear(&p->init);
	free(p->proof);
	free(p);
}

static error *process_open(const struct backend_config *cfg, struct vm *vms, uint32_t max,
			   struct backend **ret)
{
	struct process *p = xcalloc(1, sizeof(*p));
	double ms = 0;

	p->base.ops = &backend_process;
	p->cfg = *cfg;
	error *e = supervisor_open(&p->supervisor, &p->cfg, vms, max, "mvminit");
	if (!e)
		e = init_program_find(cfg, &p->init);
	if (!e)
		e = supervisor_probe(&p->supervisor, &p->base, process_start, cfg->ready_timeout_ns, NULL,
				     &ms);
	if (e) {
		process_close(&p->base);
		return err_wrap(e, "processes cannot stand for VMs here");
	}
	p->proof = xasprintf("each VM is a process of its own; a probe was ready in %.1f ms", ms);
	*ret = &p->base;
	return NULL;
}

static struct vm_cost process_cost(const struct backend *b)
{
	(void)b;
	return (struct vm_cost){ .tasks = 1, .fds_vm = 4, .mem_kb = 90, .commit_kb = INIT_COMMIT_KB };
}

static struct backend_facts process_facts(struct backend *b)
{
	const struct process *p = self(b);

	return (struct backend_facts){ .binary = p->init.path,
				       .version = MVM_VERSION,
				       .sha256 = p->init.sha256,
				       .accel = "none",
				       .machine = "none",
				       .proof = p->proof };
}

static json_t *process_details(const struct backend *b)
{
	const struct process *p = (const struct process *)b;

	return json_pack("{s:[s,s],s:[]}", "argv", p->init.path, p->init.image, "environment");
}

const struct backend_ops backend_process = {
	.name = "process",
	.summary = "no VM: a 2 kB process that does what the guest does, the floor to compare with",
	.needs = "nothing",
	.flags = BACKEND_PROCESSES | BACKEND_WAKE | BACKEND_AFFINITY | BACKEND_CGROUP,
	.probe = init_program_probe,
	.open = process_open,
	.start = process_start,
	.room = process_room,
	.poll = process_poll,
	.ask = process_ask,
	.stop_all = process_stop_all,
	.close = process_close,
	.cost = process_cost,
	.facts = process_facts,
	.details = process_details,
};
