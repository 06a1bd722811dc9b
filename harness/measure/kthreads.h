/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MEASURE_KTHREADS_H
#define MVM_MEASURE_KTHREADS_H

/* Kernel threads whose work grows with the population get a class of their own. */
enum kthread_class {
	KTHREAD_KSMD,
	KTHREAD_KDAMOND,
	KTHREAD_KSWAPD,
	KTHREAD_KCOMPACTD,
	KTHREAD_KHUGEPAGED,
	KTHREAD_OTHER,
	KTHREAD_CLASSES
};

struct kthreads;

/* Finds the kernel threads that exist now; call it before there are VMs, for it walks /proc. */
struct kthreads *kthreads_open(void);
/* Nanoseconds on a CPU per class; -1 for a class without threads. Threads that ended keep what they had. */
void kthreads_read(struct kthreads *k, long long ret_ns[KTHREAD_CLASSES]);
void kthreads_close(struct kthreads *k);
/* Pure: "kswapd0" is KTHREAD_KSWAPD. */
enum kthread_class kthread_class_of(const char *comm);

#endif
