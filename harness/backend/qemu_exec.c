/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launch by exec: every VM is a QEMU of its own that boots its guest. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/console.h"
#include "backend/qemu.h"
#include "backend/spawn.h"
#include "base/clock.h"
#include "base/fault.h"

static struct qemu_slot *free_slot(struct qemu *q)
{
	for (unsigned i = 0; i < q->slot_count; i++)
		if (!q->slots[i].busy)
			return &q->slots[i];
	return NULL;
}

static void release_slot(struct qemu *q, struct qemu_slot *s)
{
	if (s->console_fd >= 0)
		close(s->console_fd);
	s->console_fd = -1;
	s->busy = false;
	q->slots_busy--;
}

/* The numbers under which a QEMU finds its descriptors, in the order of the array that hands them over. */
const int qemu_fd_numbers[ZYGOTE_FDS] = { QEMU_CONSOLE_FD, QEMU_BOOT_FD, QEMU_DISK_FD };

static error *exec_one(struct qemu *q, const struct qemu_slot *s, const int pass[ZYGOTE_FDS], pid_t *ret_pid)
{
	struct spawn_fd fds[ZYGOTE_FDS];
	size_t fd_count = 0;
	struct strlist env = { 0 };
	struct spawn_spec spec = {
		.path = q->plan.binary,
		.argv = q->plan.argv.items,
		.cwd = q->cfg.runtime_dir,
		.stderr_fd = s->stderr_fd,
		.cgroup_procs_fd = q->cfg.cgroup_procs_fd,
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

static error *start_one(struct qemu *q, uint32_t id, struct qemu_slot *s)
{
	_cleanup_close_ int listen_fd = -1, disk_fd = -1;
	error *e = console_listen(q->console_dir_fd, id, &listen_fd);

	if (e || (e = console_connect(q->console_dir_fd, id, &s->console_fd)) ||
	    (e = qemu_vary_slot(q, s, id)) || (e = qemu_disk_create(q, &disk_fd)))
		return e;
	if (ftruncate(s->stderr_fd, 0) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot empty a VM's error log");
	const int pass[ZYGOTE_FDS] = { listen_fd, s->boot_fd, disk_fd };
	struct vm *vm = &q->vms[id];
	*vm = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
	e = q->launch == LAUNCH_FORK ? qemu_fork_spawn(q, id, pass, &vm->pid)
				     : exec_one(q, s, pass, &vm->pid);
	if (e) {
		vm->state = VM_NONE;
		vm->pid = 0;
		return e;
	}
	vm->up_us = (uint32_t)((clock_ns() - vm->spawn_ns) / 1000);
	s->deadline_ns = vm->spawn_ns + q->cfg.ready_timeout_ns;
	pidmap_put(&q->pids, vm->pid, id);
	q->living++;
	return NULL;
}

error *qemu_exec_start(struct qemu *q, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	for (*ret_begun = 0; *ret_begun < count; (*ret_begun)++) {
		struct qemu_slot *s = free_slot(q);

		if (!s)
			return NULL;
		s->vm = first + *ret_begun;
		s->len = 0;
		s->console_fd = -1;
		s->busy = true;
		q->slots_busy++;
		error *e = start_one(q, s->vm, s);
		if (e) {
			release_slot(q, s);
			return e;
		}
	}
	return NULL;
}

char *qemu_slot_complaint(const struct qemu_slot *s)
{
	char text[4096];
	ssize_t n = pread(s->stderr_fd, text, sizeof(text) - 1, 0);
	char *best = NULL;

	text[n > 0 ? n : 0] = '\0';
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (*line && !strstr(line, "QEMU waiting for connection"))
			best = line;
	return xstrdup(best ? best : "");
}

/* The guest's own line, not something a BIOS or a broken guest printed. */
static bool is_ready_line(const struct qemu *q, const char *line)
{
	const char *guest = q->cfg.image->guest;
	char name[16], word[16];

	if (sscanf(line, "MVM %15s %15s", name, word) != 2 || strcmp(word, "ready") != 0)
		return false;
	return !*guest || strcmp(name, guest) == 0;
}

static void take_ready(struct qemu *q, struct qemu_slot *s)
{
	struct vm *vm = &q->vms[s->vm];

	vm->ready_us = (uint32_t)((clock_ns() - vm->spawn_ns) / 1000);
	/* A marker without a living process behind it proves nothing. */
	if (kill(vm->pid, 0) < 0)
		return;
	vm->state = VM_READY;
	qemu_queue_event(q, BACKEND_READY, s->vm, NULL, 0);
	release_slot(q, s);
	if (fault_hit(FAULT_VM_DIES))
		kill(vm->pid, SIGKILL);
}

static void read_console(struct qemu *q, struct qemu_slot *s)
{
	char buf[256];
	ssize_t n = read(s->console_fd, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		/* its process ends: the reaper will tell why */
		close(s->console_fd);
		s->console_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < n && s->busy; i++) {
		if (buf[i] == '\n' || buf[i] == '\r') {
			s->line[s->len] = '\0';
			if (is_ready_line(q, s->line))
				take_ready(q, s);
			s->len = 0;
		} else if (s->len < sizeof(s->line) - 1) {
			s->line[s->len++] = buf[i];
		}
	}
}

static char *death_reason(const struct qemu *q, int status, const char *when, const char *complaint)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d (%s)", WTERMSIG(status),
			 sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
	return xasprintf("%s %s %s%s%s", q->plan.binary, how, when, *complaint ? "; it said: " : "",
			 complaint);
}

static void reap(struct qemu *q)
{
	int status;
	pid_t pid;
	uint32_t id;

	struct signalfd_siginfo ended;

	/* waitpid() looks at every living child: only worth it when one has ended */
	if (read(q->signal_fd, &ended, sizeof(ended)) <= 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == q->template.pid)
			q->template.pid = 0;
		if (pid == q->next.pid)
			q->next.pid = 0;
		if (!pidmap_take(&q->pids, pid, &id))
			continue;
		struct vm *vm = &q->vms[id];
		bool was_ready = vm->state == VM_READY;

		vm->state = VM_GONE;
		q->living--;
		if (was_ready) {
			qemu_queue_event(q, BACKEND_DIED, id,
					 death_reason(q, status, "after it was ready", ""), 0);
			continue;
		}
		for (unsigned i = 0; i < q->slot_count; i++) {
			struct qemu_slot *s = &q->slots[i];

			if (!s->busy || s->vm != id)
				continue;
			_cleanup_free_ char *said = qemu_slot_complaint(s);
			qemu_queue_event(q, BACKEND_FAILED, id,
					 death_reason(q, status, "before its guest was ready", said), 0);
			release_slot(q, s);
		}
	}
}

static void expire(struct qemu *q, uint64_t now)
{
	for (unsigned i = 0; i < q->slot_count; i++) {
		struct qemu_slot *s = &q->slots[i];

		if (!s->busy || now < s->deadline_ns)
			continue;
		struct vm *vm = &q->vms[s->vm];
		_cleanup_free_ char *said = qemu_slot_complaint(s);

		kill(vm->pid, SIGKILL);
		vm->state = VM_GONE;
		qemu_queue_event(q, BACKEND_FAILED, s->vm,
				 xasprintf("guest '%s' did not become ready within %.1f s under %s%s%s",
					   q->cfg.image->guest, (double)q->cfg.ready_timeout_ns / 1e9,
					   q->plan.binary, *said ? "; it said: " : "", said),
				 ETIMEDOUT);
		release_slot(q, s);
	}
}

void qemu_exec_wait(struct qemu *q, int timeout_ms)
{
	struct pollfd fds[QEMU_MAX_SLOTS + 1];
	struct qemu_slot *of[QEMU_MAX_SLOTS];
	nfds_t n = 0;

	for (unsigned i = 0; i < q->slot_count; i++) {
		if (!q->slots[i].busy || q->slots[i].console_fd < 0)
			continue;
		of[n] = &q->slots[i];
		fds[n++] = (struct pollfd){ .fd = q->slots[i].console_fd, .events = POLLIN };
	}
	fds[n] = (struct pollfd){ .fd = q->signal_fd, .events = POLLIN };
	if (poll(fds, n + 1, timeout_ms) > 0)
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents)
				read_console(q, of[i]);
	reap(q);
	expire(q, clock_ns());
}
