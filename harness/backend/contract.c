/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/contract.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

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

const char *const clause_names[CLAUSES] = {
#define CLAUSE_NAME(sym, text) [CLAUSE_##sym] = (text),
	CONTRACT_CLAUSES(CLAUSE_NAME)
#undef CLAUSE_NAME
};

static const struct setting {
	const char *machine;
	enum solo_boot boot;
} settings[] = {
	{ "isapc", SOLO_FIRMWARE }, { "microvm", SOLO_FIRMWARE }, { "pc", SOLO_FIRMWARE },
	{ "isapc", SOLO_DISK },	    { "pc", SOLO_DISK },	  { "pc", SOLO_FLOPPY },
};

static void judge(struct contract_run *r, enum clause c, bool kept, char *detail)
{
	r->clauses[c].state = kept ? CLAUSE_KEPT : CLAUSE_BROKEN;
	r->clauses[c].detail = detail;
}

/* Takes what comes until so many bytes are there; false when the time is over, or QEMU is. */
static bool receive(struct contract_run *r, size_t size, uint64_t ns)
{
	uint64_t deadline = clock_ns() + ns;

	while (r->len < size && r->len < sizeof(r->seen)) {
		uint64_t now = clock_ns();
		struct pollfd p = { .fd = r->solo.serial_fd, .events = POLLIN };

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

static void forget(struct contract_run *r, size_t n)
{
	r->len -= n;
	memmove(r->seen, r->seen + n, r->len);
}

/* What came, fit for a message. The caller frees it. */
static char *shown(const struct contract_run *r)
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

static bool is_up(const struct contract_run *r)
{
	return !r->skipped && r->clauses[CLAUSE_READY].state == CLAUSE_KEPT;
}

static uint64_t until(uint64_t deadline)
{
	uint64_t now = clock_ns();

	return now < deadline ? deadline - now : 0;
}

/* It is up, and answers at all: one broken ping is not followed by five more broken clauses. */
static bool can_be_asked(const struct contract_run *r)
{
	return is_up(r) && r->clauses[CLAUSE_PING].state != CLAUSE_BROKEN;
}

/* Sends all of them a request; exactly this must come from each, and nothing after it. */
static void ask(struct contract_check *c, enum clause k, const char *request, size_t size, const char *want)
{
	size_t len = strlen(want);
	uint64_t deadline = clock_ns() + ANSWER_NS;

	for (size_t i = 0; i < c->count; i++) {
		struct contract_run *r = &c->runs[i];

		r->len = 0;
		if (can_be_asked(r) && send(r->solo.serial_fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
			judge(r, k, false, xstrdup("the serial line takes no more"));
	}
	for (size_t i = 0; i < c->count; i++)
		if (can_be_asked(&c->runs[i]))
			receive(&c->runs[i], len, until(deadline));
	/* whatever else there is has come by then */
	clock_sleep_ns(QUIET_NS);
	for (size_t i = 0; i < c->count; i++) {
		struct contract_run *r = &c->runs[i];

		if (!can_be_asked(r) || r->clauses[k].state != CLAUSE_UNTRIED)
			continue;
		bool kept = !receive(r, len + 1, 0) && r->len == len && memcmp(r->seen, want, len) == 0;
		_cleanup_free_ char *got = shown(r);
		judge(r, k, kept,
		      kept ? NULL : xasprintf("it sent '%s', %zu bytes; expected %zu", got, r->len, len));
	}
}

/* A guest may speak before it is ready, but the ready line ends what it says. */
static bool is_ready(struct contract_run *r, uint64_t ns)
{
	_cleanup_free_ char *line = xasprintf("MVM %s ready\n", r->solo.image->guest);
	size_t len = strlen(line);
	uint64_t deadline = clock_ns() + ns;

	for (;;) {
		char *end = r->len ? memchr(r->seen, '\n', r->len) : NULL;
		uint64_t now = clock_ns();

		if (end) {
			size_t n = (size_t)(end - r->seen) + 1;
			bool found = n == len && memcmp(r->seen, line, len) == 0;

			forget(r, n);
			if (found)
				return true;
		} else if (now >= deadline || !receive(r, r->len + 1, deadline - now)) {
			return false;
		}
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

static void talk(struct contract_check *c)
{
	char overlong[LONG_LINE + 1], burst[BURST * 5 + 1] = "", answers[BURST * 5 + 1] = "";

	memset(overlong, 'x', LONG_LINE);
	overlong[LONG_LINE] = '\n';
	for (int i = 0; i < BURST; i++) {
		strcat(burst, "ping\n");
		strcat(answers, "pong\n");
	}
	ask(c, CLAUSE_PING, "ping\n", 5, "pong\n");
	ask(c, CLAUSE_UNKNOWN, "no such request\n", 16, "?\n");
	ask(c, CLAUSE_EMPTY, "\n\r\n\nping\r\n", 10, "pong\n");
	ask(c, CLAUSE_LONG, overlong, sizeof(overlong), "?\n");
	ask(c, CLAUSE_BURST, burst, strlen(burst), answers);
}

static void start(struct contract_run *r)
{
	error *e = solo_power_on(&r->solo);

	if (e)
		judge(r, CLAUSE_READY, false, xstrdup(e->msg));
	err_free(e);
}

static void await_all(struct contract_check *c)
{
	uint64_t deadline = clock_ns() + READY_NS;

	for (size_t i = 0; i < c->count; i++) {
		struct contract_run *r = &c->runs[i];

		if (r->skipped || r->clauses[CLAUSE_READY].state != CLAUSE_UNTRIED)
			continue;
		bool ready = is_ready(r, until(deadline));
		_cleanup_free_ char *said = solo_complaint(&r->solo);
		judge(r, CLAUSE_READY, ready,
		      ready ? NULL
			    : xasprintf("no such line came within %llu s%s", READY_NS / 1000000000, said));
	}
}

/* All of them side by side, once nobody asks anything any more. */
static void watch_all(struct contract_check *c)
{
	long long *before = xcalloc(c->count, sizeof(*before));
	uint64_t start_ns = clock_ns();

	for (size_t i = 0; i < c->count; i++)
		before[i] = is_up(&c->runs[i]) ? count_wakes(c->runs[i].solo.pid) : -1;
	clock_sleep_ns(WATCH_NS);
	double seconds = (double)(clock_ns() - start_ns) / 1e9;
	for (size_t i = 0; i < c->count; i++) {
		struct contract_run *r = &c->runs[i];
		bool ticks = r->solo.image->flags & MVM_PARAM_FLAG_TICKS;
		long long after = is_up(r) ? count_wakes(r->solo.pid) : -1;
		double rate = (double)(after - before[i]) / seconds,
		       most = ticks ? WAKES_TICKING : WAKES_ASLEEP;
		bool kept = after >= 0 && before[i] >= 0 && rate <= most;

		if (is_up(r))
			judge(r, ticks ? CLAUSE_RATE : CLAUSE_SLEEPS, kept,
			      kept ? NULL
				   : xasprintf("QEMU's threads woke %.0f times a second, at most %.0f are "
					       "expected",
					       rate, most));
	}
	free(before);
}

/* /dev/kvm may open and yet carry no guest: a probe tells. NULL when KVM works, else why not. */
static char *kvm_trouble(const struct solo *like)
{
	struct contract_run probe = { .solo = *like };

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return xasprintf("/dev/kvm: %s", strerror(errno));
	probe.solo.machine = solo_machines;
	probe.solo.boot = SOLO_FIRMWARE;
	probe.solo.accel = ACCEL_KVM;
	start(&probe);
	bool works = probe.clauses[CLAUSE_READY].state == CLAUSE_UNTRIED && is_ready(&probe, PROBE_NS);
	solo_close(&probe.solo);
	free(probe.clauses[CLAUSE_READY].detail);
	return works ? NULL
		     : xstrdup("the guest does not get ready under KVM with the toolkit's own firmware");
}

static const struct solo_machine *machine_named(const char *name)
{
	const struct solo_machine *m = solo_machines;

	while (!str_eq(m->name, name))
		m++;
	return m;
}

static void add_runs(const struct solo *like, enum accel a, bool quick, const char *skipped,
		     struct contract_check *c)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (quick && settings[i].boot != SOLO_FIRMWARE)
			continue;
		struct contract_run *r = &c->runs[c->count++];

		r->solo = *like;
		r->solo.machine = machine_named(settings[i].machine);
		r->solo.boot = settings[i].boot;
		r->solo.accel = a;
		r->name = xasprintf("%s, %s, %s", settings[i].machine, solo_boot_names[settings[i].boot],
				    a == ACCEL_KVM ? "KVM" : "TCG");
		r->skipped = skipped ? xstrdup(skipped) : NULL;
	}
}

error *contract_check_image(const struct guest_image *img, const char *qemu, const char *accel, bool quick,
			    struct contract_check *ret)
{
	struct solo like = { .binary = qemu, .image = img, .serial_fd = -1, .log_fd = -1 };
	error *e = solo_devices(img, &like.devices);

	*ret = (struct contract_check){ .runs = xcalloc(2 * ARRAY_LEN(settings), sizeof(*ret->runs)) };
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
	if (img->flags & MVM_PARAM_FLAG_SILENT)
		ask(ret, CLAUSE_SILENT, "ping\n", 5, "");
	else
		talk(ret);
	watch_all(ret);
	if (!(img->flags & MVM_PARAM_FLAG_SILENT))
		ask(ret, CLAUSE_WAKES, "ping\n", 5, "pong\n");
	for (size_t i = 0; i < ret->count; i++)
		solo_close(&ret->runs[i].solo);
	return NULL;
}

void contract_check_clear(struct contract_check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		solo_close(&c->runs[i].solo);
		for (enum clause k = 0; k < CLAUSES; k++)
			free(c->runs[i].clauses[k].detail);
		free(c->runs[i].name);
		free(c->runs[i].skipped);
	}
	free(c->runs);
	*c = (struct contract_check){ 0 };
}
