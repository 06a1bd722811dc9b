/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A backend whose VMs are copies of this process that say what guest sleep says: see docs/backends.md. */
#include "example.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/console.h"
#include "backend/supervisor.h"

struct example {
	struct backend base; /* first: a struct backend * is a struct example * */
	struct supervisor supervisor;
};

static struct example *self(struct backend *b)
{
	return (struct example *)b;
}

/* What one VM does: the ready line to whoever connects first, then an answer to each line. */
_Noreturn static void live(int listen_fd)
{
	char line[64];
	size_t len = 0;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(listen_fd, 3);
	close_range(4, ~0U, 0);
	for (bool first = true;; first = false) {
		int fd = accept(3, NULL, NULL);

		if (first)
			dprintf(fd, "MVM sleep ready\n");
		for (char c; read(fd, &c, 1) == 1;) {
			if (c != '\n') {
				line[len] = c;
				len += len < sizeof(line) - 1;
				continue;
			}
			line[len] = '\0';
			len = 0;
			dprintf(fd, "%s\n", strcmp(line, "ping") == 0 ? "pong" : "?");
		}
		close(fd);
	}
}

static error *become(void *user, const struct supervisor_slot *s, int listen_fd, pid_t *ret_pid)
{
	(void)user;
	(void)s;
	*ret_pid = fork();
	if (*ret_pid == 0)
		live(listen_fd);
	return *ret_pid < 0 ? err_sys(EXIT_CANNOT, errno, "fork") : NULL;
}

static error *start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	return supervisor_start(&self(b)->supervisor, first, count, ret_begun, become, b);
}

static uint32_t room(const struct backend *b)
{
	const struct supervisor *s = &((const struct example *)b)->supervisor;

	return s->slot_count - s->slots_busy;
}

static size_t take_events(struct backend *b, int timeout_ms, struct backend_event *events, size_t max)
{
	return supervisor_poll(&self(b)->supervisor, timeout_ms, events, max);
}

static error *ask(struct backend *b, uint32_t vm, const char *request, int timeout_ms, char *reply,
		  size_t size, double *ret_ms)
{
	error *e = supervisor_check_console(&self(b)->supervisor, vm, "");

	return e ? e
		 : console_ask(self(b)->supervisor.console_dir_fd, vm, 0, request, timeout_ms, reply, size,
			       ret_ms);
}

static error *stop_all(struct backend *b, void (*progress)(void *, uint32_t), void *user)
{
	return supervisor_stop_all(&self(b)->supervisor, progress, user);
}

static void close_all(struct backend *b)
{
	err_free(stop_all(b, NULL, NULL));
	supervisor_close(&self(b)->supervisor);
	free(b);
}

static error *open_example(const struct backend_config *cfg, struct vm *vms, uint32_t max,
			   struct backend **ret)
{
	if (!str_eq(cfg->image->guest, "sleep"))
		return err_new(EXIT_CANNOT, "backend example can do what guest sleep does, and nothing else");
	struct example *x = xcalloc(1, sizeof(*x));
	x->base.ops = &backend_example;
	error *e = supervisor_open(&x->supervisor, cfg, vms, max, "a copy");
	if (e)
		close_all(&x->base);
	else
		*ret = &x->base;
	return e;
}

/* A copy of us has our memory to write to, and one connection at a time. */
static struct vm_cost cost(const struct backend *b)
{
	(void)b;
	return (struct vm_cost){ .tasks = 1, .fds_vm = 4, .mem_kb = 200, .commit_kb = 1600 };
}

static struct backend_facts facts(struct backend *b)
{
	(void)b;
	return (struct backend_facts){ .version = "1",
				       .accel = "none",
				       .machine = "none",
				       .proof = "each VM is a copy of the harness" };
}

const struct backend_ops backend_example = {
	.name = "example",
	.summary = "copies of the harness",
	.needs = "nothing",
	.flags = BACKEND_PROCESSES | BACKEND_WAKE,
	.open = open_example,
	.start = start,
	.room = room,
	.poll = take_events,
	.ask = ask,
	.stop_all = stop_all,
	.close = close_all,
	.cost = cost,
	.facts = facts,
};
