/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Containers instead of VMs, through any OCI runtime: create, start, kill, delete of the
 * specification's command line, and nothing that one runtime alone knows. A container's
 * console is its standard input and output, so a runtime that puts a VM under it works too.
 */
#include "backend/oci/oci.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/console.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/kin.h"
#include "base/spawn.h"
#include "host/settings.h"
#include "host/undo.h"

/* A runtime's verb takes tens of milliseconds; one that hangs must not hang us. No verb gets more time than a
   container has to become ready, within these bounds. */
#define VERB_MIN_NS 1000000000ULL
#define VERB_MAX_NS 20000000000ULL
#define LOOK_PERIOD_NS 500000000ULL

enum { STAGE_CREATE, STAGE_START };

struct oci {
	struct backend base;
	struct backend_config cfg;
	struct supervisor supervisor;
	struct init_program init;
	struct oci_runtime runtime;
	struct oci_bundles bundles;
	bool *made;	 /* by VM: the runtime was asked to create it, so it must be asked to delete it */
	bool foreign;	 /* containers are no children of ours: their end must be looked for */
	bool no_cgroups; /* the runtime cannot manage cgroups here */
	bool hangs;	 /* it did not come back from deleting: it is not asked again */
	uint64_t looked_ns;
	char *proof;
};

static struct oci *self(struct backend *b)
{
	return (struct oci *)b;
}

static char *container_id(uint32_t vm)
{
	return xasprintf(CONTAINER_ID_PREFIX "%d-%u", (int)getpid(), vm);
}

/* Runs a verb of the runtime without waiting for it. console: NULL, or two descriptors that the container
 * keeps. */
static error *begin_verb(const struct oci *o, char *const *words, const int *console, int stderr_fd,
			 pid_t *ret_pid)
{
	struct strlist argv = { 0 };
	struct spawn_fd fds[] = { { .from = console ? console[0] : -1, .to = 0 },
				  { .from = console ? console[1] : -1, .to = 1 } };
	/* cgroup v2 allows no process in a cgroup whose children are to be controlled */
	bool inside = o->no_cgroups || o->cfg.cgroup_version == 1;

	for (size_t i = 0; i < o->runtime.argv.count; i++)
		strlist_add(&argv, o->runtime.argv.items[i]);
	for (size_t i = 0; words[i]; i++)
		strlist_add(&argv, words[i]);
	struct binding where;
	struct spawn_spec spec = {
		.path = o->runtime.path,
		.argv = argv.items,
		.envp = o->runtime.envp.items,
		.cwd = "/",
		.stderr_fd = stderr_fd,
		.cgroup_procs_fd = inside ? o->cfg.cgroup_procs_fd : -1,
		.cgroup_more_fds = o->cfg.cgroup_more_fds,
		.cgroup_more = inside ? o->cfg.cgroup_more : 0,
		.binding = supervisor_binding(&o->supervisor, 0, true, &where),
		.fds = fds,
		.fd_count = console ? 2 : 0,
	};
	error *e = spawn_process(&spec, ret_pid);
	strlist_clear(&argv);
	return e;
}

static error *create(struct oci *o, struct supervisor_slot *s)
{
	unsigned slot = (unsigned)(s - o->supervisor.slots);
	struct vm *vm = &o->supervisor.vms[s->vm];
	_cleanup_free_ char *id = container_id(s->vm), *cgroup = NULL;
	_cleanup_free_ char *bundle = xasprintf("%s/%u", o->bundles.dir, slot);
	_cleanup_free_ char *pid_file = xasprintf("%s/pid", bundle);
	char *words[] = {
		(char *)"create", (char *)"--bundle", bundle, (char *)"--pid-file", pid_file, id, NULL
	};
	_cleanup_close_ int in = -1, out = -1;

	if (o->cfg.cgroup_relative && !o->no_cgroups)
		cgroup = xasprintf("%s/%u", o->cfg.cgroup_relative, s->vm);
	error *e = oci_bundle_write(&o->bundles, slot, cgroup);
	if (e || (e = console_fifo_make(o->supervisor.console_dir_fd, s->vm, &in, &out)))
		return e;
	o->supervisor.console_files[s->vm] = console_file(o->supervisor.console_dir_fd, s->vm, ".out");
	unlink(pid_file);
	*vm = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
	s->deadline_ns = vm->spawn_ns + o->supervisor.ready_timeout_ns;
	s->stage = STAGE_CREATE;
	o->made[s->vm] = true;
	if ((e = console_fifo_listen(o->supervisor.console_dir_fd, s->vm, &s->console_fd)))
		return e;
	return begin_verb(o, words, (int[]){ in, out }, s->stderr_fd, &s->helper);
}

static error *oci_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct oci *o = self(b);
	struct supervisor_slot *s;

	for (*ret_begun = 0;
	     *ret_begun < count && (s = supervisor_take_slot(&o->supervisor, first + *ret_begun));
	     (*ret_begun)++) {
		error *e = create(o, s);

		if (e) {
			o->made[s->vm] = false;
			supervisor_unstart(&o->supervisor, s);
			return e;
		}
	}
	return NULL;
}

static uint32_t since(const struct vm *vm)
{
	return (uint32_t)((clock_ns() - vm->spawn_ns) / 1000);
}

/* The container exists: notes its process and lets it run. */
static error *start_created(struct oci *o, struct supervisor_slot *s)
{
	_cleanup_free_ char *id = container_id(s->vm);
	_cleanup_free_ char *pid_file =
		xasprintf("%s/%u/pid", o->bundles.dir, (unsigned)(s - o->supervisor.slots));
	char *words[] = { (char *)"start", id, NULL };
	long long told = 0;
	pid_t pid;

	if (!fs_read_number(pid_file, &told))
		return err_new(EXIT_CANNOT, "%s created %s, but names no process of it in its pid file",
			       o->runtime.path, id);
	/* A runtime whose daemon makes the containers tells of processes that descend from others than us, in
	   a pid namespace of their own; them we never signal, only the runtime does. */
	_cleanup_free_ char *who = xasprintf("%s created %s, but its pid file", o->runtime.path, id);
	error *e = kin_check(told, KIN_ELSEWHERE, who, &pid);
	if (e)
		return e;
	if (pidmap_has(&o->supervisor.pids, pid))
		return err_new(EXIT_CANNOT, "%s names process %lld, which another container has", who, told);
	o->supervisor.vms[s->vm].up_us = since(&o->supervisor.vms[s->vm]);
	supervisor_joined(&o->supervisor, s->vm, pid);
	s->stage = STAGE_START;
	return begin_verb(o, words, NULL, s->stderr_fd, &s->helper);
}

/* A verb has ended: on with the next one, or the VM has failed. */
static void verb_ended(void *user, pid_t pid, int status)
{
	struct oci *o = user;
	struct supervisor_slot *s = NULL;

	for (unsigned i = 0; i < o->supervisor.slot_count && !s; i++)
		if (o->supervisor.slots[i].busy && o->supervisor.slots[i].helper == pid)
			s = &o->supervisor.slots[i];
	if (!s)
		return; /* its VM was given up meanwhile */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		_cleanup_free_ char *how = supervisor_how_it_ended(status), *said = supervisor_complaint(s);

		supervisor_fail(&o->supervisor, s,
				xasprintf("%s %s %s%s%s", o->runtime.path,
					  s->stage == STAGE_CREATE ? "create" : "start", how,
					  *said ? "; it said: " : "", said),
				0);
		return;
	}
	if (s->stage == STAGE_START) {
		o->supervisor.vms[s->vm].start_us = since(&o->supervisor.vms[s->vm]);
		supervisor_helper_ended(&o->supervisor, s);
		return;
	}
	s->helper = 0;
	error *e = start_created(o, s);
	if (e)
		supervisor_fail(&o->supervisor, s, xstrdup(e->msg), e->sys);
	err_free(e);
}

static uint32_t oci_room(const struct backend *b)
{
	const struct oci *o = (const struct oci *)b;

	return o->supervisor.slot_count - o->supervisor.slots_busy;
}

static size_t oci_poll(struct backend *b, int timeout_ms, struct backend_event *events, size_t max)
{
	struct oci *o = self(b);

	if (o->foreign && clock_ns() - o->looked_ns > LOOK_PERIOD_NS) {
		o->looked_ns = clock_ns();
		supervisor_look_for_vanished(&o->supervisor);
	}
	return supervisor_poll(&o->supervisor, timeout_ms, events, max);
}

static error *oci_ask(struct backend *b, uint32_t vm, const char *request, int timeout_ms, char *reply,
		      size_t size, double *ret_ms)
{
	error *e = supervisor_check_console(&self(b)->supervisor, vm, ".out");

	return e ? e
		 : console_fifo_ask(self(b)->supervisor.console_dir_fd, vm, request, timeout_ms, reply, size,
				    ret_ms);
}

static uint64_t verb_limit(const struct oci *o)
{
	return MIN(MAX(o->cfg.ready_timeout_ns, VERB_MIN_NS), VERB_MAX_NS);
}

/* Waits for a verb; one that takes longer is killed. False then. */
static bool await_verb(pid_t pid, uint64_t give_up)
{
	int status;

	return child_wait_until(pid, give_up, &status);
}

/* What is being created or started must come to that end, or it could not be deleted. */
static void settle_verbs(struct oci *o)
{
	uint64_t give_up = clock_ns() + verb_limit(o); /* for all: they have been at work together */

	for (unsigned i = 0; i < o->supervisor.slot_count; i++) {
		struct supervisor_slot *s = &o->supervisor.slots[i];

		if (s->busy && s->helper > 0)
			await_verb(s->helper, give_up);
		s->helper = 0;
	}
}

/* Deletes what was made, as many at a time as were started at a time. After one that hangs no more are begun:
   thousands would take hours. */
static error *delete_all(struct oci *o)
{
	_cleanup_free_ pid_t *at_work = xcalloc(o->supervisor.slot_count, sizeof(*at_work));
	uint64_t give_up = clock_ns() + verb_limit(o);
	error *e = NULL;
	unsigned k = 0;

	for (uint32_t i = 0; i < o->supervisor.max && !e && !o->hangs; i++) {
		_cleanup_free_ char *id = container_id(i);
		char *words[] = { (char *)"delete", (char *)"--force", id, NULL };

		if (!o->made[i])
			continue;
		if (at_work[k] > 0 && !await_verb(at_work[k], give_up))
			o->hangs = true;
		at_work[k] = 0;
		if (o->hangs)
			break;
		give_up = clock_ns() + verb_limit(o);
		e = begin_verb(o, words, NULL, -1, &at_work[k]);
		o->made[i] = e != NULL;
		k = (k + 1) % o->supervisor.slot_count;
	}
	for (k = 0; k < o->supervisor.slot_count; k++)
		if (at_work[k] > 0 && !await_verb(at_work[k], give_up))
			o->hangs = true;
	/* containers became our children when the runtime left them */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return e || !o->hangs
		       ? e
		       : err_new(EXIT_CANNOT,
				 "%s delete gave no answer within %.0f s: it is not asked again, and containers may be left in %s",
				 o->runtime.path, (double)verb_limit(o) / 1e9, o->runtime.root);
}

/* The runtime's own list of containers must be empty: whatever it failed to delete is told. */
static error *check_deleted(const struct oci *o)
{
	struct strlist left = { 0 };
	error *e = fs_list(o->runtime.root, CONTAINER_ID_PREFIX, &left);

	if (!e && left.count)
		e = err_new(EXIT_CANNOT, "%s could not delete %zu containers, the first is %s (in %s)",
			    o->runtime.path, left.count, left.items[0], o->runtime.root);
	strlist_clear(&left);
	return e;
}

static error *oci_stop_all(struct backend *b, void (*progress)(void *, uint32_t), void *user)
{
	struct oci *o = self(b);

	settle_verbs(o);
	error *e = supervisor_stop_all(&o->supervisor, progress, user);
	error *e2 = delete_all(o);
	if (!e2)
		e2 = check_deleted(o);
	for (uint32_t i = 0; i < o->supervisor.max; i++)
		if (o->supervisor.vms[i].state != VM_NONE)
			o->supervisor.vms[i].state = VM_GONE;
	return err_first(e, e2);
}

static void oci_close(struct backend *b)
{
	struct oci *o = self(b);

	if (o->made)
		err_free(oci_stop_all(b, NULL, NULL));
	supervisor_close(&o->supervisor);
	oci_bundles_remove(&o->bundles);
	oci_runtime_clear(&o->runtime);
	init_program_clear(&o->init);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	free(o->made);
	free(o->proof);
	free(o);
}

/* Whose child is it? */
static void inspect(struct backend *b)
{
	struct oci *o = self(b);
	_cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)o->supervisor.vms[0].pid), *text = NULL;
	error *e = fs_read(path, &text, NULL);
	const char *close = e ? NULL : strrchr(text, ')');
	int parent = 0;

	err_free(e);
	o->foreign = !close || sscanf(close + 1, " %*c %d", &parent) != 1 || parent != getpid();
}

/* A probe container; crun before 1.9 wants to be told not to manage cgroups on a hybrid hierarchy. */
static error *probe(struct oci *o)
{
	double ms = 0;
	error *e = supervisor_probe(&o->supervisor, &o->base, oci_start, o->supervisor.ready_timeout_ns,
				    inspect, &ms);
	error *why = NULL;

	if (e && str_starts(o->runtime.version, "crun ")) {
		why = e;
		o->no_cgroups = true;
		oci_runtime_option(&o->runtime, "--cgroup-manager=disabled");
		e = supervisor_probe(&o->supervisor, &o->base, oci_start, o->supervisor.ready_timeout_ns,
				     inspect, &ms);
	}
	if (!e)
		o->proof =
			xasprintf("each VM is a container of its own; a probe was ready in %.0f ms%s%s", ms,
				  why ? "; without cgroups of its own, for: " : "", why ? why->msg : "");
	err_free(why);
	return e;
}

static error *oci_open(const struct backend_config *cfg, struct vm *vms, uint32_t max, struct backend **ret)
{
	struct oci *o = xcalloc(1, sizeof(*o));

	o->base.ops = &backend_oci;
	o->cfg = *cfg;
	/* runtimes leave their containers: they become our children, and we learn when they end */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	error *e = supervisor_open(&o->supervisor, &o->cfg, vms, max, "container");
	o->supervisor.other_ended = verb_ended;
	o->supervisor.user = o;
	if (!e && (e = oci_runtime_find(cfg, &o->runtime)) == NULL)
		e = init_program_find(cfg, &o->init);
	if (!e)
		e = oci_bundles_make(cfg, &o->init, o->supervisor.slot_count, &o->bundles);
	if (!e && cfg->settings)
		e = settings_note_containers(cfg->settings, o->runtime.root, o->runtime.path);
	if (!e) {
		o->made = xcalloc(max, sizeof(*o->made));
		e = probe(o);
	}
	if (e) {
		oci_close(&o->base);
		return err_wrap(e, "containers cannot be used here");
	}
	*ret = &o->base;
	return NULL;
}

/* Its console is two FIFOs; the runtime makes it a session keyring. */
static struct vm_cost oci_cost(const struct backend *b)
{
	return (struct vm_cost){ .tasks = 1,
				 .fds_vm = 3,
				 .mem_kb = 700,
				 .commit_kb = INIT_COMMIT_KB,
				 .pipes = 2,
				 .keys = 1,
				 .cgroups = b && ((const struct oci *)b)->no_cgroups ? 0 : 1 };
}

static struct backend_facts oci_facts(struct backend *b)
{
	const struct oci *o = self(b);

	return (struct backend_facts){ .binary = o->runtime.path,
				       .version = o->runtime.version,
				       .sha256 = o->runtime.sha256,
				       .accel = "none",
				       .machine = "container",
				       .proof = o->proof };
}

static json_t *oci_details(const struct backend *b)
{
	const struct oci *o = (const struct oci *)b;
	_cleanup_free_ char *cgroup =
		o->cfg.cgroup_relative ? xasprintf("%s/0", o->cfg.cgroup_relative) : NULL;

	return json_pack("{s:o,s:o,s:b,s:o}", "argv", backend_strings(&o->runtime.argv), "environment",
			 backend_strings(&o->runtime.envp), "own_cgroups", !o->no_cgroups, "config",
			 oci_config(o->bundles.rootfs, o->bundles.hostname, o->no_cgroups ? NULL : cgroup));
}

const struct backend_ops backend_oci = {
	.name = "oci",
	.summary = "containers through an OCI runtime (--runtime), with the same 2 kB process in each",
	.needs = "runc, crun or another OCI runtime, and root",
	.flags = BACKEND_PROCESSES | BACKEND_WAKE | BACKEND_RUNTIME | BACKEND_AFFINITY | BACKEND_CGROUP,
	.probe = oci_probe,
	.options = &oci_options,
	.open = oci_open,
	.start = oci_start,
	.room = oci_room,
	.poll = oci_poll,
	.ask = oci_ask,
	.stop_all = oci_stop_all,
	.close = oci_close,
	.cost = oci_cost,
	.facts = oci_facts,
	.details = oci_details,
};
