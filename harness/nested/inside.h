/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_INSIDE_H
#define MVM_NESTED_INSIDE_H

/* Places in the initramfs that both sides know. */
#define INSIDE_PROGRAM "/bin/mvmscale"
#define INSIDE_OPTIONS "/options" /* options of run, one a line */
#define INSIDE_MODULES "/modules" /* name.ko, and "order": the names in the order to load them */
#define INSIDE_RUN "/result/run"
#define INSIDE_STATUS "/result/status" /* exit status of the run */
/* What comes over the second serial line ends the run, as Ctrl-C does. */
#define INSIDE_END "e"

/*
 * The first process under the kernel that is tested: mounts what a run needs, makes the run, writes it to
 * the second serial port, and restarts the machine, which ends its QEMU. Never returns. What it writes are
 * archives one after the other: what is new, whenever an interval is complete, and at the end with the exit
 * status. So a kernel that dies on the way takes no more than an interval with it.
 */
void inside_main(void) __attribute__((noreturn));

#endif
