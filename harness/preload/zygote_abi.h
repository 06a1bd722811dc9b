/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_PRELOAD_ZYGOTE_ABI_H
#define MVM_PRELOAD_ZYGOTE_ABI_H

/*
 * Both sides of the talk between the harness and the library that it loads into a
 * template QEMU. The channel is a SOCK_SEQPACKET socket pair; one packet each way per
 * batch. The template never speaks unasked.
 */

#include <stdint.h>

/* "MODE CONTROL_FD CONSOLE_FD FLAGS" in the template's environment; without it the library does nothing. */
#define ZYGOTE_ENV "MVMSCALE_ZYGOTE"
#define ZYGOTE_MODE_FORK "fork"	  /* copies QEMU before it makes the machine; needs -daemonize */
#define ZYGOTE_MODE_CLONE "clone" /* copies it with its sleeping guest, threads included */

/* Consoles of clones are listening sockets of this name below QEMU's working folder. */
#define ZYGOTE_CONSOLE_DIR "console"

enum {
	ZYGOTE_LATE_THREADS = 1 << 0, /* a clone's other threads are made at its first wake */
	ZYGOTE_LAZY_LIBS = 1 << 1,    /* a clone's libraries are mapped when first touched */
	ZYGOTE_MERGE = 1 << 2,	      /* prctl(PR_SET_MEMORY_MERGE): the whole process may be merged by KSM */
	ZYGOTE_KEEP_PROCESS = 1 << 3, /* only load, merge and set up: no copying (launch by exec) */
};

#define ZYGOTE_BATCH 128

enum { ZYGOTE_PING = 1, ZYGOTE_COPY = 2 };

/* Most descriptors that are handed to a copy: its console's socket, what it boots from, its disk. */
#define ZYGOTE_FDS 3

/* What one copy has and the others have not. */
struct zygote_values {
	uint32_t seed, phase_ms;
};

struct zygote_request {
	uint32_t op;
	uint32_t serial;	   /* its reply has the same */
	uint32_t first, count;	   /* VM numbers; fork: count is 1 */
	uint32_t fd_count;	   /* fork: so many descriptors come with the packet */
	int32_t fd_as[ZYGOTE_FDS]; /* and shall get these numbers */
	uint32_t vary;		   /* clone: 1 to put values[] into the copies' parameter blocks */
	struct zygote_values values[ZYGOTE_BATCH];
};

struct zygote_reply {
	uint32_t serial, first, begun;
	int32_t error;		   /* errno of the copy that failed, 0 */
	uint32_t threads;	   /* of the template besides its main one */
	uint32_t late;		   /* 1 when the copies' threads come late */
	uint32_t lazy_libs;	   /* libraries left out of the copies */
	uint32_t merge_error;	   /* errno of PR_SET_MEMORY_MERGE, 0 */
	char refusal[160];	   /* why nothing can be copied, or "" */
	int32_t pid[ZYGOTE_BATCH]; /* of first..first+begun-1 */
};

#endif
