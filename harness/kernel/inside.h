/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_KERNEL_INSIDE_H
#define MVM_KERNEL_INSIDE_H

/* Places in the initramfs that both sides know. */
#define INSIDE_PROGRAM "/bin/mvmscale"
#define INSIDE_OPTIONS "/options" /* options of run, one a line */
#define INSIDE_MODULES "/modules" /* NN-name.ko, loaded in order */
#define INSIDE_RUN "/result/run"
#define INSIDE_STATUS "/result/status" /* exit status of the run */

/*
 * The first process under the kernel that is tested: mounts what a run needs, makes the run, writes it as an
 * archive to the second serial port, and restarts the machine, which ends its QEMU. Never returns.
 */
void inside_main(void) __attribute__((noreturn));

#endif
