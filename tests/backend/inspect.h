/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_TEST_INSPECT_H
#define MVM_TEST_INSPECT_H

/* What the kernel says of a VM's process, and what is in its memory. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the guest's sector stands, as at 0000:7C00, in memory that is private and may be written; 0: nowhere.
 */
uint64_t inspect_find(const unsigned char *sector, pid_t pid);
bool inspect_poke(pid_t pid, uint64_t at, unsigned char value);
/* The byte there, -1 of none. */
int inspect_peek(pid_t pid, uint64_t at);
/* Some of its memory has that policy ("bind:0"). */
bool inspect_policy(pid_t pid, const char *wanted);
/* All its threads may use that CPU and no other. */
bool inspect_is_on(pid_t pid, int cpu);

#endif
