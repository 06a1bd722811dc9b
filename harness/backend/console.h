/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_CONSOLE_H
#define MVM_BACKEND_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * A VM's serial console is a listening unix socket named by the VM's number in one
 * folder. The folder is held by a descriptor and named through /proc/self/fd, so
 * that its length never meets the 108 bytes of a socket address.
 */

/* Creates the socket; the first client may connect before anyone accepts. The caller owns *ret_fd. */
error *console_listen(int dir_fd, uint32_t vm, int *ret_fd) ERR_MUST_CHECK;
/* Connects without blocking; the caller owns *ret_fd. */
error *console_connect(int dir_fd, uint32_t vm, int *ret_fd) ERR_MUST_CHECK;
/* "MVM <guest> ready" and nothing else; guest "" takes any name. */
bool console_is_ready(const char *line, const char *guest);
/* The line that a guest is saying, until it was the ready line. */
struct ready_line {
	char text[96];
	size_t len;
};
/* Its next byte; true when it ends the ready line of that guest, as console_is_ready() has it. Pure. */
bool console_hear(struct ready_line *l, const char *guest, char byte);
/* Reads a console until its guest is ready; false when it was closed, or at the deadline (clock_ns()). */
bool console_await_ready(int fd, const char *guest, uint64_t deadline);
/* Tells a console's file (suffix "": its socket) from any that might take its name later; 0: there is none.
 */
uint64_t console_file(int dir_fd, uint32_t vm, const char *suffix);
/* One line (without '\n') of that VM's console until deadline (clock_ns()). */
error *console_read_line(int fd, uint32_t vm, uint64_t deadline, char *reply, size_t size) ERR_MUST_CHECK;
/* Process that listens on the socket behind a connected console; 0 when the kernel does not tell. */
pid_t console_owner(int fd);
/* Frees the name of a console that nobody shall know of: kills the child of ours that listens there, if one
   does. */
void console_evict(int dir_fd, uint32_t vm);
/* Connects to a VM that may not listen yet. owner: process that must be the one that listens, so that no
   answer can be another VM's; 0: any, which has to listen by now. */
error *console_reach(int dir_fd, uint32_t vm, pid_t owner, int timeout_ms, int *ret_fd) ERR_MUST_CHECK;
/* Reaches it, sends request and '\n', reads a line (without '\n'), within timeout_ms; *ret_ms is the round
   trip. */
error *console_ask(int dir_fd, uint32_t vm, pid_t owner, const char *request, int timeout_ms, char *reply,
		   size_t size, double *ret_ms) ERR_MUST_CHECK;

/* The same over a pair of FIFOs, for programs whose console is their standard input and output. Both are open
   for reading and writing, so that neither end is ever closed while the program has them; the caller owns
   both. */
error *console_fifo_make(int dir_fd, uint32_t vm, int *ret_in, int *ret_out) ERR_MUST_CHECK;
/* What the program writes, without blocking, by an opening of its own: that must not be the program's. */
error *console_fifo_listen(int dir_fd, uint32_t vm, int *ret_fd) ERR_MUST_CHECK;
error *console_fifo_ask(int dir_fd, uint32_t vm, const char *request, int timeout_ms, char *reply,
			size_t size, double *ret_ms) ERR_MUST_CHECK;

#endif
