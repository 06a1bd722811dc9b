/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One VM on a terminal or socket: what the tests of guests need. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "backend/kvm/runner.h"
#include "backend/kvm/vm.h"
#include "base/clock.h"
#include "base/util.h"

#define SLICE_NS 1000000ULL

struct console {
	int fd;
	bool closed;
	uint8_t in[256];
	size_t in_at, in_len;
};

static void on_sent(void *user, uint8_t byte)
{
	struct console *c = user;

	/* a reader that is slow stops its guest, as a terminal with flow control would */
	while (!c->closed && write(c->fd, &byte, 1) != 1) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };

		if (errno == EAGAIN)
			poll(&p, 1, -1);
		else if (errno != EINTR)
			c->closed = true;
	}
}

static int on_next(void *user)
{
	struct console *c = user;

	return c->in_at < c->in_len ? c->in[c->in_at++] : -1;
}

/* Reads more input once the last was taken, waiting until until_ns (0: not at all). */
static void listen_until(struct console *c, uint64_t until_ns)
{
	struct pollfd p = { .fd = c->fd, .events = c->in_at < c->in_len ? 0 : POLLIN };
	uint64_t now = clock_ns();
	uint64_t ns = until_ns > now ? until_ns - now : 0;
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000U), .tv_nsec = (long)(ns % 1000000000U) };

	if (ppoll(&p, 1, until_ns == UINT64_MAX ? NULL : &t, NULL) <= 0)
		return;
	if (!(p.revents & POLLIN)) {
		c->closed |= (p.revents & (POLLHUP | POLLERR)) != 0;
		return;
	}
	ssize_t n = read(c->fd, c->in, sizeof(c->in));
	c->in_at = 0;
	c->in_len = n > 0 ? (size_t)n : 0;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		c->closed = true;
}

static error *work(struct kvm_vm *vm, struct console *c)
{
	error *why = NULL;
	bool asleep = false;

	while (!c->closed) {
		listen_until(c, asleep ? board_wakes_ns(&vm->board) : 0);
		board_receive(&vm->board);
		board_tick(&vm->board, clock_ns());
		if (asleep && !pic_pending(&vm->board.pic))
			continue;
		enum kvm_outcome how = kvm_vm_run(vm, clock_ns() + SLICE_NS, &why);
		if (how == KVM_DEAD)
			return why;
		asleep = how == KVM_SLEEPS;
	}
	return NULL;
}

error *kvm_console_work(const struct guest_image *image, uint32_t memory_mb, int fd)
{
	static const struct board_line ops = { .sent = on_sent, .next = on_next };
	struct kvm_host host = { .fd = -1, .memory_mb = memory_mb, .keep_debugfs = true };
	size_t size = board_memory_size(memory_mb);
	struct console c = { .fd = fd };
	struct kvm_vm vm;
	error *e;

	if ((e = kvm_host_open(&host)) || (e = kvm_alarm_open()))
		return e;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		kvm_host_close(&host);
		return err_sys(EXIT_CANNOT, errno, "cannot map the guest's memory");
	}
	e = kvm_vm_create(&host, memory, image->bytes, &ops, &c, &vm);
	if (!e) {
		e = work(&vm, &c);
		kvm_vm_destroy(&host, &vm);
	}
	munmap(memory, size);
	kvm_host_close(&host);
	return e;
}
