/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A KVM VM belongs to one address space: a copy of the process cannot use the template's. So
 * QEMU's KVM calls are watched, and each copy makes a KVM VM of its own under the same descriptor
 * numbers: the calls that shaped the template's VM are made again in their order, then the state of its
 * halted vCPU and of the kernel's interrupt controllers and timer is put in. Guest memory is the copy's own
 * already. Documentation/virt/kvm/api.rst of the kernel describes every call.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "preload/zygote.h"

#define MAX_CALLS 512
#define MAX_PAYLOAD 16384
/* What QEMU reads of kvm_run after a call that was interrupted; the rest it writes before the next. */
#define RUN_BYTES 512
#define PIC_MASTER 0
#define CHIPS 3 /* two PICs and an IOAPIC */
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_MASKED (1U << 16)
#define LAPIC_INITIAL_COUNT 0x380

enum replay { REPLAY_NOT, REPLAY_ALL, REPLAY_LAST, REPLAY_KEYED, REPLAY_UNDO, REPLAY_REFUSE };

/* How a call is treated: key_bytes of its argument tell which earlier one it replaces or undoes. */
struct rule {
	unsigned long request, undoes;
	enum replay replay;
	unsigned short key_bytes;
	bool by_value; /* the argument is a number, not a pointer */
};

static const struct rule vm_rules[] = {
	{ KVM_CREATE_VCPU, 0, REPLAY_ALL, 0, true },
	{ KVM_SET_TSS_ADDR, 0, REPLAY_LAST, 0, true },
	{ KVM_SET_BOOT_CPU_ID, 0, REPLAY_LAST, 0, true },
	{ KVM_SET_IDENTITY_MAP_ADDR, 0, REPLAY_LAST, 0, false },
	{ KVM_CREATE_IRQCHIP, 0, REPLAY_LAST, 0, true },
	{ KVM_CREATE_PIT2, 0, REPLAY_LAST, 0, false },
	{ KVM_REINJECT_CONTROL, 0, REPLAY_LAST, 0, false },
	{ KVM_ENABLE_CAP, 0, REPLAY_KEYED, 4, false },
	{ KVM_SET_GSI_ROUTING, 0, REPLAY_LAST, 0, false },
	{ KVM_SET_USER_MEMORY_REGION, 0, REPLAY_KEYED, 4, false },
	{ KVM_IRQFD, 0, REPLAY_KEYED, 8, false },
	{ KVM_IOEVENTFD, 0, REPLAY_KEYED, 24, false },
	{ KVM_REGISTER_COALESCED_MMIO, 0, REPLAY_KEYED, 16, false },
	{ KVM_UNREGISTER_COALESCED_MMIO, KVM_REGISTER_COALESCED_MMIO, REPLAY_UNDO, 16, false },
	{ KVM_CREATE_DEVICE, 0, REPLAY_REFUSE, 0, false },
#ifdef KVM_SET_USER_MEMORY_REGION2
	{ KVM_SET_USER_MEMORY_REGION2, 0, REPLAY_KEYED, 4, false },
#endif
	{ KVM_X86_SET_MSR_FILTER, 0, REPLAY_LAST, 0, false },
#ifdef KVM_MEMORY_ENCRYPT_OP
	{ KVM_MEMORY_ENCRYPT_OP, 0, REPLAY_REFUSE, 0, false },
#endif
};

static const struct rule vcpu_rules[] = {
	{ KVM_SET_CPUID2, 0, REPLAY_LAST, 0, false },
	{ KVM_ENABLE_CAP, 0, REPLAY_KEYED, 4, false },
	{ KVM_TPR_ACCESS_REPORTING, 0, REPLAY_LAST, 0, false },
	{ KVM_SET_TSC_KHZ, 0, REPLAY_LAST, 0, true },
	{ KVM_X86_SETUP_MCE, 0, REPLAY_LAST, 0, false },
	{ KVM_SET_SIGNAL_MASK, 0, REPLAY_LAST, 0, false },
};

struct call {
	const struct rule *rule;
	bool vcpu;
	unsigned long value; /* by_value */
	size_t size;
	unsigned char *data; /* else */
};

static int (*real_ioctl)(int, unsigned long, ...);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct call calls[MAX_CALLS];
static unsigned call_count;
static int kvm_fd = -1, vm_fd = -1, vcpu_fd = -1;
static unsigned long vm_type, run_bytes;
static unsigned vcpus, lost_request;
static void *run_page;
/* read in the park handler: must need no allocation there */
static __thread int in_run __attribute__((tls_model("initial-exec")));

/* The template's state while it is stopped. */
static struct {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_lapic_state lapic;
	struct kvm_irqchip chips[CHIPS];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	bool has_xcrs, has_lapic, has_chips, has_pit, has_clock;
	unsigned char run[RUN_BYTES];
} state;
static struct kvm_msrs *msrs;
static bool msrs_tried; /* those that this vCPU does not have are out */

static size_t bitmaps_size(const struct kvm_msr_filter *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++)
		n += (f->ranges[i].nmsrs + 7) / 8;
	return n;
}

/* Bytes of the argument, whose length may stand in itself. */
static size_t payload(unsigned long request, const void *arg)
{
	if (request == KVM_SET_CPUID2)
		return sizeof(struct kvm_cpuid2) +
		       ((const struct kvm_cpuid2 *)arg)->nent * sizeof(struct kvm_cpuid_entry2);
	if (request == KVM_SET_GSI_ROUTING)
		return sizeof(struct kvm_irq_routing) +
		       ((const struct kvm_irq_routing *)arg)->nr * sizeof(struct kvm_irq_routing_entry);
	if (request == KVM_SET_SIGNAL_MASK)
		return sizeof(struct kvm_signal_mask) + ((const struct kvm_signal_mask *)arg)->len;
	if (request == KVM_X86_SET_MSR_FILTER)
		return sizeof(struct kvm_msr_filter) + bitmaps_size(arg);
	return _IOC_SIZE(request);
}

/* The argument as it must be kept: bitmaps that it points to stand behind it. */
static void keep(unsigned long request, unsigned char *to, const void *arg, size_t size)
{
	const struct kvm_msr_filter *from = arg;
	struct kvm_msr_filter *f = (void *)to;
	unsigned char *bits = to + sizeof(*f);

	if (request != KVM_X86_SET_MSR_FILTER) {
		memcpy(to, arg, size);
		return;
	}
	*f = *from;
	for (unsigned i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		size_t n = (from->ranges[i].nmsrs + 7) / 8;

		if (!n)
			continue;
		f->ranges[i].bitmap = memcpy(bits, from->ranges[i].bitmap, n);
		bits += n;
	}
}

static const struct rule *find_rule(unsigned long request, bool vcpu)
{
	const struct rule *rules = vcpu ? vcpu_rules : vm_rules;
	size_t n = vcpu ? sizeof(vcpu_rules) / sizeof(*rules) : sizeof(vm_rules) / sizeof(*rules);

	for (size_t i = 0; i < n; i++)
		if (rules[i].request == request)
			return &rules[i];
	return NULL;
}

static void drop_call(unsigned i)
{
	free(calls[i].data);
	memmove(&calls[i], &calls[i + 1], (--call_count - i) * sizeof(calls[0]));
}

/* Takes out what the new call makes obsolete. */
static void supersede(const struct rule *r, bool vcpu, const void *arg)
{
	unsigned long request = r->undoes ? r->undoes : r->request;

	for (unsigned i = 0; i < call_count; i++) {
		const struct call *c = &calls[i];
		bool same = c->vcpu == vcpu && c->rule->request == request;

		if (same && (r->replay == REPLAY_LAST || memcmp(c->data, arg, r->key_bytes) == 0))
			drop_call(i--);
	}
}

/* A deletion leaves nothing to be made again: a slot of no size, a descriptor that is taken back. */
static bool takes_away(unsigned long request, const void *arg)
{
	if (request == KVM_SET_USER_MEMORY_REGION)
		return ((const struct kvm_userspace_memory_region *)arg)->memory_size == 0;
#ifdef KVM_SET_USER_MEMORY_REGION2
	if (request == KVM_SET_USER_MEMORY_REGION2)
		return ((const struct kvm_userspace_memory_region2 *)arg)->memory_size == 0;
#endif
	if (request == KVM_IRQFD)
		return ((const struct kvm_irqfd *)arg)->flags & KVM_IRQFD_FLAG_DEASSIGN;
	if (request == KVM_IOEVENTFD)
		return ((const struct kvm_ioeventfd *)arg)->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	return false;
}

static void record(unsigned long request, bool vcpu, void *arg)
{
	const struct rule *r = find_rule(request, vcpu);

	if (!r)
		return;
	if (r->replay == REPLAY_REFUSE) {
		lost_request = _IOC_NR(request);
		return;
	}
	if (r->replay != REPLAY_ALL)
		supersede(r, vcpu, arg);
	if (r->replay == REPLAY_UNDO || (!r->by_value && takes_away(request, arg)))
		return;
	size_t size = r->by_value ? 0 : payload(request, arg);
	struct call c = { .rule = r, .vcpu = vcpu, .value = (unsigned long)arg, .size = size };
	if (call_count == MAX_CALLS || size > MAX_PAYLOAD || (size && !(c.data = malloc(size)))) {
		lost_request = _IOC_NR(request);
		return;
	}
	if (size)
		keep(request, c.data, arg, size);
	calls[call_count++] = c;
}

static void watch(int fd, unsigned long request, void *arg, int result)
{
	pthread_mutex_lock(&lock);
	if (request == KVM_CREATE_VM) {
		kvm_fd = fd;
		vm_fd = result;
		vm_type = (unsigned long)arg;
	} else if (fd == vm_fd) {
		record(request, false, arg);
		if (request == KVM_CREATE_VCPU) {
			vcpu_fd = result;
			vcpus++;
		}
	} else if (fd == vcpu_fd) {
		record(request, true, arg);
	}
	if (request == KVM_GET_VCPU_MMAP_SIZE)
		run_bytes = (unsigned long)result;
	pthread_mutex_unlock(&lock);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	va_start(ap, request);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if (!real_ioctl)
		real_ioctl = (__typeof__(real_ioctl))dlsym(RTLD_NEXT, "ioctl");
	if (_IOC_TYPE(request) != KVMIO)
		return real_ioctl(fd, request, arg);
	bool run = request == KVM_RUN;
	in_run = run;
	int r = real_ioctl(fd, request, arg);
	in_run = 0;
	if (!run && r >= 0 && zygote_watches_kvm()) {
		int saved = errno;

		watch(fd, request, arg, r);
		errno = saved;
	}
	return r;
}

/* QEMU maps kvm_run once per vCPU; where, only it knows. */
EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *p = (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);

	if (fd >= 0 && fd == vcpu_fd && offset == 0 && p != MAP_FAILED)
		run_page = p;
	return p;
}
EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

bool kvm_thread_runs_guest(void)
{
	return in_run;
}

bool kvm_present(void)
{
	return vm_fd >= 0;
}

static bool get(int fd, unsigned long request, void *arg)
{
	return real_ioctl(fd, request, arg) >= 0;
}

/* Which MSRs KVM knows, into msrs; false if they cannot be had. Allocates: see kvm_prepare(). */
static bool list_msrs(void)
{
	struct kvm_msr_list head = { .nmsrs = 0 };

	real_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &head); /* E2BIG, and the number */
	struct kvm_msr_list *list = malloc(sizeof(*list) + head.nmsrs * sizeof(__u32));
	msrs = calloc(1, sizeof(*msrs) + head.nmsrs * sizeof(struct kvm_msr_entry));
	if (list)
		list->nmsrs = head.nmsrs;
	bool ok = list && msrs && get(kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
	for (unsigned i = 0; ok && i < list->nmsrs; i++)
		msrs->entries[msrs->nmsrs++].index = list->indices[i];
	if (!ok) {
		free(msrs);
		msrs = NULL;
	}
	free(list);
	return ok;
}

/* Leaves in msrs those that this vCPU has. Others its model does not have, or they cannot be written: a
   copy has them as they are. One that failed in a copy would end the list there. */
static void keep_writable_msrs(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < msrs->nmsrs; i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} one = { .head.nmsrs = 1, .entry.index = msrs->entries[i].index };

		if (real_ioctl(vcpu_fd, KVM_GET_MSRS, &one) == 1 &&
		    real_ioctl(vcpu_fd, KVM_SET_MSRS, &one) == 1)
			msrs->entries[n++].index = one.entry.index;
	}
	msrs->nmsrs = n;
	msrs_tried = true;
}

bool kvm_prepare(char *refusal, size_t size)
{
	if (!kvm_present() || msrs || list_msrs())
		return true;
	snprintf(refusal, size, "its MSRs cannot be listed");
	return false;
}

static bool capture_chips(void)
{
	state.has_chips = true;
	for (unsigned i = 0; i < CHIPS; i++) {
		state.chips[i].chip_id = i;
		state.has_chips &= get(vm_fd, KVM_GET_IRQCHIP, &state.chips[i]);
	}
	state.has_pit = state.has_chips && get(vm_fd, KVM_GET_PIT2, &state.pit);
	state.has_lapic = get(vcpu_fd, KVM_GET_LAPIC, &state.lapic);
	state.has_clock = get(vm_fd, KVM_GET_CLOCK, &state.clock);
	return true;
}

bool kvm_capture(char *refusal, size_t size)
{
	if (!kvm_present())
		return true;
	if (vcpus != 1 || !run_page || !run_bytes)
		snprintf(refusal, size, "its KVM VM has %u vCPUs, one can be copied", vcpus);
	else if (lost_request)
		snprintf(refusal, size, "KVM call 0x%x has no copy", lost_request);
	if (*refusal)
		return false;
	if (!msrs_tried)
		keep_writable_msrs();
	bool ok = get(vcpu_fd, KVM_GET_MP_STATE, &state.mp) && get(vcpu_fd, KVM_GET_REGS, &state.regs) &&
		  get(vcpu_fd, KVM_GET_SREGS, &state.sregs) && get(vcpu_fd, KVM_GET_XSAVE, &state.xsave) &&
		  get(vcpu_fd, KVM_GET_DEBUGREGS, &state.debug) &&
		  get(vcpu_fd, KVM_GET_VCPU_EVENTS, &state.events) &&
		  real_ioctl(vcpu_fd, KVM_GET_MSRS, msrs) == (int)msrs->nmsrs && capture_chips();
	state.has_xcrs = get(vcpu_fd, KVM_GET_XCRS, &state.xcrs);
	memcpy(state.run, run_page, RUN_BYTES);
	if (!ok)
		snprintf(refusal, size, "the state of its vCPU cannot be read (errno %d)", errno);
	return !*refusal;
}

bool kvm_halted(void)
{
	return !kvm_present() || !state.has_lapic || state.mp.mp_state == KVM_MP_STATE_HALTED;
}

/* Registers of the local APIC (Intel SDM volume 3, chapter 11). */
static unsigned lapic_register(unsigned offset)
{
	unsigned v;

	memcpy(&v, &state.lapic.regs[offset], sizeof(v));
	return v;
}

bool kvm_sleeps(void)
{
	bool lapic_timer =
		!(lapic_register(LAPIC_LVT_TIMER) & LAPIC_MASKED) && lapic_register(LAPIC_INITIAL_COUNT);
	/* The PIT's line is masked at the PIC. Where the kernel has no PIC, QEMU has both: its timers are
	   seen where it waits for them. */
	bool pit = state.has_chips && !(state.chips[PIC_MASTER].chip.pic.imr & 1);

	return !kvm_present() ||
	       (state.has_lapic && state.mp.mp_state == KVM_MP_STATE_HALTED && !lapic_timer && !pit);
}

static bool put(int fd, unsigned long request, const void *arg)
{
	return syscall(SYS_ioctl, fd, request, arg) >= 0;
}

/* New under the old number. */
static bool take_number(long fresh, int number)
{
	if (fresh < 0 || syscall(SYS_dup3, fresh, number, O_CLOEXEC) < 0)
		return false;
	syscall(SYS_close, fresh);
	return true;
}

static bool make_vcpu(unsigned long id)
{
	if (!take_number(syscall(SYS_ioctl, vm_fd, KVM_CREATE_VCPU, id), vcpu_fd))
		return false;
	long p = syscall(SYS_mmap, run_page, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 vcpu_fd, 0);
	if (p != (long)run_page)
		return false;
	memcpy(run_page, state.run, RUN_BYTES);
	return true;
}

static bool make_vm(void)
{
	if (!take_number(syscall(SYS_ioctl, kvm_fd, KVM_CREATE_VM, vm_type), vm_fd))
		return false;
	for (unsigned i = 0; i < call_count; i++) {
		const struct call *c = &calls[i];
		int fd = c->vcpu ? vcpu_fd : vm_fd;
		const void *arg = c->data ? (void *)c->data : (void *)c->value;

		if (c->rule->request == KVM_CREATE_VCPU ? !make_vcpu(c->value)
							: !put(fd, c->rule->request, arg))
			return false;
	}
	return true;
}

static bool put_state(void)
{
	bool ok = put(vcpu_fd, KVM_SET_SREGS, &state.sregs) && put(vcpu_fd, KVM_SET_REGS, &state.regs) &&
		  put(vcpu_fd, KVM_SET_XSAVE, &state.xsave) &&
		  (!state.has_xcrs || put(vcpu_fd, KVM_SET_XCRS, &state.xcrs)) &&
		  put(vcpu_fd, KVM_SET_DEBUGREGS, &state.debug) && put(vcpu_fd, KVM_SET_MSRS, msrs);

	for (unsigned i = 0; ok && state.has_chips && i < CHIPS; i++)
		ok = put(vm_fd, KVM_SET_IRQCHIP, &state.chips[i]);
	return ok && (!state.has_lapic || put(vcpu_fd, KVM_SET_LAPIC, &state.lapic)) &&
	       (!state.has_pit || put(vm_fd, KVM_SET_PIT2, &state.pit)) &&
	       (!state.has_clock || put(vm_fd, KVM_SET_CLOCK, &state.clock)) &&
	       put(vcpu_fd, KVM_SET_VCPU_EVENTS, &state.events) && put(vcpu_fd, KVM_SET_MP_STATE, &state.mp);
}

bool kvm_renew(void)
{
	return !kvm_present() || (make_vm() && put_state());
}
