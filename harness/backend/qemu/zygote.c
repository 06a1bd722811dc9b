/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launch by fork and by clone: a template QEMU with our library copies itself. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/console.h"
#include "backend/qemu/qemu.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/kin.h"
#include "base/spawn.h"
#include "preload/zygote_abi.h"

#define CONTROL_FD 11
/* A template's console goes by a number that no VM has; the next one's by another. */
#define TEMPLATE_ID 4294967290U
#define STACK_KB 256
#define SETTLE_TRIES 100
#define SETTLE_STEP_NS 10000000
/*
 * Pages that a template shares with its clones are found by the kernel through a tree of
 * all of them: the more clones, the slower each further one, and whatever walks that tree
 * (reclaim, DAMON). So a template is replaced after so many.
 */
#define TEMPLATE_CLONES 4000

/* argv and environment of a template: the plan's, our library, and what the techniques ask for. */
static unsigned template_flags(const struct qemu *q)
{
	return (q->tuning.t[TECH_LATE_THREADS].asked ? ZYGOTE_LATE_THREADS : 0U) |
	       (q->tuning.t[TECH_LAZY_LIBS].asked ? ZYGOTE_LAZY_LIBS : 0U) |
	       (q->tuning.t[TECH_KSM].asked ? ZYGOTE_MERGE : 0U);
}

static char *tunables(const struct qemu *q)
{
	bool arena = q->tuning.t[TECH_ONE_ARENA].asked, tcache = q->tuning.t[TECH_NO_TCACHE].asked;

	if (!arena && !tcache)
		return NULL;
	return xasprintf("GLIBC_TUNABLES=%s%s%s", arena ? "glibc.malloc.arena_max=1" : "",
			 arena && tcache ? ":" : "", tcache ? "glibc.malloc.tcache_count=0" : "");
}

error *qemu_tune_spec(struct qemu *q, unsigned extra_flags, struct strlist *env, struct spawn_spec *spec)
{
	_cleanup_free_ char *library = fs_find_data("lib", "libmvmzygote.so");
	_cleanup_free_ char *malloc_env = tunables(q);
	unsigned flags = template_flags(q) | extra_flags;

	if (extra_flags & ZYGOTE_KEEP_PROCESS)
		flags &= ZYGOTE_MERGE | ZYGOTE_KEEP_PROCESS;

	for (size_t i = 0; i < q->plan.envp.count; i++)
		strlist_add(env, q->plan.envp.items[i]);
	if (malloc_env)
		strlist_add(env, malloc_env);
	spec->fixed_addresses = q->tuning.t[TECH_NOASLR].asked && !fault_hit(FAULT_NO_ASLR_OFF);
	spec->stack_kb = q->tuning.t[TECH_SMALL_STACKS].asked ? STACK_KB : 0;
	if (flags == ZYGOTE_KEEP_PROCESS)
		return NULL; /* exec without KSM needs no library */
	if (!library || fault_hit(FAULT_NO_PRELOAD))
		return err_new(EXIT_CANNOT,
			       "libmvmzygote.so is missing beside the program: build or install it again");
	strlist_addf(env, "LD_PRELOAD=%s", library);
	/* a symbol that is looked up late touches every library on the way */
	strlist_add(env, "LD_BIND_NOW=1");
	strlist_addf(env, "%s=%s %d %d %u", ZYGOTE_ENV,
		     q->launch == LAUNCH_FORK ? ZYGOTE_MODE_FORK : ZYGOTE_MODE_CLONE, CONTROL_FD,
		     SUPERVISOR_CONSOLE_FD, flags);
	return NULL;
}

static error *spawn_template(struct qemu *q, int listen_fd, int control, pid_t *ret_pid)
{
	struct strlist env = { 0 }, argv = { 0 };
	struct spawn_fd fds[ZYGOTE_FDS + 1] = { { .from = control, .to = CONTROL_FD } };
	struct binding where;
	size_t fd_count = 1;
	struct spawn_spec spec = {
		.path = q->plan.binary,
		.cwd = q->cfg.runtime_dir,
		.stderr_fd = q->supervisor.slots[0].stderr_fd,
		.cgroup_procs_fd = q->cfg.cgroup_procs_fd,
		.cgroup_more_fds = q->cfg.cgroup_more_fds,
		.cgroup_more = q->cfg.cgroup_more,
		.binding = supervisor_binding(&q->supervisor, 0, true, &where),
		.fds = fds,
	};
	error *e = qemu_tune_spec(q, 0, &env, &spec);

	/* numbers under which its copies get theirs: QEMU must not take one for something of its own */
	for (size_t i = 0; q->launch == LAUNCH_FORK && i < ZYGOTE_FDS; i++)
		fds[fd_count++] = (struct spawn_fd){ .from = q->supervisor.slots[0].stderr_fd,
						     .to = qemu_fd_numbers[i] };
	if (listen_fd >= 0)
		fds[fd_count++] = (struct spawn_fd){ .from = listen_fd, .to = SUPERVISOR_CONSOLE_FD };
	/* as of any VM: the copies get theirs later, or values of their own in memory */
	if (q->varied && q->launch == LAUNCH_CLONE)
		fds[fd_count++] =
			(struct spawn_fd){ .from = q->supervisor.slots[0].boot_fd, .to = QEMU_BOOT_FD };
	spec.fd_count = fd_count;

	for (size_t i = 0; i < q->plan.argv.count; i++)
		strlist_add(&argv, q->plan.argv.items[i]);
	if (q->launch == LAUNCH_FORK)
		strlist_add(&argv, "-daemonize");
	spec.argv = argv.items;
	spec.envp = env.items;
	if (!e && ftruncate(q->supervisor.slots[0].stderr_fd, 0) < 0)
		e = err_sys(EXIT_CANNOT, errno, "cannot empty the error log");
	if (!e)
		e = spawn_process(&spec, ret_pid);
	strlist_clear(&env);
	strlist_clear(&argv);
	return e;
}

/* Reads the template's console until its guest is ready. */
static error *await_template(struct qemu *q, int console)
{
	if (console_await_ready(console, q->cfg.image->guest, clock_ns() + q->cfg.ready_timeout_ns))
		return NULL;
	_cleanup_free_ char *said = supervisor_complaint(&q->supervisor.slots[0]);

	return err_new(EXIT_CANNOT, "the template's guest did not become ready%s%s",
		       *said ? "; QEMU said: " : "", said);
}

static void end_template(struct qemu_template *t)
{
	if (t->control_fd >= 0)
		close(t->control_fd);
	if (t->console_fd >= 0)
		close(t->console_fd);
	child_kill(t->pid);
	*t = (struct qemu_template){ .control_fd = -1, .console_fd = -1 };
}

void qemu_zygote_stop(struct qemu *q)
{
	end_template(&q->template);
	end_template(&q->next);
}

static error *try_template(struct qemu *q, struct qemu_template *t)
{
	_cleanup_close_ int listen_fd = -1;
	uint32_t id = TEMPLATE_ID + q->generation++ % 2;
	int pair[2];
	error *e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot make a channel to the template");
	t->control_fd = pair[0];
	if (q->launch == LAUNCH_CLONE &&
	    ((e = console_listen(q->supervisor.console_dir_fd, id, &listen_fd)) ||
	     (e = console_connect(q->supervisor.console_dir_fd, id, &t->console_fd)))) {
		close(pair[1]);
		return e;
	}
	e = spawn_template(q, listen_fd, pair[1], &t->pid);
	close(pair[1]);
	return e;
}

/* Starts a template without waiting for it. */
static error *begin_template(struct qemu *q, struct qemu_template *t)
{
	end_template(t); /* one that has died still has its descriptors here */
	error *e = try_template(q, t);
	if (e)
		end_template(t);
	return e;
}

/* Waits until q->template can be copied. */
static error *finish_template(struct qemu *q)
{
	struct zygote_request ping = { .op = ZYGOTE_PING };
	error *e;

	if (q->template.console_fd >= 0) {
		if ((e = await_template(q, q->template.console_fd)))
			return e;
		close(q->template.console_fd);
		q->template.console_fd = -1;
	}
	/* QEMU still has to notice that the console was closed */
	for (int i = 0; (e = qemu_template_ask(q, &ping, NULL)) && *q->reply.refusal && i < SETTLE_TRIES;
	     i++) {
		err_free(e);
		clock_sleep_ns(SETTLE_STEP_NS);
	}
	return e;
}

static error *start_template(struct qemu *q)
{
	error *e = begin_template(q, &q->template);

	return e ? e : finish_template(q);
}

/* A new generation: the old template ends, its clones do not need it. */
static error *renew_template(struct qemu *q)
{
	error *e = q->next.pid ? NULL : begin_template(q, &q->next);

	if (!e) {
		end_template(&q->template);
		q->template = q->next;
		q->next = (struct qemu_template){ .control_fd = -1, .console_fd = -1 };
		e = finish_template(q);
	}
	return err_wrap(e, "a further template after %u VMs", q->supervisor.living);
}

/* At half the template's life, if more VMs than it can make may follow. */
static error *prepare_next(struct qemu *q, uint32_t made)
{
	bool last = made + TEMPLATE_CLONES / 2 >= q->supervisor.max;

	if (q->template.clones < TEMPLATE_CLONES / 2 || q->next.pid || last)
		return NULL;
	return begin_template(q, &q->next);
}

static bool is_known(void *user, pid_t pid)
{
	const struct qemu *q = user;

	return pid == q->template.pid || pid == q->next.pid || pidmap_has(&q->supervisor.pids, pid);
}

/* A template that died, hangs or tells what cannot be is done with. What it made of this batch without
   telling is nobody's, and would live on. */
static void give_up_template(struct qemu *q, const struct zygote_request *req)
{
	end_template(&q->template);
	clock_sleep_ns(SETTLE_STEP_NS);
	kin_kill_strays(q->cfg.runtime_dir, is_known, q);
	for (uint32_t i = 0; i < req->count; i++)
		console_evict(q->supervisor.console_dir_fd, req->first + i);
}

/* Copies count VMs; a template that is no good is replaced once. */
static error *copy_batch(struct qemu *q, struct zygote_request *req)
{
	error *e = qemu_template_ask(q, req, NULL);

	if (!e && fault_hit(FAULT_TEMPLATE_DIES))
		e = err_new(EXIT_CANNOT, "the template QEMU is gone (injected)");
	if (!e || *q->reply.refusal)
		return e;
	err_free(e);
	give_up_template(q, req);
	if ((e = renew_template(q)))
		return e;
	e = qemu_template_ask(q, req, NULL);
	if (e && !*q->reply.refusal)
		give_up_template(q, req);
	return e;
}

static void fill_values(const struct qemu *q, struct zygote_request *req)
{
	req->vary = q->varied;
	for (uint32_t i = 0; q->varied && i < req->count; i++) {
		struct vary_values v = vary_values_of(q->cfg.vary, req->first + i);

		req->values[i] = (struct zygote_values){ .seed = v.seed, .phase_ms = v.phase_ms };
	}
}

error *qemu_clone_start(struct qemu *q, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct zygote_request req = { .op = ZYGOTE_COPY,
				      .first = first,
				      .count = MIN(count, (uint32_t)ZYGOTE_BATCH) };
	uint64_t before = clock_ns();

	*ret_begun = 0;
	fill_values(q, &req);
	if (fault_hit(FAULT_FORK_EAGAIN))
		return err_sys(EXIT_CANNOT, EAGAIN, "cannot clone: fork (injected)");
	error *e = q->template.clones >= TEMPLATE_CLONES ? renew_template(q) : prepare_next(q, first);
	if (!e)
		e = copy_batch(q, &req);
	if (e)
		return e;
	q->template.clones += q->reply.begun;
	uint32_t us = (uint32_t)((clock_ns() - before) / 1000);
	for (uint32_t i = 0; i < q->reply.begun; i++) {
		struct vm *vm = &q->supervisor.vms[first + i];
		uint32_t each = (uint32_t)((uint64_t)us * (i + 1) / q->reply.begun);

		*vm = (struct vm){ .spawn_ns = before,
				   .pid = q->reply.pid[i],
				   .state = VM_READY,
				   .up_us = each,
				   .ready_us = each };
		supervisor_joined(&q->supervisor, first + i, vm->pid);
		events_add(&q->supervisor.events, BACKEND_READY, first + i, NULL, 0);
	}
	*ret_begun = q->reply.begun;
	if (*ret_begun && fault_hit(FAULT_VM_DIES))
		kill(q->supervisor.vms[first].pid, SIGKILL);
	return q->reply.error ? err_sys(EXIT_CANNOT, q->reply.error, "cannot clone the template: fork")
			      : NULL;
}

error *qemu_fork_spawn(struct qemu *q, uint32_t id, const int fds[ZYGOTE_FDS], pid_t *ret_pid)
{
	struct zygote_request req = { .op = ZYGOTE_COPY, .first = id, .count = 1 };
	int pass[ZYGOTE_FDS];

	for (size_t i = 0; i < ZYGOTE_FDS; i++) {
		if (fds[i] < 0)
			continue;
		pass[req.fd_count] = fds[i];
		req.fd_as[req.fd_count++] = qemu_fd_numbers[i];
	}
	error *e = qemu_template_ask(q, &req, pass);

	if (e && !*q->reply.refusal)
		give_up_template(q, &req);
	if (e)
		return e;
	if (!q->reply.begun)
		return err_sys(EXIT_CANNOT, q->reply.error ? q->reply.error : EPROTO,
			       "cannot fork the template");
	*ret_pid = q->reply.pid[0];
	return NULL;
}

static long count_lines(const char *fmt, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf(fmt, (int)pid); /* NOLINT(clang-diagnostic-format-nonliteral) */
	_cleanup_free_ char *text = NULL;
	error *e = fs_read(path, &text, NULL);
	long n = 0;

	err_free(e);
	for (const char *p = text; p && (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

static error *must_answer(struct qemu *q, uint32_t vm, const char *request, const char *answer)
{
	char reply[64];
	error *e =
		console_ask(q->supervisor.console_dir_fd, vm, 0, request, 5000, reply, sizeof(reply), NULL);

	if (!e && strcmp(reply, answer) != 0)
		e = err_new(EXIT_CANNOT, "VM %u answered '%s' to '%s'", vm, reply, request);
	return e;
}

/* Half a request to VM 0 must not be seen by VM 1: consoles and memory are their own. */
static error *prove_separate(struct qemu *q)
{
	_cleanup_close_ int fd = -1;
	char text[16] = "";
	struct pollfd p = { .events = POLLIN };
	error *e = console_connect(q->supervisor.console_dir_fd, 0, &fd);

	if (e)
		return e;
	if (send(fd, "pi", 2, MSG_NOSIGNAL) != 2)
		return err_sys(EXIT_CANNOT, errno, "console of VM 0");
	clock_sleep_ns(50000000);
	if ((e = must_answer(q, 1, "ping", "pong")))
		return e;
	if (send(fd, "ng\n", 3, MSG_NOSIGNAL) != 3)
		return err_sys(EXIT_CANNOT, errno, "console of VM 0");
	p.fd = fd;
	size_t len = 0;
	while (len < 5 && poll(&p, 1, 5000) == 1) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return strcmp(text, "pong\n") == 0
		       ? NULL
		       : err_new(EXIT_CANNOT, "two clones share memory: one saw what was sent to the other");
}

static void note_techniques(struct qemu *q, long threads, long maps, long template_maps)
{
	const struct zygote_reply *r = &q->reply;
	struct tuning *t = &q->tuning;

	qemu_verify_tuning(q, q->supervisor.vms[0].pid);
	if (t->t[TECH_KSM].asked)
		tuning_note(t, TECH_KSM, !r->merge_error, "prctl(PR_SET_MEMORY_MERGE): %s",
			    r->merge_error ? strerror((int)r->merge_error) : "accepted");
	if (t->t[TECH_LATE_THREADS].asked)
		tuning_note(t, TECH_LATE_THREADS, r->late && threads == 1,
			    "a sleeping clone has %ld of %u threads", threads, r->threads + 1);
	if (t->t[TECH_LAZY_LIBS].asked)
		tuning_note(t, TECH_LAZY_LIBS, maps < template_maps,
			    "%u libraries left out: %ld mappings of %ld", r->lazy_libs, maps, template_maps);
}

static error *probe_clone(struct qemu *q)
{
	bool answers = !(q->cfg.image->flags & MVM_PARAM_FLAG_SILENT);
	uint32_t begun = 0;
	error *e = qemu_clone_start(q, 0, 2, &begun);

	if (e || begun != 2)
		return e ? e : err_new(EXIT_CANNOT, "the template made %u clones of 2", begun);
	clock_sleep_ns(100000000);
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)q->supervisor.vms[0].pid);
	_cleanup_free_ char *status = NULL;
	if ((e = fs_read(path, &status, NULL)))
		return err_wrap(e, "a clone did not live");
	const char *line = strstr(status, "\nThreads:");
	long threads = line ? strtol(line + 9, NULL, 10) : -1;
	note_techniques(q, threads, count_lines("/proc/%d/maps", q->supervisor.vms[0].pid),
			count_lines("/proc/%d/maps", q->template.pid));
	if (answers && ((e = must_answer(q, 0, "ping", "pong")) || (e = must_answer(q, 1, "ping", "pong")) ||
			(e = prove_separate(q))))
		return e;
	return kill(q->supervisor.vms[0].pid, 0) < 0 || kill(q->supervisor.vms[1].pid, 0) < 0
		       ? err_new(EXIT_CANNOT, "a clone did not live")
		       : NULL;
}

error *qemu_zygote_open(struct qemu *q, enum launch_mode mode)
{
	error *e;

	q->launch = mode;
	e = start_template(q);
	if (!e && mode == LAUNCH_CLONE)
		e = probe_clone(q);
	if (!e && mode == LAUNCH_FORK) {
		double ms = 0;
		return qemu_probe_guest(q, q->cfg.ready_timeout_ns, &ms);
	}
	if (!e)
		e = q->base.ops->stop_all(&q->base, NULL, NULL);
	if (!e)
		q->supervisor.vms[0] = q->supervisor.vms[1] = (struct vm){ 0 };
	return e;
}
