/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The qemu backend: real QEMU processes, started by us, one VM each. */
#include "backend/qemu/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/console.h"
#include "backend/qemu/trial.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"

/* A probe guest that needs longer than this would make a ramp under KVM slower than under TCG. */
#define KVM_GOOD_TIME_NS 3000000000ULL

static struct qemu *self(struct backend *b)
{
	return (struct qemu *)b;
}

static const struct qemu *self_const(const struct backend *b)
{
	return (const struct qemu *)b;
}

static size_t qemu_poll(struct backend *b, int timeout_ms, struct backend_event *events, size_t max)
{
	return supervisor_poll(&self(b)->supervisor, timeout_ms, events, max);
}

static error *qemu_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct qemu *q = self(b);

	return q->launch == LAUNCH_CLONE ? qemu_clone_start(q, first, count, ret_begun)
					 : qemu_exec_start(b, first, count, ret_begun);
}

static uint32_t qemu_room(const struct backend *b)
{
	const struct qemu *q = self_const(b);

	return q->launch == LAUNCH_CLONE ? ZYGOTE_BATCH : q->supervisor.slot_count - q->supervisor.slots_busy;
}

/* Who listens on it: a clone itself; the console of a VM that was started anew was made for it by us. */
static pid_t console_of(const struct qemu *q, uint32_t vm)
{
	return q->launch == LAUNCH_CLONE ? q->supervisor.vms[vm].pid : 0;
}

static error *qemu_ask(struct backend *b, uint32_t vm, const char *request, int timeout_ms, char *reply,
		       size_t size, double *ret_ms)
{
	const struct qemu *q = self(b);

	error *e = supervisor_check_console(&q->supervisor, vm, "");

	return e ? e
		 : console_ask(q->supervisor.console_dir_fd, vm, console_of(q, vm), request, timeout_ms,
			       reply, size, ret_ms);
}

error *qemu_reach(struct backend *b, uint32_t vm, int timeout_ms, int *ret_fd)
{
	const struct qemu *q = self(b);

	return console_reach(q->supervisor.console_dir_fd, vm, console_of(q, vm), timeout_ms, ret_fd);
}

static error *qemu_stop_all(struct backend *b, void (*progress)(void *, uint32_t), void *user)
{
	return supervisor_stop_all(&self(b)->supervisor, progress, user);
}

static void qemu_close(struct backend *b)
{
	struct qemu *q = self(b);
	error *e = qemu_stop_all(b, NULL, NULL);

	err_free(e);
	if (q->image_path)
		unlink(q->image_path);
	if (q->firmware_path)
		unlink(q->firmware_path);
	qemu_zygote_stop(q);
	qemu_vary_close(q);
	qemu_devices_close(q);
	supervisor_close(&q->supervisor);
	tuning_clear(&q->tuning);
	qemu_plan_clear(&q->plan);
	free(q->image_path);
	free(q->firmware_path);
	free(q->launch_note);
	free(q);
}

static error *prepare_files(struct qemu *q)
{
	q->image_path = xasprintf("%s/guest.img", q->cfg.runtime_dir);
	q->firmware_path = xasprintf("%s/firmware.bin", q->cfg.runtime_dir);
	_cleanup_free_ char *template = NULL;
	error *e;

	if ((e = firmware_find_template(&template)) || (e = image_write(q->cfg.image, q->image_path)) ||
	    (e = firmware_write(q->cfg.image, template, q->firmware_path)))
		return e;
	return NULL;
}

static void inspect_probe(struct backend *b)
{
	qemu_verify_tuning(self(b), self(b)->supervisor.vms[0].pid);
}

error *qemu_probe_guest(struct qemu *q, uint64_t good_time_ns, double *ret_ms)
{
	return supervisor_probe(&q->supervisor, &q->base, qemu_exec_start, good_time_ns, inspect_probe,
				ret_ms);
}

static error *try_accel(struct qemu *q, enum accel a, uint64_t good_time_ns)
{
	double ms = 0;

	if (a == ACCEL_KVM && access("/dev/kvm", R_OK | W_OK) < 0)
		return err_sys(EXIT_CANNOT, errno, "KVM cannot be used: /dev/kvm");
	if (a == ACCEL_KVM && fault_hit(FAULT_NO_KVM))
		return err_new(EXIT_CANNOT,
			       "KVM cannot be used: the probe guest did not become ready (injected)");
	const char *own = q->own.preset->accel[a].tune;
	tuning_clear(&q->tuning);
	error *e = tuning_parse(own ? own : q->own.preset->tune, q->own.tune, &q->tuning);
	if (e)
		return err_wrap(e, "%s", q->own.preset->path);
	if ((e = qemu_vary_open(q, a)))
		return e;
	e = qemu_plan_make(q, a, &q->plan);
	q->supervisor.program = q->plan.binary;
	if (!e)
		e = qemu_probe_guest(q, good_time_ns, &ms);
	if (e) {
		qemu_plan_clear(&q->plan);
		if (q->own.machine)
			e = err_wrap(e, "--machine %s", q->own.machine);
		return err_wrap(e, "%s", a == ACCEL_KVM ? "KVM cannot be used" : "probe guest");
	}
	q->plan.accel_note = xasprintf("probe guest ready in %.0f ms", ms);
	return NULL;
}

/* Both errors become one, which says what there is to mend once. */
static error *neither(const struct qemu *q, enum accel first, error *e, error *e2)
{
	const struct preset_accel *accel = q->own.preset->accel;
	bool lone_first = !accel[first == ACCEL_KVM ? ACCEL_TCG : ACCEL_KVM].present;
	/* a machine type that no QEMU here knows is no matter of the accelerator; under TCG all are known */
	bool keep_first = lone_first || (q->own.machine && first == ACCEL_TCG && accel[first].present);
	error *kept = keep_first ? e : e2, *other = keep_first ? e2 : e;

	if (!q->own.machine && !lone_first && accel[first].present && !str_eq(e->msg, e2->msg))
		kept = err_wrap(kept, "no accelerator works: %s", other->msg);
	err_free(other);
	return kept;
}

static error *choose_accel(struct qemu *q)
{
	enum accel first = str_eq(q->own.preset->prefer, "tcg") ? ACCEL_TCG : ACCEL_KVM;
	enum accel second = first == ACCEL_KVM ? ACCEL_TCG : ACCEL_KVM;

	for (enum accel a = 0; a < ACCEL_COUNT; a++)
		if (str_eq(q->own.accel, accel_names[a]))
			return try_accel(q, a, q->cfg.ready_timeout_ns);
	error *e = try_accel(q, first, first == ACCEL_KVM ? KVM_GOOD_TIME_NS : q->cfg.ready_timeout_ns);
	if (!e || e->code == EXIT_BAD_INPUT)
		return e;
	error *e2 = try_accel(q, second, q->cfg.ready_timeout_ns);
	if (e2)
		return neither(q, first, e, e2);
	char *note = xasprintf("%s; %s", e->msg, q->plan.accel_note);
	free(q->plan.accel_note);
	q->plan.accel_note = note;
	err_free(e);
	return NULL;
}

static const char *const launch_proofs[] = {
	[LAUNCH_EXEC] = "each VM is a QEMU process of its own that booted its guest",
	[LAUNCH_FORK] =
		"each VM is forked from an initialized QEMU and booted its guest; proven by a probe VM",
	[LAUNCH_CLONE] =
		"each VM is a copy of a running, sleeping one and was not booted on its own; proven by two probe clones with their own consoles and memory",
};

static bool proc_has(pid_t pid, const char *file, const char *text)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/%s", (int)pid, file);
	_cleanup_free_ char *content = NULL;
	size_t len = 0;
	error *e = fs_read(path, &content, &len);

	err_free(e);
	return content && memmem(content, len, text, strlen(text));
}

/* Asked of a QEMU that runs, not of what we meant to give it. ADDR_NO_RANDOMIZE is 0x0040000. */
void qemu_verify_tuning(struct qemu *q, pid_t pid)
{
	static const struct {
		enum technique k;
		const char *file, *text;
	} signs[] = {
		{ TECH_NOASLR, "personality", "00040000" },
		{ TECH_ONE_ARENA, "environ", "glibc.malloc.arena_max=1" },
		{ TECH_NO_TCACHE, "environ", "glibc.malloc.tcache_count=0" },
		{ TECH_SMALL_STACKS, "limits", "Max stack size            262144 " },
	};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
		bool seen = proc_has(pid, signs[i].file, signs[i].text);

		if (q->tuning.t[signs[i].k].asked)
			tuning_note(&q->tuning, signs[i].k, seen, "%s in /proc/PID/%s of a running QEMU",
				    seen ? "seen" : "not found", signs[i].file);
	}
}

/* What late-threads and lazy-libs do needs clones; say so where there are none. */
static void note_clone_only(struct qemu *q)
{
	static const enum technique only[] = { TECH_LATE_THREADS, TECH_LAZY_LIBS };

	for (size_t i = 0; i < ARRAY_LEN(only); i++)
		if (q->tuning.t[only[i]].asked && q->launch != LAUNCH_CLONE)
			tuning_note(&q->tuning, only[i], false, "only clones have it; launch mode is %s",
				    launch_names[q->launch]);
}

/* Tries one mode; on an error nothing of it is left, and the mode is exec. */
static error *try_launch(struct qemu *q, enum launch_mode mode)
{
	error *e = mode == LAUNCH_EXEC ? NULL : qemu_zygote_open(q, mode);

	if (!e)
		return NULL;
	error *e2 = qemu_stop_all(&q->base, NULL, NULL);
	err_free(e2);
	qemu_zygote_stop(q);
	q->supervisor.vms[0] = q->supervisor.vms[1] = (struct vm){ 0 };
	q->launch = LAUNCH_EXEC;
	return err_wrap(e, "launch %s", launch_names[mode]);
}

/* VMs that boot on their own do not share what clones share: merging is what makes them small. */
static void merge_forks(struct qemu *q)
{
	if (str_eq(q->own.preset->launch, launch_names[LAUNCH_CLONE]) &&
	    !tuning_leaves_out(q->own.tune, TECH_KSM))
		q->tuning.t[TECH_KSM].asked = true;
}

/* The mode asked for, else the preset's, falling back step by step to exec with the reasons. */
static error *choose_launch(struct qemu *q)
{
	enum launch_mode want = LAUNCH_EXEC;

	for (enum launch_mode m = 0; m < LAUNCH_AUTO; m++)
		if (str_eq(q->own.preset->launch, launch_names[m]))
			want = m;
	if (q->own.launch != LAUNCH_AUTO)
		want = q->own.launch;
	if (want == LAUNCH_CLONE && q->cfg.devices && *q->cfg.devices) {
		if (q->own.launch != LAUNCH_AUTO)
			return err_new(
				EXIT_CANNOT,
				"--launch clone: copies would share the devices that the guest needs: use fork or exec");
		want = LAUNCH_FORK;
	}
	if (want == LAUNCH_FORK)
		merge_forks(q);
	error *e = try_launch(q, want), *e2 = NULL;
	if (e && q->own.launch != LAUNCH_AUTO)
		return err_wrap(e, "--launch");
	if (e && want == LAUNCH_CLONE && q->plan.accel == ACCEL_KVM) {
		merge_forks(q);
		e2 = try_launch(q, LAUNCH_FORK);
	}
	q->launch_note = e ? xasprintf("%s; refused: %s%s%s", launch_proofs[q->launch], e->msg,
				       e2 ? "; " : "", e2 ? e2->msg : "")
			   : xstrdup(launch_proofs[q->launch]);
	err_free(e);
	err_free(e2);
	note_clone_only(q);
	return NULL;
}

static void other_ended(void *user, pid_t pid, int status)
{
	struct qemu *q = user;

	(void)status; /* what its clones or the next request say is the message */
	if (pid == q->template.pid)
		q->template.pid = 0;
	if (pid == q->next.pid)
		q->next.pid = 0;
}

static error *qemu_probe(void)
{
	_cleanup_free_ char *path = NULL;

	return trial_find_qemu(NULL, &path);
}

static error *qemu_open(const struct backend_config *cfg, struct vm *vms, uint32_t max, struct backend **ret)
{
	struct qemu *q = xcalloc(1, sizeof(*q));

	q->base.ops = &backend_qemu;
	q->cfg = *cfg;
	q->own = *(const struct qemu_config *)cfg->own;
	q->sink_fd = -1;
	q->template = q->next = (struct qemu_template){ .control_fd = -1, .console_fd = -1 };
	q->launch = LAUNCH_EXEC;
	error *e = supervisor_open(&q->supervisor, &q->cfg, vms, max, "QEMU");
	q->supervisor.other_ended = other_ended;
	q->supervisor.user = q;
	if (!e)
		e = prepare_files(q);
	if (!e)
		e = qemu_devices_open(q);
	if (!e)
		e = choose_accel(q);
	if (!e)
		e = choose_launch(q);
	if (e) {
		qemu_close(&q->base);
		return e;
	}
	*ret = &q->base;
	return NULL;
}

static struct vm_cost qemu_cost(const struct backend *b)
{
	const struct qemu *q = self_const(b);

	if (!q) /* its preset says */
		return (struct vm_cost){ 0 };
	struct vm_cost cost = preset_vm_cost(&q->own.preset->accel[q->plan.accel]);

	cost.commit_kb += q->cfg.memory_mb * 1024.0;
	return cost;
}

static struct backend_facts qemu_facts(struct backend *b)
{
	struct qemu *q = self(b);

	return (struct backend_facts){ .binary = q->plan.binary,
				       .version = q->plan.version,
				       .sha256 = q->plan.sha256,
				       .accel = accel_names[q->plan.accel],
				       .accel_note = q->plan.accel_note,
				       .machine = q->plan.machine,
				       .launch = q->launch,
				       .proof = q->launch_note,
				       .tuning = &q->tuning };
}

static json_t *qemu_details(const struct backend *b)
{
	const struct qemu *q = self_const(b);

	return json_pack("{s:o,s:o,s:o*}", "argv", backend_strings(&q->plan.argv), "environment",
			 backend_strings(&q->plan.envp), "per_vm", qemu_vary_json(q));
}

const struct backend_ops backend_qemu = {
	.name = "qemu",
	.summary = "QEMU processes started directly, under KVM or TCG",
	.needs = "a qemu-system-x86_64 binary; /dev/kvm for KVM",
	.flags = BACKEND_PROCESSES | BACKEND_WAKE | BACKEND_AFFINITY | BACKEND_CGROUP | BACKEND_PRESETS |
		 BACKEND_DEVICES | BACKEND_VARY,
	.probe = qemu_probe,
	.options = &qemu_options,
	.open = qemu_open,
	.start = qemu_start,
	.room = qemu_room,
	.poll = qemu_poll,
	.ask = qemu_ask,
	.stop_all = qemu_stop_all,
	.close = qemu_close,
	.cost = qemu_cost,
	.facts = qemu_facts,
	.details = qemu_details,
};
