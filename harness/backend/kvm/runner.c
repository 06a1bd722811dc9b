/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event loop of a runner process: who runs, who sleeps, who is asked. */
#include "backend/kvm/runner.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backend/console.h"
#include "backend/kvm/timer_heap.h"
#include "backend/kvm/vm.h"
#include "base/clock.h"
#include "base/util.h"

/* A guest that computes gives way to the others after so long. */
#define SLICE_NS 1000000ULL
#define NOBODY UINT32_MAX
#define LINE_SIZE 128
/* Requests that a guest does not read wait for it up to so many bytes; it is asked no more until then. */
#define INPUT_MOST 1024

enum slot_state { SLOT_FREE, SLOT_WAITS, SLOT_STARTS, SLOT_READY, SLOT_GONE };

struct slot {
	struct kvm_vm vm;
	struct runner *runner;
	uint64_t spawn_ns, deadline_ns, timer_ns; /* timer_ns: when its timer was set to wake it, 0: not */
	uint32_t vm_id, up_us;
	uint32_t next; /* in its queue */
	uint32_t serial;
	uint32_t stale; /* answers still to come to requests that were given up */
	uint8_t state;	/* enum slot_state */
	bool queued, asked;
	uint8_t len;
	char line[LINE_SIZE];
	char *input; /* what it is being sent, NULL when nothing is left */
	size_t input_at;
};

/* Slots in the order in which they came. */
struct queue {
	uint32_t first, last;
};

struct runner {
	const struct kvm_runner_config *cfg;
	struct kvm_host host;
	int fd;
	bool closed;
	uint8_t *memory;
	size_t memory_size; /* of one VM */
	struct slot *slots;
	struct queue woken; /* have an interrupt to serve: brief, so they go first */
	struct queue busy;  /* were preempted */
	struct queue waiting;
	struct timer_heap wakeups;
	unsigned starting;
};

static uint32_t slot_number(const struct slot *s)
{
	return (uint32_t)(s - s->runner->slots);
}

static uint8_t *memory_of(const struct slot *s)
{
	return s->runner->memory + slot_number(s) * s->runner->memory_size;
}

static void queue_add(struct runner *r, struct queue *q, struct slot *s)
{
	uint32_t n = slot_number(s);

	s->next = NOBODY;
	if (q->first == NOBODY)
		q->first = n;
	else
		r->slots[q->last].next = n;
	q->last = n;
}

static struct slot *queue_take(struct runner *r, struct queue *q)
{
	if (q->first == NOBODY)
		return NULL;
	struct slot *s = &r->slots[q->first];
	q->first = s->next;
	return s;
}

static void tell(struct runner *r, const struct kvm_message *m)
{
	while (send(r->fd, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		if (errno != EINTR) {
			r->closed = true;
			return;
		}
}

/* Ends a VM and says why; takes ownership of why. */
static void lose(struct slot *s, error *why)
{
	struct runner *r = s->runner;
	struct kvm_message m = { .op = s->state == SLOT_READY ? KVM_OP_DIED : KVM_OP_FAILED,
				 .slot = slot_number(s),
				 .sys = why->sys };

	if (s->state == SLOT_STARTS)
		r->starting--;
	s->state = SLOT_GONE;
	snprintf(m.text, sizeof(m.text), "%s", why->msg);
	err_free(why);
	kvm_vm_destroy(&r->host, &s->vm);
	/* its memory goes too: nobody else will use this slot */
	madvise(memory_of(s), r->memory_size, MADV_DONTNEED);
	free(s->input);
	s->input = NULL;
	tell(r, &m);
}

static void is_ready(struct slot *s)
{
	uint64_t now = clock_ns();
	struct kvm_message m = { .op = KVM_OP_READY,
				 .slot = slot_number(s),
				 .spawn_ns = s->spawn_ns,
				 .up_us = s->up_us,
				 .ready_us = (uint32_t)((now - s->spawn_ns) / 1000) };

	s->state = SLOT_READY;
	s->runner->starting--;
	memcpy(m.stage_us, s->vm.stage_us, sizeof(m.stage_us));
	tell(s->runner, &m);
}

static void take_line(struct slot *s)
{
	s->line[s->len] = '\0';
	s->len = 0;
	if (s->state == SLOT_STARTS && console_is_ready(s->line, s->runner->cfg->image->guest)) {
		is_ready(s);
	} else if (s->stale) {
		s->stale--;
	} else if (s->asked) {
		struct kvm_message m = { .op = KVM_OP_ANSWER, .slot = slot_number(s), .serial = s->serial };

		s->asked = false;
		snprintf(m.text, sizeof(m.text), "%s", s->line);
		tell(s->runner, &m);
	}
}

static void on_sent(void *user, uint8_t byte)
{
	struct slot *s = user;

	/* a line without end is an answer, too, if a wrong one */
	if (byte == '\n' || (s->len == sizeof(s->line) - 1 && s->state == SLOT_READY))
		take_line(s);
	if (byte != '\n' && s->len < sizeof(s->line) - 1)
		s->line[s->len++] = byte ? (char)byte : '?'; /* nothing may hide behind the end of a string */
}

static int on_next(void *user)
{
	struct slot *s = user;

	if (!s->input)
		return -1;
	uint8_t byte = (uint8_t)s->input[s->input_at++];
	if (!s->input[s->input_at]) {
		free(s->input);
		s->input = NULL;
	}
	return byte;
}

static const struct board_line line_ops = { .sent = on_sent, .next = on_next };

static void wake(struct slot *s)
{
	if (s->queued)
		return;
	s->queued = true;
	queue_add(s->runner, &s->runner->woken, s);
}

static void begin(struct slot *s)
{
	struct runner *r = s->runner;
	struct guest_image image = *r->cfg->image;

	if (vary_needed(r->cfg->vary))
		vary_image(r->cfg->vary, s->vm_id, &image);
	s->state = SLOT_STARTS;
	s->spawn_ns = clock_ns();
	s->deadline_ns = s->spawn_ns + r->cfg->ready_timeout_ns;
	r->starting++;
	error *e = kvm_vm_create(&r->host, memory_of(s), image.bytes, &line_ops, s, &s->vm);
	if (e) {
		lose(s, e);
		return;
	}
	s->up_us = (uint32_t)((clock_ns() - s->spawn_ns) / 1000);
	timer_heap_add(&r->wakeups, s->deadline_ns, slot_number(s));
	wake(s);
}

static void ask(struct slot *s, const struct kvm_message *m)
{
	if (s->state != SLOT_READY)
		return; /* its end was told */
	if (s->input && strlen(s->input + s->input_at) > INPUT_MOST)
		return; /* it does not listen: nobody gets an answer */
	/* a request that nobody waits for any more is still there: this one goes behind it, as does its
	 * answer */
	char *input = xasprintf("%s%s\n", s->input ? s->input + s->input_at : "", m->text);
	free(s->input);
	s->input = input;
	s->input_at = 0;
	s->serial = m->serial;
	s->stale += s->asked;
	s->asked = true;
	if (!s->stale)
		s->len = 0; /* a line begun before is no answer */
	board_receive(&s->vm.board);
	if (pic_pending(&s->vm.board.pic))
		wake(s);
}

static void obey(struct runner *r, struct kvm_message *m)
{
	if (m->slot >= r->cfg->capacity)
		return;
	struct slot *s = &r->slots[m->slot];
	m->text[KVM_TEXT - 1] = '\0';
	switch (m->op) {
	case KVM_OP_START:
		s->runner = r;
		s->vm_id = m->vm;
		s->state = SLOT_WAITS;
		queue_add(r, &r->waiting, s);
		break;
	case KVM_OP_ASK:
		ask(s, m);
		break;
	case KVM_OP_KILL:
		if (s->state == SLOT_READY)
			lose(s, err_new(EXIT_CANNOT, "it was told to die"));
		break;
	default:
		break;
	}
}

/* Takes in what the harness wants, waiting for it until the time given (0: not at all). */
static void listen_until(struct runner *r, uint64_t until_ns)
{
	struct kvm_message m;
	uint64_t now = until_ns ? clock_ns() : 0;

	if (until_ns > now) {
		struct pollfd p = { .fd = r->fd, .events = POLLIN };
		uint64_t ns = until_ns - now;
		struct timespec t = { .tv_sec = (time_t)(ns / 1000000000U),
				      .tv_nsec = (long)(ns % 1000000000U) };

		ppoll(&p, 1, until_ns == UINT64_MAX ? NULL : &t, NULL);
	}
	for (;;) {
		ssize_t n = recv(r->fd, &m, sizeof(m), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(m)) {
			obey(r, &m);
			continue;
		}
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			r->closed = true;
		return;
	}
}

/* Timers of sleeping guests, and guests that take too long to become ready. */
static void expire(struct runner *r, uint64_t now)
{
	struct timer w;

	while (timer_heap_take(&r->wakeups, now, &w)) {
		struct slot *s = &r->slots[w.who];

		if (s->state == SLOT_STARTS && now >= s->deadline_ns) {
			lose(s, err_sys(EXIT_CANNOT, ETIMEDOUT,
					"guest '%s' did not become ready within %.1f s in the KVM runner",
					r->cfg->image->guest, (double)r->cfg->ready_timeout_ns / 1e9));
			continue;
		}
		if (s->timer_ns == w.at_ns)
			s->timer_ns = 0;
		if (s->state != SLOT_STARTS && s->state != SLOT_READY)
			continue;
		board_tick(&s->vm.board, now);
		if (pic_pending(&s->vm.board.pic))
			wake(s);
	}
}

static void set_timer(struct slot *s)
{
	uint64_t at = board_wakes_ns(&s->vm.board);

	if (at == UINT64_MAX || at == s->timer_ns)
		return;
	s->timer_ns = at;
	timer_heap_add(&s->runner->wakeups, at, slot_number(s));
}

static void run_slice(struct runner *r, struct slot *s)
{
	error *why;

	s->queued = false;
	if (s->state == SLOT_GONE)
		return;
	switch (kvm_vm_run(&s->vm, clock_ns() + SLICE_NS, &why)) {
	case KVM_PREEMPTED:
		s->queued = true;
		queue_add(r, &r->busy, s);
		break;
	case KVM_SLEEPS:
		set_timer(s);
		break;
	case KVM_DEAD:
		lose(s, why);
		break;
	}
}

static void loop(struct runner *r)
{
	while (!r->closed) {
		bool runs = r->woken.first != NOBODY || r->busy.first != NOBODY;
		bool starts = r->waiting.first != NOBODY && r->starting < r->cfg->jobs;

		listen_until(r, runs || starts ? 0 : timer_heap_next(&r->wakeups));
		expire(r, clock_ns());
		if (starts)
			begin(queue_take(r, &r->waiting));
		struct slot *s = queue_take(r, &r->woken);
		if (!s)
			s = queue_take(r, &r->busy);
		if (s)
			run_slice(r, s);
	}
}

static error *make_memory(struct runner *r)
{
	r->memory_size = board_memory_size(r->cfg->memory_mb);
	size_t size = r->cfg->capacity * r->memory_size;
	/* one mapping for all: only what a guest touches is there, and KVM_CREATE_VM visits every mapping */
	void *m =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (m == MAP_FAILED)
		return err_sys(EXIT_CANNOT, errno, "cannot map the guests' memory");
	/* a huge page would give 32 guests memory that they never use */
	madvise(m, size, MADV_NOHUGEPAGE);
	r->memory = m;
	return NULL;
}

error *kvm_runner_work(const struct kvm_runner_config *cfg, int socket_fd)
{
	struct runner r = {
		.cfg = cfg,
		.fd = socket_fd,
		.host = { .fd = -1, .memory_mb = cfg->memory_mb, .keep_debugfs = cfg->keep_debugfs },
		.woken = { NOBODY, NOBODY },
		.busy = { NOBODY, NOBODY },
		.waiting = { NOBODY, NOBODY }
	};
	error *e;

	if ((e = kvm_host_open(&r.host)) || (e = kvm_alarm_open()) || (e = make_memory(&r))) {
		kvm_host_close(&r.host);
		return e;
	}
	r.slots = xcalloc(cfg->capacity, sizeof(*r.slots));
	loop(&r);
	/* the process ends: the kernel takes its VMs apart faster than we would one by one */
	return NULL;
}
