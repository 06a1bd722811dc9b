/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_SWAP_H
#define MVM_HOST_SWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "host/settings.h"

/* Swap files are named so, and nothing else is ever removed as one. */
#define SWAP_FILE_PREFIX "/var/tmp/mvmscale-swap."
#define SWAP_ZRAM_PREFIX "/dev/zram"

/* Swap for the length of a run: "SIZE" is a file, "zram:SIZE" a compressed block device in RAM. */
struct swap_spec {
	bool zram;
	uint64_t bytes;
};

/* "2G", "512M", "zram:1G"; sizes as parse_bytes() takes them, 1 MiB to 16 TiB. Pure. */
error *swap_parse(const char *text, struct swap_spec *ret) ERR_MUST_CHECK;

/*
 * The first page of a swap area as Linux reads it (include/linux/swap.h, union swap_header): version 1, no
 * bad pages, "SWAPSPACE2" in its last ten bytes. page_size bytes go to page. Pure.
 */
void swap_header(unsigned char *page, uint32_t page_size, uint64_t bytes, const unsigned char uuid[16]);

/* Its label: the UUID as 32 hexadecimal digits. */
#define SWAP_LABEL_SIZE 33
/* That of a page, "" when it heads no swap area. Pure. */
void swap_label(const unsigned char *page, size_t page_size, char ret[SWAP_LABEL_SIZE]);
/* Whether /proc/swaps lists exactly that file or device, or one of that name that was deleted. Pure. */
enum swap_use { SWAP_UNUSED, SWAP_USED, SWAP_DELETED };
enum swap_use swaps_list(const char *swaps, const char *path);

/*
 * Makes it and takes it into use; needs root. `settings` undoes it, also after a SIGKILL. A file goes to
 * /var/tmp, and only where the file system keeps a tenth free. *ret_path: file or device, owned by the
 * caller.
 */
error *swap_add(struct settings *settings, const struct swap_spec *spec, char **ret_path) ERR_MUST_CHECK;

#endif
