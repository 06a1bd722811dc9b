/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What differs between copies of one guest: the seed and the phase in the parameter block. The block
 * is found once, in the template; every copy writes its own values before anything of it runs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mvm_contract.h"
#include "preload/zygote.h"

/* QEMU lays guest memory at multiples of this (QEMU_VMALLOC_ALIGN), for huge pages' sake. */
#define RAM_ALIGN 0x200000UL
#define BLOCK_AT (MVM_LOAD_ADDRESS + MVM_PARAM_OFFSET)
#define RAM_NEEDED (MVM_LOAD_ADDRESS + MVM_IMAGE_SIZE)

static unsigned char *block;

/* Does guest memory with a boot sector of the toolkit's begin here? */
static bool is_ram(const unsigned char *p)
{
	const uint32_t magic = MVM_PARAM_MAGIC;
	const uint16_t signature = MVM_SIGNATURE;

	return memcmp(p + BLOCK_AT + MVM_PARAM_OFF_MAGIC, &magic, sizeof(magic)) == 0 &&
	       p[BLOCK_AT + MVM_PARAM_OFF_VERSION] == MVM_PARAM_VERSION &&
	       memcmp(p + MVM_LOAD_ADDRESS + MVM_SIGNATURE_OFFSET, &signature, sizeof(signature)) == 0;
}

/* In one mapping: at its start, and at every aligned address. One page of each is touched. */
static void search(uintptr_t from, uintptr_t to, unsigned *found)
{
	uintptr_t at = from;

	while (at + RAM_NEEDED <= to) {
		unsigned char *p = (unsigned char *)at; /* NOLINT(performance-no-int-to-ptr) */

		if (is_ram(p)) {
			block = p + BLOCK_AT;
			(*found)++;
		}
		at = (at + RAM_ALIGN) & ~(RAM_ALIGN - 1);
	}
}

bool patch_find(char *refusal, size_t size)
{
	char line[512];
	unsigned found = 0;

	if (block)
		return true;
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		char *rest, *perms;
		uintptr_t from = strtoul(line, &rest, 16);
		uintptr_t to = *rest == '-' ? strtoul(rest + 1, &perms, 16) : 0;

		/* anonymous memory that can be written: no file, and no name but an anonymous one's */
		if (to && strncmp(perms, " rw-p", 5) == 0 && !strchr(perms, '/'))
			search(from, to, &found);
	}
	if (maps)
		fclose(maps);
	if (found == 1)
		return true;
	block = NULL;
	snprintf(refusal, size, "the guest's parameter block was found %u times in its memory, not once",
		 found);
	return false;
}

void patch_apply(uint32_t seed, uint32_t phase_ms)
{
	memcpy(block + MVM_PARAM_OFF_SEED, &seed, sizeof(seed));
	memcpy(block + MVM_PARAM_OFF_PHASE, &phase_ms, sizeof(phase_ms));
}
