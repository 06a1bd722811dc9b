/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a guest promised, asked of VMs that are up, however they came to be. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/guest_check.h"
#include "base/clock.h"
#include "base/fs.h"

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

const char *const clause_names[CLAUSES] = {
#define CLAUSE_NAME(sym, text) [CLAUSE_##sym] = (text),
	GUEST_CLAUSES(CLAUSE_NAME)
#undef CLAUSE_NAME
};

void guest_check_judge(struct guest_check_run *r, enum clause c, bool kept, char *detail)
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

static void forget(struct guest_check_run *r, size_t n)
{
	r->len -= n;
	memmove(r->seen, r->seen + n, r->len);
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
			guest_check_judge(r, k, false, xstrdup("the serial line takes no more"));
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
		guest_check_judge(
			r, k, kept,
			kept ? NULL : xasprintf("it sent '%s', %zu bytes; expected %zu", got, r->len, len));
	}
}

/* A guest may speak before it is ready, but the ready line ends what it says. */
bool guest_check_is_ready(struct guest_check_run *r, uint64_t ns)
{
	_cleanup_free_ char *line = xasprintf("MVM %s ready\n", r->image->guest);
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
	unsigned devices = r->launched ? r->launched->devices : r->solo.devices;

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
			guest_check_judge(
				r, ticks ? CLAUSE_RATE : CLAUSE_SLEEPS, kept,
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
	const struct vary *v = &r->launched->vary;
	struct vary_values want = vary_values_of(v, r->vm), got = { 0 };
	_cleanup_err_ error *e = launched_values(r->pid, &got);
	/* wave takes its phase up, and counts on in the lower half of its seed */
	bool plays = r->image->flags & MVM_PARAM_FLAG_TICKS && r->image->flags & MVM_PARAM_FLAG_PHASE;
	bool seed = got.seed == want.seed || (plays && got.seed >> 16 == want.seed >> 16);
	bool phase = got.phase_ms == want.phase_ms || (plays && !got.phase_ms);

	bool moves = r->launched->devices & 1U << DEVICE_DISK;

	if (moves || (e && (e->sys == EACCES || e->sys == EPERM))) {
		r->clauses[CLAUSE_OWN].state = CLAUSE_ELSEWHERE;
		r->clauses[CLAUSE_OWN].detail =
			moves ? xstrdup("it counts on in its seed; other guests show how values get there")
			      : xasprintf("its memory cannot be read here: %s", e->msg);
		return;
	}
	bool own = !e && seed && phase;
	guest_check_judge(r, CLAUSE_OWN, own,
			  own ? NULL
			  : e ? xstrdup(e->msg)
			      : xasprintf("seed %u, phase %u ms; expected %u, %u", got.seed, got.phase_ms,
					  want.seed, want.phase_ms));
}

void guest_check_examine(struct guest_check *c)
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
		if (is_up(&c->runs[i]) && c->runs[i].launched && vary_needed(&c->runs[i].launched->vary))
			compare_values(&c->runs[i]);
}
