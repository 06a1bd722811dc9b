/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_ERR_H
#define MVM_BASE_ERR_H

/* The documented exit codes. Every error carries the one its command ends with. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REGRESSION = 1,	/* a comparison regressed or a limit was broken */
	EXIT_BAD_INPUT = 2,	/* usage, a damaged file, an impossible request */
	EXIT_CANNOT = 3,	/* cannot run here: missing binary, accelerator, privilege, space */
	EXIT_INCONCLUSIVE = 4,	/* the data do not carry an answer */
	EXIT_UNTRUSTED = 5,	/* measured, but the measurement is not trustworthy */
	EXIT_INTERRUPTED = 130, /* stopped by a signal, results saved */
};

/*
 * Errors travel up as values: NULL is success, anything else is owned by the
 * receiver, who frees it with err_free(), hands it on, or wraps it in more
 * context. Only commands print them.
 */
typedef struct error {
	enum exit_code code;
	int sys; /* errno of the failing call, 0 when none was involved */
	char *msg;
} error;

#define ERR_MUST_CHECK __attribute__((warn_unused_result))

error *err_new(enum exit_code code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))) ERR_MUST_CHECK;
/* Like err_new(), with ": <strerror(sys)>" appended, and of too many open files the limit and the remedy. */
error *err_sys(enum exit_code code, int sys, const char *fmt, ...)
	__attribute__((format(printf, 3, 4))) ERR_MUST_CHECK;
/* Puts "<context>: " in front of the message; e keeps its code. Returns e. */
error *err_wrap(error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3))) ERR_MUST_CHECK;
/* Of two errors the first; both are taken. */
error *err_first(error *a, error *b) ERR_MUST_CHECK;
void err_free(error *e);
static inline void err_freep(error **e)
{
	err_free(*e);
}

#endif
