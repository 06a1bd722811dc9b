/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/guest_check.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/console.h"
#include "base/clock.h"
#include "base/fs.h"

/* SeaBIOS under nested KVM takes 10 to 20 s, more when several start at once. */
#define READY_NS 90000000000ULL
#define PROBE_NS 20000000000ULL

#define ANSWER_NS 5000000000ULL
/* Silence is believed after so long. */
#define QUIET_NS 150000000ULL
#define WATCH_NS 1000000000ULL
#define LONG_LINE 200
#define BURST 50
/* Of all threads of a QEMU, per second: what QEMU itself does now and then. */
#define WAKES_ASLEEP 8.0
/* A tick wakes the vCPU and QEMU's main thread, sometimes twice. */
#define WAKES_TICKING 120.0
/* With a device at each tick: its interrupt, and threads of QEMU's that work for it. */
#define WAKES_WITH_DEVICES 300.0

static const struct setting {
	const char *machine;
	enum trial_medium boot;
} settings[] = {
	{ "isapc", TRIAL_FIRMWARE }, { "microvm", TRIAL_FIRMWARE }, { "pc", TRIAL_FIRMWARE },
	{ "isapc", TRIAL_DISK },     { "pc", TRIAL_DISK },	    { "pc", TRIAL_FLOPPY },
};

const char *const clause_names[CLAUSES] = {
#define CLAUSE_NAME(sym, text) [CLAUSE_##sym] = (text),
	GUEST_CLAUSES(CLAUSE_NAME)
#undef CLAUSE_NAME
};

static void judge(struct guest_check_run *r, enum clause c, bool kept, char *detail)
{
	r->clauses[c].state = kept ? CLAUSE_KEPT : CLAUSE_BROKEN;
	r->clauses[c].detail = detail;
}

/* Takes what comes until so many bytes are there; false when the time is over, or QEMU is. */
static bool receive(struct guest_check_run *r, size_t size, uint64_t ns)
{
	uint64_t deadline = clock_ns() + ns;

	while (r->len < size && r->len < sizeof(r->seen)) {
		uint64_t now = clock_ns();
		struct pollfd p = { .fd = r->fd, .events = POLLIN };

		int left = now < deadline ? (int)((deadline - now) / 1000000) + 1 : 0;

		/* what is there is taken even when the time is over */
		if (poll(&p, 1, left) < 0 || (!p.revents && !left))
			return false;
		if (!p.revents)
			continue;
		ssize_t n = read(p.fd, r->seen + r->len, sizeof(r->seen) - r->len);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		r->len += n > 0 ? (size_t)n : 0;
	}
	return r->len >= size;
}

/* What came, fit for a message. The caller frees it. */
static char *shown(const struct guest_check_run *r)
{
	char *text = xcalloc(2 * r->len + 1, 1), *to = text;

	for (size_t i = 0; i < r->len; i++) {
		char c = r->seen[i];

		if (c == '\n' || c == '\r') {
			*to++ = '\\';
			*to++ = c == '\n' ? 'n' : 'r';
		} else {
			*to++ = c >= ' ' && c <= '~' ? c : '?';
		}
	}
	return text;
}

static bool is_up(const struct guest_check_run *r)
{
	return !r->skipped && (r->clauses[CLAUSE_READY].state == CLAUSE_KEPT ||
			       r->clauses[CLAUSE_READY].state == CLAUSE_ELSEWHERE);
}

/* It is up, and answers at all: one broken ping is not followed by five more broken clauses. */
static bool can_be_asked(const struct guest_check_run *r)
{
	return is_up(r) && r->clauses[CLAUSE_PING].state != CLAUSE_BROKEN;
}

/* Sends all of them a request; exactly this must come from each, and nothing after it. */
static void ask(struct guest_check *c, enum clause k, const char *request, size_t size, const char *want)
{
	size_t len = strlen(want);
	uint64_t deadline = clock_ns() + ANSWER_NS;

	for (size_t i = 0; i < c->count; i++) {
		struct guest_check_run *r = &c->runs[i];

		r->len = 0;
		if (can_be_asked(r) && send(r->fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
			judge(r, k, false, xstrdup("the serial line takes no more"));
	}
	for (size_t i = 0; i < c->count; i++)
		if (can_be_asked(&c->runs[i]))
			receive(&c->runs[i], len, clock_left_ns(deadline));
	/* whatever else there is has come by then */
	clock_sleep_ns(QUIET_NS);
	for (size_t i = 0; i < c->count; i++) {
		struct guest_check_run *r = &c->runs[i];

		if (!can_be_asked(r) || r->clauses[k].state != CLAUSE_UNTRIED)
			continue;
		bool kept = !receive(r, len + 1, 0) && r->len == len && memcmp(r->seen, want, len) == 0;
		_cleanup_free_ char *got = shown(r);
		judge(r, k, kept,
		      kept ? NULL : xasprintf("it sent '%s', %zu bytes; expected %zu", got, r->len, len));
	}
}

/* How often the process's threads went to sleep; each time something had woken one. -1: it is gone. */
static long long count_wakes(pid_t pid)
{
	_cleanup_free_ char *dir = xasprintf("/proc/%d/task", (int)pid);
	long long sum = -1;
	struct dirent *d;
	DIR *tasks = opendir(dir);

	while (tasks && (d = readdir(tasks))) {
		_cleanup_free_ char *path = xasprintf("%s/%s/status", dir, d->d_name), *text = NULL;
		error *e = *d->d_name == '.' ? NULL : fs_read(path, &text, NULL);
		const char *line = text ? strstr(text, "\nvoluntary_ctxt_switches:") : NULL;

		err_free(e);
		if (line)
			sum = MAX(sum, 0) + strtoll(strchr(line, ':') + 1, NULL, 10);
	}
	if (tasks)
		closedir(tasks);
	return sum;
}

static void talk(struct guest_check *c)
{
	char overlong[LONG_LINE + 1], burst[BURST * 5], answers[BURST * 5 + 1] = "";

	memset(overlong, 'x', LONG_LINE);
	overlong[LONG_LINE] = '\n';
	for (size_t i = 0; i < sizeof(burst); i++) {
		burst[i] = "ping\n"[i % 5];
		answers[i] = "pong\n"[i % 5];
	}
	ask(c, CLAUSE_PING, "ping\n", 5, "pong\n");
	ask(c, CLAUSE_UNKNOWN, "no such request\n", 16, "?\n");
	ask(c, CLAUSE_EMPTY, "\n\r\n\nping\r\n", 10, "pong\n");
	ask(c, CLAUSE_LONG, overlong, sizeof(overlong), "?\n");
	ask(c, CLAUSE_BURST, burst, sizeof(burst), answers);
}

static double most_wakes(const struct guest_check_run *r)
{
	unsigned devices = r->launch ? r->launch->devices : r->boot.devices;

	if (!(r->image->flags & MVM_PARAM_FLAG_TICKS))
		return WAKES_ASLEEP;
	return devices ? WAKES_WITH_DEVICES : WAKES_TICKING;
}

/* All of them side by side, once nobody asks anything any more. */
static void watch_all(struct guest_check *c)
{
	long long *before = xcalloc(c->count, sizeof(*before));
	uint64_t start_ns = clock_ns();

	for (size_t i = 0; i < c->count; i++)
		before[i] = is_up(&c->runs[i]) ? count_wakes(c->runs[i].pid) : -1;
	clock_sleep_ns(WATCH_NS);
	double seconds = (double)(clock_ns() - start_ns) / 1e9;
	for (size_t i = 0; i < c->count; i++) {
		struct guest_check_run *r = &c->runs[i];
		bool ticks = r->image->flags & MVM_PARAM_FLAG_TICKS;
		long long after = is_up(r) ? count_wakes(r->pid) : -1;
		double rate = (double)(after - before[i]) / seconds, most = most_wakes(r);
		bool kept = after >= 0 && before[i] >= 0 && rate <= most;

		if (is_up(r))
			judge(r, ticks ? CLAUSE_RATE : CLAUSE_SLEEPS, kept,
			      kept ? NULL
				   : xasprintf(
					     "QEMU's threads woke %.0f times a second, at most %.0f are expected",
					     rate, most));
	}
	free(before);
}

/* Of those that a run gives values, in whatever way its launch mode does it. */
static void compare_values(struct guest_check_run *r)
{
	const struct vary *v = &r->launch->vary;
	struct vary_values want = vary_values_of(v, r->vm), got = { 0 };
	_cleanup_err_ error *e = trial_guest_values(r->pid, &got);
	/* wave takes its phase up, and counts on in the lower half of its seed */
	bool plays = r->image->flags & MVM_PARAM_FLAG_TICKS && r->image->flags & MVM_PARAM_FLAG_PHASE;
	bool seed = got.seed == want.seed || (plays && got.seed >> 16 == want.seed >> 16);
	bool phase = got.phase_ms == want.phase_ms || (plays && !got.phase_ms);

	bool moves = r->launch->devices & 1U << DEVICE_DISK;

	if (moves || (e && (e->sys == EACCES || e->sys == EPERM))) {
		r->clauses[CLAUSE_OWN].state = CLAUSE_ELSEWHERE;
		r->clauses[CLAUSE_OWN].detail =
			moves ? xstrdup("it counts on in its seed; other guests show how values get there")
			      : xasprintf("its memory cannot be read here: %s", e->msg);
		return;
	}
	bool own = !e && seed && phase;
	judge(r, CLAUSE_OWN, own,
	      own ? NULL
	      : e ? xstrdup(e->msg)
		  : xasprintf("seed %u, phase %u ms; expected %u, %u", got.seed, got.phase_ms, want.seed,
			      want.phase_ms));
}

static void examine(struct guest_check *c)
{
	bool silent = c->image->flags & MVM_PARAM_FLAG_SILENT;

	if (silent)
		ask(c, CLAUSE_SILENT, "ping\n", 5, "");
	else
		talk(c);
	watch_all(c);
	if (!silent)
		ask(c, CLAUSE_WAKES, "ping\n", 5, "pong\n");
	for (size_t i = 0; i < c->count; i++)
		if (is_up(&c->runs[i]) && c->runs[i].launch && vary_needed(&c->runs[i].launch->vary))
			compare_values(&c->runs[i]);
}

/* A guest may speak before it is ready, but the ready line ends what it says. */
static bool await_ready(const struct guest_check_run *r, uint64_t deadline)
{
	return console_await_ready(r->fd, r->image->guest, deadline);
}

static void start(struct guest_check_run *r)
{
	error *e = trial_boot_start(&r->boot);

	if (e)
		judge(r, CLAUSE_READY, false, xstrdup(e->msg));
	r->pid = r->boot.pid;
	r->fd = r->boot.serial_fd;
	err_free(e);
}

static void await_all(struct guest_check *c)
{
	uint64_t deadline = clock_ns() + READY_NS;

	for (size_t i = 0; i < c->count; i++) {
		struct guest_check_run *r = &c->runs[i];

		if (r->skipped || r->clauses[CLAUSE_READY].state != CLAUSE_UNTRIED)
			continue;
		bool ready = await_ready(r, deadline);
		_cleanup_free_ char *said = trial_boot_complaint(&r->boot);
		judge(r, CLAUSE_READY, ready,
		      ready ? NULL
			    : xasprintf("no such line came within %llu s%s", READY_NS / 1000000000, said));
	}
}

/* /dev/kvm may open and yet carry no guest: a probe tells. */
static char *kvm_trouble(const struct trial_boot *like)
{
	struct guest_check_run probe = { .image = like->image, .boot = *like };

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return xasprintf("/dev/kvm: %s", strerror(errno));
	probe.boot.machine = trial_machines;
	probe.boot.medium = TRIAL_FIRMWARE;
	probe.boot.accel = ACCEL_KVM;
	start(&probe);
	bool works = probe.clauses[CLAUSE_READY].state == CLAUSE_UNTRIED &&
		     await_ready(&probe, clock_ns() + PROBE_NS);
	trial_boot_close(&probe.boot);
	free(probe.clauses[CLAUSE_READY].detail);
	return works ? NULL
		     : xstrdup("the guest does not get ready under KVM with the toolkit's own firmware");
}

static const struct trial_machine *machine_named(const char *name)
{
	const struct trial_machine *m = trial_machines;

	while (!str_eq(m->name, name))
		m++;
	return m;
}

static void add_runs(const struct trial_boot *like, enum accel a, bool quick, const char *skipped,
		     struct guest_check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (quick && settings[i].boot != TRIAL_FIRMWARE)
			continue;
		struct guest_check_run *r = &c->runs[c->count++];

		r->image = like->image;
		r->boot = *like;
		r->boot.machine = machine_named(settings[i].machine);
		r->boot.medium = settings[i].boot;
		r->boot.accel = a;
		r->name = xasprintf("%s, %s, %s", settings[i].machine, trial_medium_names[settings[i].boot],
				    a == ACCEL_KVM ? "KVM" : "TCG");
		r->skipped = skipped ? xstrdup(skipped) : NULL;
	}
}

error *guest_check_image(const struct guest_image *img, const char *qemu, const char *accel, bool quick,
			 struct guest_check *ret)
{
	struct trial_boot like = { .binary = qemu, .image = img, .serial_fd = -1, .log_fd = -1 };
	error *e = trial_devices(img, &like.devices);

	*ret = (struct guest_check){ .image = img,
				     .runs = xcalloc(2 * ARRAY_LEN(settings), sizeof(*ret->runs)) };
	if (e)
		return e;
	if (!str_eq(accel, "kvm"))
		add_runs(&like, ACCEL_TCG, quick, NULL, ret);
	if (!str_eq(accel, "tcg")) {
		_cleanup_free_ char *trouble = kvm_trouble(&like);

		add_runs(&like, ACCEL_KVM, quick, trouble, ret);
	}
	for (size_t i = 0; i < ret->count; i++)
		if (!ret->runs[i].skipped)
			start(&ret->runs[i]);
	await_all(ret);
	examine(ret);
	for (size_t i = 0; i < ret->count; i++)
		trial_boot_close(&ret->runs[i].boot);
	return NULL;
}

static struct guest_check_run *add_run(struct guest_check *c, enum launch_mode mode, enum accel a)
{
	struct guest_check_run *r = &c->runs[c->count++];

	*r = (struct guest_check_run){ .image = c->image, .fd = -1 };
	r->boot.serial_fd = r->boot.log_fd = -1;
	r->name = xasprintf("a VM by %s, %s", launch_names[mode], a == ACCEL_KVM ? "KVM" : "TCG");
	return r;
}

/* Copies of a VM with devices would share them, and are refused: nothing is broken by that. */
static const char *why_not(const struct guest_image *img, enum launch_mode mode)
{
	unsigned devices = 0;
	_cleanup_err_ error *e = trial_devices(img, &devices);

	return mode == LAUNCH_CLONE && devices ? "VMs with devices are not cloned: copies would share them"
					       : NULL;
}

static void launch(const struct trial_launch_spec *spec, enum accel a, struct guest_check *c)
{
	bool clone = spec->launch == LAUNCH_CLONE;
	struct trial_launch *l = NULL;
	_cleanup_err_ error *e = trial_launch_start(spec, &l);

	if (e) {
		judge(add_run(c, spec->launch, a), CLAUSE_READY, false, xstrdup(e->msg));
		return;
	}
	c->launches[c->launch_count++] = l;
	for (uint32_t i = 0; i < l->count; i++) {
		struct guest_check_run *r = add_run(c, spec->launch, a);

		r->launch = l;
		r->vm = i;
		r->pid = l->vms[i].pid;
		r->fd = l->lines[i];
		/* the backend read it, or it would not have come so far */
		r->clauses[CLAUSE_READY].state = clone ? CLAUSE_ELSEWHERE : CLAUSE_KEPT;
		if (clone)
			r->clauses[CLAUSE_READY].detail =
				xstrdup("a clone does not boot: the VM that it is a copy of said it");
	}
}

static void launch_modes(const struct guest_image *img, const char *qemu, enum accel a, unsigned modes,
			 const char *skipped, struct guest_check *c)
{
	for (enum launch_mode m = 0; m < LAUNCH_AUTO; m++) {
		const struct trial_launch_spec spec = { .image = img,
							.preset = "dense",
							.qemu = qemu,
							.accel = accel_names[a],
							.launch = m,
							.vms = TRIAL_VMS,
							.vary = true,
							.lines = true };
		const char *reason = skipped ? skipped : why_not(img, m);

		if (!(modes & 1U << m))
			continue;
		if (reason)
			add_run(c, m, a)->skipped = xstrdup(reason);
		else
			launch(&spec, a, c);
	}
}

error *guest_check_launch(const struct guest_image *img, const char *qemu, const char *accel, unsigned modes,
			  struct guest_check *ret)
{
	struct trial_boot like = { .image = img, .serial_fd = -1, .log_fd = -1 };
	_cleanup_free_ char *binary = NULL;

	*ret = (struct guest_check){
		.image = img, .runs = xcalloc(LAUNCH_AUTO * ACCEL_COUNT * TRIAL_VMS, sizeof(*ret->runs))
	};
	error *e = trial_find_qemu(qemu, &binary);
	if (e || (e = trial_devices(img, &like.devices)))
		return e;
	like.binary = binary;
	if (!str_eq(accel, "kvm"))
		launch_modes(img, qemu, ACCEL_TCG, modes, NULL, ret);
	if (!str_eq(accel, "tcg")) {
		_cleanup_free_ char *trouble = kvm_trouble(&like);

		launch_modes(img, qemu, ACCEL_KVM, modes, trouble, ret);
	}
	examine(ret);
	return NULL;
}

void guest_check_clear(struct guest_check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (!c->runs[i].launch)
			trial_boot_close(&c->runs[i].boot);
		for (enum clause k = 0; k < CLAUSES; k++)
			free(c->runs[i].clauses[k].detail);
		free(c->runs[i].name);
		free(c->runs[i].skipped);
	}
	for (size_t i = 0; i < c->launch_count; i++)
		trial_launch_stop(c->launches[i]);
	free(c->runs);
	*c = (struct guest_check){ 0 };
}
