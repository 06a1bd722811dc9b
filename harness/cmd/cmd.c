/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

int cmd_usage_status = EXIT_BAD_INPUT;

void cmd_parse(const struct command *c, int argc, char **argv, void *input)
{
	_cleanup_free_ char *name = xasprintf("mvmscale %s", c->name);
	_cleanup_free_ struct argp_option *options = cmd_options(c);
	struct argp argp = *c->argp;
	char *old = argv[0];

	argp.options = options;
	/* argp names the program by argv[0] in its messages, and a verb is called by two words. */
	argp_err_exit_status = cmd_usage_status;
	argv[0] = name;
	program_invocation_short_name = name;
	program_invocation_name = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, input))
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

/* argp's key of a row: its letter, or a number that no letter has. */
static int row_key(const struct option_row *o, size_t at)
{
	return o->letter ? o->letter : 256 + (int)at;
}

int cmd_row_of_key(const struct option_row *const *rows, int key)
{
	for (size_t i = 0; rows[i]; i++)
		if (row_key(rows[i], i) == key)
			return (int)i;
	return -1;
}

void cmd_taken(struct argp_state *st, error *e)
{
	if (e)
		argp_error(st, "%s", e->msg);
	err_free(e);
}

/* Rows as argp takes them; a change of group is a heading. */
static struct argp_option *argp_table(const struct option_row *const *rows)
{
	struct argp_option *table = NULL;
	const char *group = NULL;
	size_t n = 0;
	int groups = 0;

	for (size_t i = 0; rows[i]; i++) {
		const struct option_row *o = rows[i];

		table = xrealloc(table, n + 3, sizeof(*table));
		if (o->group && !str_eq(o->group, group))
			table[n++] = (struct argp_option){ .doc = o->group, .group = ++groups };
		group = o->group;
		table[n++] = (struct argp_option){
			.name = o->name,
			.key = row_key(o, i),
			.arg = o->arg,
			.flags = (o->bare ? OPTION_ARG_OPTIONAL : 0) | (o->hidden ? OPTION_HIDDEN : 0),
			.doc = o->help,
		};
	}
	table[n] = (struct argp_option){ 0 };
	return table;
}

struct argp_option *cmd_options(const struct command *c)
{
	const struct argp_option *o = c->argp->options;
	size_t n = 0;

	if (c->rows)
		return argp_table(c->rows());
	while (o && (o[n].name || o[n].key || o[n].doc))
		n++;
	struct argp_option *copy = xcalloc(n + 1, sizeof(*copy));
	if (n)
		memcpy(copy, o, n * sizeof(*copy));
	return copy;
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
