/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "mvm_contract.h"

#define BOOT_DRIVE 0x80
#define EFLAGS_RESERVED 0x2
#define MOVED_FD 64

static error *cannot(int sys, const char *what)
{
	return err_sys(EXIT_CANNOT, sys, "KVM cannot be used: %s", what);
}

error *kvm_host_open(struct kvm_host *h)
{
	h->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (h->fd < 0)
		return cannot(errno, "/dev/kvm");
	int version = ioctl(h->fd, KVM_GET_API_VERSION, 0);
	int size = ioctl(h->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (version != KVM_API_VERSION || size <= 0 ||
	    ioctl(h->fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0) {
		kvm_host_close(h);
		return err_new(
			EXIT_CANNOT,
			"KVM cannot be used: this kernel's is too old (API version %d, or no KVM_CAP_IMMEDIATE_EXIT; Linux 4.13 has both)",
			version);
	}
	h->run_size = (size_t)size;
	return NULL;
}

void kvm_host_close(struct kvm_host *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

/* The run page whose KVM_RUN an alarm ends. Written between runs only, read by the handler. */
static struct kvm_run *volatile alarmed;
static timer_t alarm_timer;
static bool alarm_is_set;

static void on_alarm(int sig)
{
	struct kvm_run *r = alarmed;

	(void)sig;
	/* caught just before KVM_RUN it would change nothing; this makes it return at once */
	if (r)
		__atomic_store_n(&r->immediate_exit, 1, __ATOMIC_RELAXED);
}

error *kvm_alarm_open(void)
{
	struct sigaction sa = { .sa_handler = on_alarm }; /* no SA_RESTART: KVM_RUN must return */
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigaction(SIGUSR1, &sa, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ||
	    timer_create(CLOCK_MONOTONIC, &ev, &alarm_timer) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot make a timer to preempt guests with");
	return NULL;
}

static void alarm_at(uint64_t ns)
{
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)(ns / 1000000000U),
					      .tv_nsec = (long)(ns % 1000000000U) } };

	timer_settime(alarm_timer, TIMER_ABSTIME, &t, NULL);
	alarm_is_set = true;
}

/* One left over from a VM that fell asleep would interrupt KVM_CREATE_VM, which does not begin again. */
static void alarm_off(void)
{
	static const struct itimerspec never;

	if (alarm_is_set)
		timer_settime(alarm_timer, 0, &never, NULL);
	alarm_is_set = false;
}

/* At 0000:7C00 in real mode, as firmware enters a boot sector. */
static int set_registers(const struct kvm_vm *vm)
{
	struct kvm_sregs s;
	struct kvm_regs r = {
		.rip = MVM_LOAD_ADDRESS, .rsp = MVM_LOAD_ADDRESS, .rdx = BOOT_DRIVE, .rflags = EFLAGS_RESERVED
	};

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &s) < 0)
		return -1;
	/* after reset only CS is not that of segment 0 */
	s.cs.base = 0;
	s.cs.selector = 0;
	return ioctl(vm->vcpu_fd, KVM_SET_SREGS, &s) < 0 ? -1 : ioctl(vm->vcpu_fd, KVM_SET_REGS, &r);
}

/*
 * KVM makes a folder of some eighty files below debugfs for every VM, named by process and descriptor,
 * and goes without where that name is taken: by the VM that was created under the same number before. So
 * descriptors are moved up, and the number is free again.
 */
static int moved_up(const struct kvm_host *h, int fd)
{
	if (fd < 0 || h->keep_debugfs)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, MOVED_FD), sys = errno;
	close(fd);
	errno = sys;
	return moved;
}

static float since(uint64_t *mark)
{
	uint64_t now = clock_ns(), before = *mark;

	*mark = now;
	return (float)((double)(now - before) / 1000);
}

static int set_memory(const struct kvm_host *h, const struct kvm_vm *vm, uint8_t *memory)
{
	struct board_slot slots[2];
	unsigned n = board_slots(h->memory_mb, slots);

	for (unsigned i = 0; i < n; i++) {
		struct kvm_userspace_memory_region ram = {
			.slot = i,
			.guest_phys_addr = slots[i].guest,
			.memory_size = slots[i].size,
			.userspace_addr = (uintptr_t)memory + slots[i].offset,
		};
		if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &ram) < 0)
			return -1;
	}
	return 0;
}

/* The steps of the start, each with the time that the kernel took. Returns the name of the one that failed.
 */
static const char *build(const struct kvm_host *h, uint8_t *memory, const unsigned char *image,
			 const struct board_line *line, void *user, struct kvm_vm *vm)
{
	uint64_t mark = clock_ns();

	if ((vm->vm_fd = moved_up(h, ioctl(h->fd, KVM_CREATE_VM, 0))) < 0)
		return "KVM_CREATE_VM";
	vm->stage_us[BACKEND_STAGE_CREATE_VM] = since(&mark);
	if ((vm->vcpu_fd = moved_up(h, ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0))) < 0)
		return "KVM_CREATE_VCPU";
	vm->stage_us[BACKEND_STAGE_CREATE_VCPU] = since(&mark);
	void *run = mmap(NULL, h->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return "mapping a vCPU";
	vm->run = run;
	board_boot(&vm->board, memory, image, line, user);
	if (set_memory(h, vm, memory) < 0)
		return "KVM_SET_USER_MEMORY_REGION";
	if (set_registers(vm) < 0)
		return "setting a vCPU's registers";
	vm->stage_us[BACKEND_STAGE_SETUP] = since(&mark);
	return NULL;
}

error *kvm_vm_create(const struct kvm_host *h, uint8_t *memory, const unsigned char *image,
		     const struct board_line *line, void *user, struct kvm_vm *ret)
{
	*ret = (struct kvm_vm){ .vm_fd = -1, .vcpu_fd = -1 };
	alarm_off();
	const char *failed = build(h, memory, image, line, user, ret);
	if (!failed)
		return NULL;
	int sys = errno;
	kvm_vm_destroy(h, ret);
	return cannot(sys, failed);
}

void kvm_vm_destroy(const struct kvm_host *h, struct kvm_vm *vm)
{
	if (alarmed == vm->run)
		alarmed = NULL;
	if (vm->run)
		munmap(vm->run, h->run_size);
	if (vm->vcpu_fd >= 0)
		close(vm->vcpu_fd);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	vm->run = NULL;
	vm->vm_fd = vm->vcpu_fd = -1;
}

static void serve_ports(struct kvm_vm *vm)
{
	const struct kvm_run *r = vm->run;
	uint8_t *data = (uint8_t *)vm->run + r->io.data_offset;
	uint64_t now = clock_ns();

	/* a word goes to two neighbouring ports */
	for (uint32_t i = 0; i < r->io.count; i++)
		for (uint8_t k = 0; k < r->io.size; k++, data++) {
			uint16_t port = (uint16_t)(r->io.port + k);

			if (r->io.direction == KVM_EXIT_IO_OUT)
				board_out(&vm->board, port, *data, now);
			else
				*data = board_in(&vm->board, port, now);
		}
}

/* Where no memory is: an empty bus. */
static void serve_memory(struct kvm_vm *vm)
{
	if (!vm->run->mmio.is_write)
		memset(vm->run->mmio.data, 0xFF, sizeof(vm->run->mmio.data));
}

/* What KVM says when it cannot go on. */
static error *trouble(const struct kvm_run *r)
{
	switch (r->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		return err_new(EXIT_CANNOT, "triple fault: the guest shut its CPU down");
	case KVM_EXIT_FAIL_ENTRY:
		return err_new(EXIT_CANNOT, "the CPU refuses to enter the guest (reason 0x%llx)",
			       (unsigned long long)r->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return err_new(EXIT_CANNOT, "internal error of KVM (suberror %u%s)", r->internal.suberror,
			       r->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
				       ? ": an instruction that it cannot emulate"
				       : "");
	default:
		return err_new(EXIT_CANNOT, "KVM stopped the guest for reason %u", r->exit_reason);
	}
}

/* Hands the PIC's request to the CPU, or asks KVM to return when the CPU can take it. */
static error *offer_interrupt(struct kvm_vm *vm)
{
	struct kvm_run *r = vm->run;
	bool wanted = pic_pending(&vm->board.pic);

	r->request_interrupt_window = 0;
	if (!wanted)
		return NULL;
	if (!r->ready_for_interrupt_injection || !r->if_flag) {
		r->request_interrupt_window = 1;
		return NULL;
	}
	struct kvm_interrupt vector = { .irq = pic_acknowledge(&vm->board.pic) };
	if (ioctl(vm->vcpu_fd, KVM_INTERRUPT, &vector) < 0)
		return cannot(errno, "KVM_INTERRUPT");
	/* more may wait behind this one */
	r->request_interrupt_window = pic_pending(&vm->board.pic);
	return NULL;
}

/* After a halt: false when it goes on at once. */
static bool sleeps(struct kvm_vm *vm, error **ret_why)
{
	board_tick(&vm->board, clock_ns());
	if (!vm->run->if_flag) {
		*ret_why = err_new(EXIT_CANNOT, "the guest halted with interrupts off: nothing can wake it");
		return true;
	}
	return !pic_pending(&vm->board.pic);
}

static int enter(struct kvm_vm *vm)
{
	uint64_t mark = vm->ran ? 0 : clock_ns();
	int n = ioctl(vm->vcpu_fd, KVM_RUN, 0);

	if (!vm->ran) {
		int sys = errno;

		vm->stage_us[BACKEND_STAGE_FIRST_RUN] = since(&mark);
		vm->ran = true;
		errno = sys;
	}
	return n;
}

/* Deals with what KVM_RUN returned with; true when the VM sleeps. */
static bool serve(struct kvm_vm *vm, error **ret_why)
{
	switch (vm->run->exit_reason) {
	case KVM_EXIT_IO:
		serve_ports(vm);
		if (vm->board.reset)
			*ret_why = err_new(EXIT_CANNOT, "the guest reset the machine");
		return false;
	case KVM_EXIT_HLT:
		return sleeps(vm, ret_why);
	case KVM_EXIT_MMIO:
		serve_memory(vm);
		return false;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_INTR:
		return false;
	default:
		*ret_why = trouble(vm->run);
		return false;
	}
}

enum kvm_outcome kvm_vm_run(struct kvm_vm *vm, uint64_t deadline_ns, error **ret_why)
{
	uint64_t set = 0;

	*ret_why = NULL;
	alarmed = vm->run;
	for (;;) {
		uint64_t now = clock_ns();

		board_tick(&vm->board, now);
		if (now >= deadline_ns)
			return KVM_PREEMPTED;
		/* a guest that computes is left for its timer too */
		uint64_t next = MIN(deadline_ns, MAX(board_wakes_ns(&vm->board), now + 1));
		if (next != set)
			alarm_at(set = next);
		if ((*ret_why = offer_interrupt(vm)))
			return KVM_DEAD;
		int n = enter(vm);
		if (n < 0 && errno == EINTR) {
			vm->run->immediate_exit = 0;
			set = 0;
			continue;
		}
		if (n < 0) {
			*ret_why = cannot(errno, "KVM_RUN");
			return KVM_DEAD;
		}
		bool asleep = serve(vm, ret_why);
		if (*ret_why)
			return KVM_DEAD;
		if (asleep)
			return KVM_SLEEPS;
	}
}
