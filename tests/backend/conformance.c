/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conformance BACKEND [PRESET [ACCEL]]: what every backend must do, asked of one. TAP on
 * standard output. A backend that cannot run here is skipped with its own reason.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/kvm/options.h"
#include "backend/libvirt/options.h"
#include "backend/null.h"
#include "backend/oci/options.h"
#include "backend/qemu/options.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/util.h"
#include "counts.h"
#include "example/example.h"
#include "guest/profile.h"
#include "host/affinity.h"
#include "inspect.h"

#define VMS 4
#define PATIENCE_NS 30000000000ULL
#define KB_OF_A_NULL_VM 100

struct subject {
	const struct backend_ops *ops;
	struct backend_config cfg;
	struct guest_image image;
	struct qemu_config qemu;
	struct kvm_config kvm;
	struct libvirt_config libvirt; /* this machine */
	struct oci_config oci;
	struct null_config null;
	struct settings *settings;
	struct vm vms[VMS + 1];
	struct backend *b;
	char dir[64];
};

static unsigned tests, bad;

static bool check(bool good, const char *what, const char *why)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++tests, what);
	if (!good && why)
		printf("# %s\n", why);
	bad += !good;
	return good;
}

static void skip(const char *what, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tests, what, why);
}

static bool check_error(error *e, const char *what)
{
	bool good = check(!e, what, e ? e->msg : NULL);

	err_free(e);
	return good;
}

static bool can(const struct subject *s, unsigned flag)
{
	return s->ops->flags & flag;
}

/* The next event of a VM, or one that says that none came. */
static struct backend_event next_event(struct subject *s)
{
	struct backend_event ev = { .kind = BACKEND_FAILED, .vm = UINT32_MAX };
	uint64_t give_up = clock_ns() + PATIENCE_NS;

	while (clock_ns() < give_up && s->ops->poll(s->b, 50, &ev, 1) == 0)
		;
	return ev;
}

static bool launch(struct subject *s, const char *what)
{
	uint64_t give_up = clock_ns() + PATIENCE_NS;
	uint32_t begun = 0, ready = 0, more = 0;
	error *e = NULL;

	memset(s->vms, 0, sizeof(s->vms));
	while (!e && ready < VMS) {
		uint32_t room = s->ops->room(s->b);

		if (begun < VMS && room)
			e = s->ops->start(s->b, begun, MIN(room, VMS - begun), &more);
		begun += e ? 0 : more;
		more = 0;
		if (e)
			break;
		struct backend_event ev = { 0 };
		/* briefly: room may come back without an event */
		if (s->ops->poll(s->b, 20, &ev, 1) == 0) {
			if (clock_ns() > give_up)
				e = err_new(EXIT_CANNOT, "%u of %u VMs are ready, and no event comes", ready,
					    begun);
			continue;
		}
		if (ev.kind != BACKEND_READY)
			e = err_new(EXIT_CANNOT, "VM %u: %s", ev.vm,
				    ev.reason ? ev.reason : "no reason given");
		free(ev.reason);
		ready++;
	}
	return check_error(e, what);
}

static void stages(const struct subject *s)
{
	bool good = true;

	for (unsigned i = 0; i < VMS; i++)
		good = good && s->vms[i].state == VM_READY && s->vms[i].spawn_ns > 0 &&
		       s->vms[i].spawn_ns <= clock_ns() && s->vms[i].up_us <= s->vms[i].ready_us;
	check(good, "the stages of every VM are in order: spawn, up, ready", NULL);
}

static void processes(const struct subject *s)
{
	bool good = true;

	for (unsigned i = 0; i < VMS; i++) {
		good = good && s->vms[i].pid > 1 && kill(s->vms[i].pid, 0) == 0;
		for (unsigned k = 0; k < i; k++)
			good = good && s->vms[i].pid != s->vms[k].pid;
	}
	check(good, "every VM has a living process of its own", NULL);
}

static error *must_answer(struct subject *s, uint32_t vm, const char *request, const char *answer)
{
	char reply[64];
	double ms = -1;
	error *e = s->ops->ask(s->b, vm, request, 5000, reply, sizeof(reply), &ms);

	if (!e && (strcmp(reply, answer) != 0 || ms < 0))
		e = err_new(EXIT_CANNOT, "VM %u answered '%s' to '%s' in %f ms", vm, reply, request, ms);
	return e;
}

static void wake(struct subject *s)
{
	error *e = NULL;

	for (uint32_t i = 0; i < VMS && !e; i++)
		e = must_answer(s, i, "ping", "pong");
	check_error(e, "every VM answers ping with pong");
	e = must_answer(s, 1, "what is this", "?");
	check_error(e, "an unknown request is answered by ?");
	e = NULL;
	for (int i = 0; i < 20 && !e; i++)
		e = must_answer(s, 1, "ping", "pong");
	check_error(e, "a VM can be asked again and again");
}

/* The process in which a VM runs; 0 of none. */
static pid_t process_of(const struct subject *s, uint32_t vm)
{
	return s->ops->carrier ? s->ops->carrier(s->b, vm) : s->vms[vm].pid;
}

/* Whether it runs in the process of VM 2, which is killed. */
static void death(struct subject *s)
{
	pid_t killed = process_of(s, 2), of[VMS];
	bool told = true, lives = true;
	error *e = NULL;

	for (uint32_t i = 0; i < VMS; i++)
		of[i] = process_of(s, i);
	kill(killed, SIGKILL);
	for (uint32_t i = 0; i < VMS; i++) {
		if (of[i] != killed)
			continue;
		struct backend_event ev = next_event(s);
		told = told && ev.kind == BACKEND_DIED && ev.vm < VMS && of[ev.vm] == killed && ev.reason &&
		       *ev.reason && s->vms[ev.vm].state == VM_GONE;
		free(ev.reason);
	}
	check(told,
	      "a VM whose process is killed is reported as died, with a reason, and not counted any more",
	      NULL);
	for (uint32_t i = 0; i < VMS && !e; i++) {
		lives = lives && (of[i] == killed || s->vms[i].state == VM_READY);
		if (of[i] != killed && can(s, BACKEND_WAKE))
			e = must_answer(s, i, "ping", "pong");
	}
	check(lives, "others are not touched by it", NULL);
	if (can(s, BACKEND_WAKE))
		check_error(e, "and answer");
}

static void stop(struct subject *s)
{
	bool gone = true, states = true;
	pid_t pids[VMS];
	char reply[64];

	for (unsigned i = 0; i < VMS; i++)
		pids[i] = process_of(s, i);
	check_error(s->ops->stop_all(s->b, NULL, NULL), "the population is stopped");
	for (unsigned i = 0; i < VMS; i++) {
		gone = gone && (pids[i] <= 0 || (kill(pids[i], 0) < 0 && errno == ESRCH));
		states = states && s->vms[i].state == VM_GONE;
	}
	check(gone, "no process of it is left", NULL);
	check(states, "all its VMs are marked as gone", NULL);
	if (can(s, BACKEND_WAKE)) {
		error *e = s->ops->ask(s->b, 0, "ping", 300, reply, sizeof(reply), NULL);
		check(e, "asking a VM that is gone is an error", NULL);
		err_free(e);
	}
}

/* What a backend wrote there may stay until the run removes the folder; nothing may hold on to it. */
static bool folder_goes(const struct subject *s)
{
	fs_remove_tree(s->dir);
	return access(s->dir, F_OK) < 0 && mkdir(s->dir, 0700) == 0;
}

static void closed(struct subject *s)
{
	s->ops->close(s->b);
	s->b = NULL;
	check(folder_goes(s), "nothing holds on to its private folder when it is closed", NULL);
	errno = 0;
	check(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child process is left", NULL);
}

/* A boot sector that halts and says nothing. */
static void refuses_silence(struct subject *s)
{
	uint32_t begun = 0;
	static const unsigned char halt[] = { 0xfa, 0xf4, 0xeb, 0xfd };
	unsigned char sector[MVM_IMAGE_SIZE] = { [MVM_IMAGE_SIZE - 2] = 0x55, [MVM_IMAGE_SIZE - 1] = 0xaa };

	memcpy(sector, halt, sizeof(halt));
	error *e = image_parse(sector, sizeof(sector), "a silent guest", &s->image);
	if (e) {
		check_error(e, "a silent guest can be made");
		return;
	}
	s->cfg.ready_timeout_ns = 1000000000ULL;
	memset(s->vms, 0, sizeof(s->vms));
	e = s->ops->open(&s->cfg, s->vms, VMS + 1, &s->b);
	if (!e) { /* one that does not probe must fail at the first VM */
		struct backend_event ev = { 0 };

		e = s->ops->start(s->b, 0, 1, &begun);
		if (!e)
			ev = next_event(s);
		if (ev.kind == BACKEND_FAILED && ev.reason)
			e = err_new(EXIT_CANNOT, "%s", ev.reason);
		free(ev.reason);
		s->ops->close(s->b);
	}
	check(e && e->code == EXIT_CANNOT && strlen(e->msg) > 10,
	      "a guest that says nothing is refused with a reason", e ? e->msg : "it was taken");
	err_free(e);
	check(folder_goes(s), "and nothing holds on to its folder then", NULL);
}

static void describe(const struct subject *s)
{
	json_t *d = backend_describe(s->b);
	const char *const strings[] = { "name", "version", "accel", "machine" };
	bool good = json_is_object(d);

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		good = good && json_is_string(json_object_get(d, strings[i]));
	good = good && json_is_string(json_object_get(json_object_get(d, "launch"), "mode")) &&
	       json_is_string(json_object_get(json_object_get(d, "launch"), "note"));
	check(good, "it says what it is: name, version, accelerator, machine, launch mode and its proof",
	      NULL);
	json_decref(d);
}

/* Copies of one booted VM: each at the same addresses, none sees what another writes. */
static void clones(struct subject *s)
{
	const struct backend_facts facts = s->ops->facts(s->b);

	if (facts.launch != LAUNCH_CLONE) {
		skip("its VMs are clones", facts.proof);
		return;
	}
	uint64_t at = inspect_find(s->image.bytes, s->vms[0].pid);
	bool same = at != 0, alone = at != 0;
	/* not used by the guest: above its sector */
	uint64_t free_at = at + 0x1000;
	int before = inspect_peek(s->vms[0].pid, free_at);

	for (unsigned i = 1; i < VMS; i++)
		same = same && inspect_find(s->image.bytes, s->vms[i].pid) == at;
	check(same, "clones: the guest's memory is at one address in all of them, writable and private",
	      NULL);
	alone = alone && before >= 0 && inspect_poke(s->vms[0].pid, free_at, (unsigned char)(before ^ 0xa5));
	for (unsigned i = 1; i < VMS; i++)
		alone = alone && inspect_peek(s->vms[i].pid, free_at) == before;
	check(alone && inspect_peek(s->vms[0].pid, free_at) == (before ^ 0xa5),
	      "clones: what one has in its memory, the others do not see", NULL);
	if (can(s, BACKEND_WAKE))
		check_error(must_answer(s, 0, "ping", "pong"), "clones: it still answers");
}

struct count {
	const char *what;
	double declared, counted; /* of one VM */
	double factor;		  /* by so much either may be larger */
};

/* What a VM is declared to cost, against what the kernel counts. What differs from one version of QEMU to the
   next is told roughly; the rest must be right. */
static void costs(struct subject *s)
{
	struct vm_cost d = s->ops->cost(s->b), c = { 0 };

	for (uint32_t i = 0; i < VMS; i++) {
		bool seen = false;

		for (uint32_t k = 0; k < i; k++)
			seen = seen || process_of(s, k) == process_of(s, i);
		if (!seen)
			counts_add_process(process_of(s, i), &c);
	}
	counts_add_keys(&c);
	const struct count counts[] = {
		{ "tasks", d.tasks, c.tasks / VMS, 1.6 },
		{ "open files", d.fds_vm, c.fds_vm / VMS, 1.6 },
		{ "kB of commit limit", d.commit_kb, c.commit_kb / VMS, 2 },
		{ "FIFOs", d.pipes, c.pipes / VMS, 1 },
		{ "pseudoterminals", d.ptys, c.ptys / VMS, 1 },
		{ "keys", d.keys, c.keys / VMS, 1 },
		{ "memory cgroups", d.cgroups, c.cgroups / VMS, 1 },
	};
	_cleanup_free_ char *wrong = NULL;

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		const struct count *k = &counts[i];

		if (k->declared > k->counted * k->factor || k->counted > k->declared * k->factor) {
			free(wrong);
			wrong = xasprintf("declared %g %s of a VM, counted %g", k->declared, k->what,
					  k->counted);
		}
	}
	check(!wrong, "a VM takes of what the host rations what is declared", wrong);
}

/* The work of a backend that opened. */
static void examine(struct subject *s)
{
	describe(s);
	check(s->ops->room(s->b) > 0, "there is room before anything was started", NULL);
	if (!launch(s, "VMs start and become ready"))
		return;
	stages(s);
	if (can(s, BACKEND_PROCESSES))
		processes(s);
	if (can(s, BACKEND_WAKE))
		wake(s);
	if (process_of(s, 0) > 0)
		costs(s); /* of VMs that have been awake: some make their threads then */
	if (can(s, BACKEND_PRESETS) && str_eq(s->qemu.preset->launch, launch_names[LAUNCH_CLONE]))
		clones(s);
	if (process_of(s, 2) > 0)
		death(s);
	stop(s);
	if (launch(s, "a second population starts after the first was stopped"))
		check_error(s->ops->stop_all(s->b, NULL, NULL), "and is stopped as well");
}

/* All VMs on the last CPU, with memory from node 0 alone. */
static void placed(struct subject *s)
{
	struct affinity_map h;
	struct placement p;
	int last = 0;

	affinity_map_read(&h);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &h.cpus))
			last = cpu;
	_cleanup_free_ char *list = xasprintf("%d", last);
	error *e = placement_make(list, h.numa ? "0" : NULL, &h, VMS, &p);
	s->cfg.place = &p;
	if (!e)
		e = s->ops->open(&s->cfg, s->vms, VMS + 1, &s->b);
	if (!check_error(e, "it opens with a placement"))
		return;
	if (launch(s, "placed VMs start")) {
		bool pinned = true, bound = true;

		for (int i = 0; i < VMS; i++) {
			pid_t pid = process_of(s, (uint32_t)i);

			pinned = pinned && pid > 0 && inspect_is_on(pid, last);
			bound = bound && inspect_policy(pid, "bind:0");
		}
		check(pinned, "they may use only the CPU they were given, with all threads", NULL);
		if (h.numa)
			check(bound, "and memory only of the node they were given", NULL);
	}
	s->ops->close(s->b);
	s->cfg.place = NULL;
	placement_clear(&p);
}

/* The configuration of the subject's own. */
static const void *own_of(const struct subject *s)
{
	return s->ops == &backend_qemu	    ? (const void *)&s->qemu
	       : s->ops == &backend_kvm	    ? (const void *)&s->kvm
	       : s->ops == &backend_libvirt ? (const void *)&s->libvirt
	       : s->ops == &backend_oci	    ? (const void *)&s->oci
					    : (const void *)&s->null;
}

static error *prepare(struct subject *s, const char *accel, const char *preset, struct preset **ret_preset)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	error *e = preset_load(preset, ret_preset);

	if (e || (e = profile_load("sleep", &profile)) || (e = image_from_profile(profile, &s->image)))
		return e;
	snprintf(s->dir, sizeof(s->dir), "/tmp/mvm-conf.XXXXXX");
	if (!mkdtemp(s->dir))
		return err_sys(EXIT_CANNOT, errno, "cannot make a folder");
	if ((e = settings_open(&s->settings)))
		return e;
	s->qemu = (struct qemu_config){ .preset = *ret_preset, .accel = accel, .launch = LAUNCH_AUTO };
	s->kvm = (struct kvm_config){ .shard = VMS / 2 }; /* full ones */
	s->libvirt = (struct libvirt_config){ .accel = accel };
	s->null = (struct null_config){ .mem_kb = KB_OF_A_NULL_VM };
	s->cfg = (struct backend_config){ .image = &s->image,
					  .runtime_dir = s->dir,
					  .jobs = 2,
					  .ready_timeout_ns = PATIENCE_NS,
					  .cgroup_procs_fd = -1,
					  .settings = s->settings,
					  .seed = 1,
					  .own = own_of(s) };
	return NULL;
}

static const struct backend_ops *find(const char *name)
{
	return str_eq(name, backend_example.name) ? &backend_example : backend_find(name);
}

int main(int argc, char **argv)
{
	_cleanup_(preset_freep) struct preset *preset = NULL;
	struct subject s = { .ops = argc > 1 ? find(argv[1]) : NULL };

	if (!s.ops) {
		fprintf(stderr, "conformance: there is no backend '%s'\n", argc > 1 ? argv[1] : "");
		return EXIT_BAD_INPUT;
	}
	error *e = prepare(&s, argc > 3 ? argv[3] : "auto", argc > 2 ? argv[2] : "lean", &preset);
	if (!e)
		e = s.ops->open(&s.cfg, s.vms, VMS + 1, &s.b);
	if (e && e->code == EXIT_CANNOT) {
		printf("ok %u - backend %s # SKIP %s\n", ++tests, s.ops->name, e->msg);
		err_free(e);
	} else if (check_error(e, "it opens")) {
		examine(&s);
		closed(&s);
		if (can(&s, BACKEND_AFFINITY))
			placed(&s);
		if (!can(&s, BACKEND_SYNTHETIC))
			refuses_silence(&s);
	}
	fs_remove_tree(s.dir);
	if (s.settings) {
		struct strlist said = { 0 };

		check_error(settings_restore(s.settings, &said), "all it noted can be undone");
		strlist_clear(&said);
		settings_close(s.settings);
	}
	printf("1..%u\n", tests);
	return bad ? 1 : 0;
}
