/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/text.h"
#include "base/util.h"

static error *make(enum exit_code code, int sys, char *msg)
{
	error *e = xcalloc(1, sizeof(*e));

	text_clean(msg);
	e->code = code;
	e->sys = sys;
	e->msg = msg;
	return e;
}

error *err_new(enum exit_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return make(code, 0, msg);
}

/* What a user can do about it; "" where the cause says enough. */
static char *remedy(int sys)
{
	struct rlimit files;

	if (sys != EMFILE || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return xstrdup("");
	if (files.rlim_cur < files.rlim_max)
		return xasprintf(" (RLIMIT_NOFILE is %llu: raise it with 'ulimit -n %llu')",
				 (unsigned long long)files.rlim_cur, (unsigned long long)files.rlim_max);
	return xasprintf(
		" (RLIMIT_NOFILE is %llu, which is its hard limit, too: raise that as root with 'prlimit --nofile=65536 --pid $$' in this shell, or in /etc/security/limits.conf)",
		(unsigned long long)files.rlim_cur);
}

error *err_sys(enum exit_code code, int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	va_end(ap);
	_cleanup_free_ char *hint = remedy(sys);
	return make(code, sys, xasprintf("%s: %s%s", text, strerror(sys), hint));
}

error *err_wrap(error *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return NULL;
	va_start(ap, fmt);
	_cleanup_free_ char *context = xvasprintf(fmt, ap);
	va_end(ap);
	char *msg = xasprintf("%s: %s", context, e->msg);

	free(e->msg);
	e->msg = msg;
	return e;
}

error *err_first(error *a, error *b)
{
	if (!a)
		return b;
	err_free(b);
	return a;
}

void err_free(error *e)
{
	if (!e)
		return;
	free(e->msg);
	free(e);
}
