/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/console.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/kin.h"
#include "base/spawn.h"
#include "base/text.h"

static int take_sigchld(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* An empty folder of consoles: a name that is still taken would make a VM fail. */
static error *reset_consoles(struct supervisor *c)
{
	if (!c->console_dir)
		return NULL; /* never got so far */
	fs_remove_tree(c->console_dir);
	if (c->console_files)
		memset(c->console_files, 0, c->max * sizeof(*c->console_files));
	error *e = fs_mkdirs(c->console_dir);
	if (e)
		return e;
	if (c->console_dir_fd >= 0)
		close(c->console_dir_fd);
	c->console_dir_fd = open(c->console_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return c->console_dir_fd < 0 ? err_sys(EXIT_CANNOT, errno, "cannot open %s", c->console_dir) : NULL;
}

error *supervisor_open(struct supervisor *c, const struct backend_config *cfg, struct vm *vms, uint32_t max,
		       const char *program)
{
	*c = (struct supervisor){ .vms = vms,
				  .max = max,
				  .program = program,
				  .guest = cfg->image->guest,
				  .ready_timeout_ns = cfg->ready_timeout_ns,
				  .place = cfg->place,
				  .console_dir_fd = -1 };
	c->signal_fd = take_sigchld();
	if (c->signal_fd < 0)
		return err_sys(EXIT_CANNOT, errno, "the end of VMs cannot be noticed: signalfd");
	c->console_dir = xasprintf("%s/console", cfg->runtime_dir);
	error *e = reset_consoles(c);
	if (e)
		return e;
	c->console_files = xcalloc(max, sizeof(*c->console_files));
	c->slot_count = MIN(MAX(cfg->jobs, 1U), (unsigned)SUPERVISOR_MAX_SLOTS);
	c->slots = xcalloc(c->slot_count, sizeof(*c->slots));
	for (unsigned i = 0; i < c->slot_count; i++)
		c->slots[i].console_fd = c->slots[i].stderr_fd = c->slots[i].boot_fd = -1;
	for (unsigned i = 0; i < c->slot_count; i++) {
		_cleanup_free_ char *log = xasprintf("%s/stderr.%u", cfg->runtime_dir, i);

		c->slots[i].stderr_fd = open(log, O_RDWR | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
		if (c->slots[i].stderr_fd < 0)
			return err_sys(EXIT_CANNOT, errno, "cannot create %s", log);
		unlink(log);
	}
	return NULL;
}

void supervisor_close(struct supervisor *c)
{
	for (unsigned i = 0; i < c->slot_count; i++)
		if (c->slots[i].stderr_fd >= 0)
			close(c->slots[i].stderr_fd);
	if (c->console_dir_fd >= 0)
		close(c->console_dir_fd);
	if (c->console_dir)
		fs_remove_tree(c->console_dir);
	if (c->signal_fd >= 0)
		close(c->signal_fd);
	pidmap_clear(&c->pids);
	events_clear(&c->events);
	free(c->slots);
	free(c->console_files);
	free(c->console_dir);
	*c = (struct supervisor){ .console_dir_fd = -1, .signal_fd = -1 };
}

struct supervisor_slot *supervisor_take_slot(struct supervisor *c, uint32_t vm)
{
	for (unsigned i = 0; i < c->slot_count; i++) {
		struct supervisor_slot *s = &c->slots[i];

		/* an old message in the log would only be misleading */
		if (s->busy || ftruncate(s->stderr_fd, 0) < 0)
			continue;
		*s = (struct supervisor_slot){ .busy = true,
					       .vm = vm,
					       .console_fd = -1,
					       .stderr_fd = s->stderr_fd,
					       .boot_fd = s->boot_fd };
		c->slots_busy++;
		return s;
	}
	return NULL;
}

void supervisor_release_slot(struct supervisor *c, struct supervisor_slot *s)
{
	if (s->console_fd >= 0)
		close(s->console_fd);
	s->console_fd = -1;
	s->busy = false;
	c->slots_busy--;
}

const struct binding *supervisor_binding(const struct supervisor *c, uint32_t vm, bool memory_only,
					 struct binding *space)
{
	if (!c->place)
		return NULL;
	placement_of(c->place, vm, space);
	if (memory_only)
		space->pinned = false;
	return space;
}

error *supervisor_check_console(const struct supervisor *c, uint32_t vm, const char *suffix)
{
	uint64_t made = c->console_files[vm];

	if (!made || console_file(c->console_dir_fd, vm, suffix) == made)
		return NULL;
	return err_new(EXIT_UNTRUSTED, "console of VM %u is not the one that was made for it", vm);
}

void supervisor_joined(struct supervisor *c, uint32_t vm, pid_t pid)
{
	struct binding b;

	/* copies of a template, and what a container runtime made, were not spawned by us */
	if (supervisor_binding(c, vm, false, &b))
		binding_pin(&b, pid);
	c->vms[vm].pid = pid;
	pidmap_put(&c->pids, pid, vm);
	c->living++;
}

static error *start_one(struct supervisor *c, struct supervisor_slot *s, supervisor_become *become,
			void *user)
{
	struct vm *vm = &c->vms[s->vm];
	_cleanup_close_ int listen_fd = -1;
	error *e = console_listen(c->console_dir_fd, s->vm, &listen_fd);
	pid_t pid = 0;

	if (e || (e = console_connect(c->console_dir_fd, s->vm, &s->console_fd)))
		return e;
	c->console_files[s->vm] = console_file(c->console_dir_fd, s->vm, "");
	*vm = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
	if ((e = become(user, s, listen_fd, &pid)))
		return e;
	vm->up_us = (uint32_t)((clock_ns() - vm->spawn_ns) / 1000);
	s->deadline_ns = vm->spawn_ns + c->ready_timeout_ns;
	supervisor_joined(c, s->vm, pid);
	return NULL;
}

error *supervisor_start(struct supervisor *c, uint32_t first, uint32_t count, uint32_t *ret_begun,
			supervisor_become *become, void *user)
{
	struct supervisor_slot *s;

	for (*ret_begun = 0; *ret_begun < count && (s = supervisor_take_slot(c, first + *ret_begun));
	     (*ret_begun)++) {
		error *e = start_one(c, s, become, user);

		if (e) {
			supervisor_unstart(c, s);
			return e;
		}
	}
	return NULL;
}

void supervisor_unstart(struct supervisor *c, struct supervisor_slot *s)
{
	c->vms[s->vm] = (struct vm){ 0 };
	supervisor_release_slot(c, s);
}

void supervisor_helper_ended(struct supervisor *c, struct supervisor_slot *s)
{
	s->helper = 0;
	if (c->vms[s->vm].state != VM_STARTING)
		supervisor_release_slot(c, s);
}

void supervisor_fail(struct supervisor *c, struct supervisor_slot *s, char *reason, int sys)
{
	c->vms[s->vm].state = VM_GONE;
	events_add(&c->events, BACKEND_FAILED, s->vm, reason, sys);
	supervisor_release_slot(c, s);
}

char *supervisor_complaint(const struct supervisor_slot *s)
{
	return spawn_complaint(s->stderr_fd);
}

char *supervisor_how_it_ended(int status)
{
	if (WIFSIGNALED(status))
		return xasprintf("was killed by signal %d (%s)", WTERMSIG(status),
				 sigabbrev_np(WTERMSIG(status)));
	return xasprintf("exited with status %d", WEXITSTATUS(status));
}

static void take_ready(struct supervisor *c, struct supervisor_slot *s)
{
	struct vm *vm = &c->vms[s->vm];

	vm->ready_us = (uint32_t)((clock_ns() - vm->spawn_ns) / 1000);
	/* A marker without a living process behind it proves nothing. */
	if (vm->pid <= 1 || kill(vm->pid, 0) < 0)
		return;
	vm->state = VM_READY;
	events_add(&c->events, BACKEND_READY, s->vm, NULL, 0);
	if (s->helper <= 0)
		supervisor_release_slot(c, s);
	if (fault_hit(FAULT_VM_DIES))
		kin_kill(vm->pid);
}

static void read_console(struct supervisor *c, struct supervisor_slot *s)
{
	char buf[256];
	ssize_t n = read(s->console_fd, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		/* its process ends: the reaper will tell why */
		close(s->console_fd);
		s->console_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < n && s->busy; i++)
		if (console_hear(&s->line, c->guest, buf[i]))
			take_ready(c, s);
}

static bool runs(const struct vm *vm)
{
	return vm->pid > 0 && (vm->state == VM_READY || vm->state == VM_STARTING);
}

static struct supervisor_slot *slot_of(struct supervisor *c, uint32_t vm)
{
	for (unsigned i = 0; i < c->slot_count; i++)
		if (c->slots[i].busy && c->slots[i].vm == vm)
			return &c->slots[i];
	return NULL;
}

static void vm_ended(struct supervisor *c, uint32_t id, const char *how)
{
	_cleanup_free_ char *said = NULL;
	bool was_ready = c->vms[id].state == VM_READY;
	struct supervisor_slot *s = slot_of(c, id);

	c->vms[id].state = VM_GONE;
	c->living--;
	if (was_ready) {
		events_add(&c->events, BACKEND_DIED, id,
			   xasprintf("%s %s after it was ready", c->program, how), 0);
	} else if (s) {
		said = supervisor_complaint(s);
		supervisor_fail(c, s,
				xasprintf("%s %s before its guest was ready%s%s", c->program, how,
					  *said ? "; it said: " : "", said),
				0);
	}
}

static void reap(struct supervisor *c)
{
	struct signalfd_siginfo ended;
	int status;
	pid_t pid;
	uint32_t id;

	/* waitpid() looks at every living child: only worth it when one has ended */
	if (read(c->signal_fd, &ended, sizeof(ended)) <= 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		_cleanup_free_ char *how = supervisor_how_it_ended(status);

		if (pidmap_take(&c->pids, pid, &id))
			vm_ended(c, id, how);
		else if (c->other_ended)
			c->other_ended(c->user, pid, status);
	}
}

void supervisor_look_for_vanished(struct supervisor *c)
{
	uint32_t id;

	for (uint32_t i = 0; i < c->max; i++)
		if (runs(&c->vms[i]) && kill(c->vms[i].pid, 0) < 0 && errno == ESRCH &&
		    pidmap_take(&c->pids, c->vms[i].pid, &id))
			vm_ended(c, i, "vanished");
}

static void expire(struct supervisor *c, uint64_t now)
{
	for (unsigned i = 0; i < c->slot_count; i++) {
		struct supervisor_slot *s = &c->slots[i];

		if (!s->busy || now < s->deadline_ns)
			continue;
		_cleanup_free_ char *said = supervisor_complaint(s);

		if (s->helper > 0)
			kill(s->helper, SIGKILL);
		if (c->vms[s->vm].state != VM_STARTING) {
			supervisor_release_slot(c, s);
			continue;
		}
		kin_kill(c->vms[s->vm].pid);
		supervisor_fail(c, s,
				xasprintf("guest '%s' did not become ready within %.1f s under %s%s%s",
					  c->guest, (double)c->ready_timeout_ns / 1e9, c->program,
					  *said ? "; it said: " : "", said),
				ETIMEDOUT);
	}
}

static void wait_for_something(struct supervisor *c, int timeout_ms)
{
	struct pollfd fds[SUPERVISOR_MAX_SLOTS + 1];
	struct supervisor_slot *of[SUPERVISOR_MAX_SLOTS];
	nfds_t n = 0;

	for (unsigned i = 0; i < c->slot_count; i++) {
		if (!c->slots[i].busy || c->slots[i].console_fd < 0)
			continue;
		of[n] = &c->slots[i];
		fds[n++] = (struct pollfd){ .fd = c->slots[i].console_fd, .events = POLLIN };
	}
	fds[n] = (struct pollfd){ .fd = c->signal_fd, .events = POLLIN };
	if (poll(fds, n + 1, timeout_ms) > 0)
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents)
				read_console(c, of[i]);
	reap(c);
	expire(c, clock_ns());
}

size_t supervisor_poll(struct supervisor *c, int timeout_ms, struct backend_event *events, size_t max)
{
	if (!c->events.count)
		wait_for_something(c, timeout_ms);
	return events_take(&c->events, events, max);
}

error *supervisor_stop_all(struct supervisor *c, void (*progress)(void *, uint32_t), void *user)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < c->max; i++)
		if (runs(&c->vms[i]))
			kin_kill(c->vms[i].pid);
	/* One by one in the order of killing: waiting for a given pid costs the kernel no search. Also for
	   those that failed before: their end must not be taken for that of the next VM of the number. Such a
	   one need not have been killed: a container whose start was refused waits for it for ever. */
	for (uint32_t i = 0; i < c->max && c->living; i++) {
		uint32_t id;

		if (!pidmap_take(&c->pids, c->vms[i].pid, &id))
			continue;
		if (!runs(&c->vms[i]))
			kin_kill(c->vms[i].pid);
		/* one that failed without being killed, as a container that its runtime could not start,
		   would never end; 0: a living child, so the pid is still its own */
		if (waitpid(c->vms[i].pid, NULL, WNOHANG) == 0)
			child_kill(c->vms[i].pid);
		c->living--;
		c->vms[i].state = VM_GONE;
		if (progress && clock_ns() - last > 100000000U) {
			last = clock_ns();
			progress(user, c->living);
		}
	}
	for (unsigned i = 0; i < c->slot_count; i++)
		if (c->slots[i].busy)
			supervisor_release_slot(c, &c->slots[i]);
	events_clear(&c->events);
	return reset_consoles(c);
}

error *supervisor_probe(struct supervisor *c, struct backend *b,
			error *(*start)(struct backend *b, uint32_t first, uint32_t count,
					uint32_t *ret_begun),
			uint64_t timeout_ns, void (*inspect)(struct backend *b), double *ret_ms)
{
	uint64_t normal = c->ready_timeout_ns, begin = clock_ns();
	struct backend_event ev = { 0 };
	uint32_t begun;

	c->ready_timeout_ns = MIN(timeout_ns, normal);
	error *e = start(b, 0, 1, &begun);
	while (!e) {
		if (b->ops->poll(b, 100, &ev, 1) == 0)
			continue;
		if (ev.kind != BACKEND_READY)
			e = err_new(EXIT_CANNOT, "%s", ev.reason);
		else if (inspect)
			inspect(b);
		free(ev.reason);
		break;
	}
	*ret_ms = (double)(clock_ns() - begin) / 1e6;
	error *stopped = b->ops->stop_all(b, NULL, NULL);
	err_free(stopped);
	c->vms[0] = (struct vm){ 0 };
	c->ready_timeout_ns = normal;
	return e;
}
