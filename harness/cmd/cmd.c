/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "base/util.h"

int cmd_usage_status = EXIT_BAD_INPUT;

void cmd_parse(const struct command *c, int argc, char **argv, void *input)
{
	_cleanup_free_ char *name = xasprintf("mvmscale %s", c->name);
	char *old = argv[0];

	/* argp names the program by argv[0] in its messages, and a verb is called by two words. */
	argp_err_exit_status = cmd_usage_status;
	argv[0] = name;
	program_invocation_short_name = name;
	program_invocation_name = name;
	if (argp_parse(c->argp, argc, argv, 0, NULL, input))
		exit(cmd_usage_status);
	argv[0] = old;
	program_invocation_short_name = (char *)"mvmscale";
	program_invocation_name = (char *)"mvmscale";
}

void cmd_usage(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "mvmscale %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'mvmscale %s --help'.\n", c->name);
	exit(cmd_usage_status);
}

long cmd_whole(struct argp_state *st, const char *option, const char *arg, long min, long max)
{
	long v = 0;

	_cleanup_free_ char *wrong = option_whole(option, arg, min, max, &v);
	if (wrong)
		argp_error(st, "%s", wrong);
	return v;
}

double cmd_real(struct argp_state *st, const char *option, const char *arg, double min, double max)
{
	double v = 0;

	_cleanup_free_ char *wrong = option_real(option, arg, min, max, &v);
	if (wrong)
		argp_error(st, "%s", wrong);
	return v;
}

const char *cmd_text(struct argp_state *st, const char *option, const char *arg)
{
	if (!*arg)
		argp_error(st, "--%s '': needs a value", option);
	return arg;
}

const struct backend_ops *cmd_backend(struct argp_state *st, const char *arg)
{
	const struct backend_ops *b = backend_find(arg);

	if (!b) {
		_cleanup_(strlist_clear) struct strlist names = { 0 };

		for (size_t i = 0; backends[i]; i++)
			strlist_add(&names, backends[i]->name);
		_cleanup_free_ char *known = strlist_join(&names);
		argp_error(st, "--backend %s: unknown; known are %s", arg, known);
	}
	return b;
}

void cmd_print_json(json_t *j, unsigned digits)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | (digits ? JSON_REAL_PRECISION(digits) : 0));
	putchar('\n');
	json_decref(j);
}

error *cmd_load_runs(const char *const *dirs, size_t n, struct run_record **runs)
{
	error *e = NULL;

	for (size_t i = 0; i < n && !e; i++) {
		e = run_record_load(dirs[i], &runs[i]);
		if (!e && runs[i]->note)
			fprintf(stderr, "mvmscale: %s: %s\n", runs[i]->dir, runs[i]->note);
	}
	return e;
}

int cmd_fail(error *e)
{
	int code = (int)e->code;

	fprintf(stderr, "mvmscale: %s\n", e->msg);
	err_free(e);
	return code;
}
