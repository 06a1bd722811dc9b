/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

error *err_sys(enum exit_code code, int sys, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	va_end(ap);
	return make(code, sys, xasprintf("%s: %s", text, strerror(sys)));
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

void err_free(error *e)
{
	if (!e)
		return;
	free(e->msg);
	free(e);
}
