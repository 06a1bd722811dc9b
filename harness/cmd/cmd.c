/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fs.h"
#include "base/util.h"

int cmd_usage_status = EXIT_BAD_INPUT;

const struct command *command_find(const char *name)
{
	for (const struct command *const *c = program.commands; *c; c++)
		if (str_eq((*c)->name, name))
			return *c;
	return NULL;
}

const struct option_row **command_rows(const struct command *c)
{
	const struct option_row *const *put_together = c->rows ? c->rows() : NULL;
	const struct option_row **list = xcalloc(1, sizeof(*list));
	size_t n = 0;

	for (; put_together && put_together[n]; list[n] = NULL) {
		list = xrealloc(list, n + 2, sizeof(*list));
		list[n] = put_together[n];
		n++;
	}
	for (int k = 0; k < 2; k++)
		for (const struct option_row *o = k ? c->shared : c->options; o && o->name; o++) {
			list = xrealloc(list, n + 2, sizeof(*list));
			list[n++] = o;
			list[n] = NULL;
		}
	return list;
}

/* A table that did not reach its file is no result, whichever way the program ends. */
static void finish_output(void)
{
	error *e = dir_finish_output();

	if (!e)
		return;
	int status = cmd_fail(e);
	_exit(cmd_usage_status == EXIT_BAD_INPUT ? status : cmd_usage_status);
}

void cmd_open(void)
{
	dir_expect_full();
	atexit(finish_output);
}

/* argp's key of a row: its letter, or a number that no letter has. */
static int row_key(const struct option_row *o, size_t at)
{
	return o->letter ? o->letter : 256 + (int)at;
}

/* Rows as argp takes them; a change of group is a heading. */
static struct argp_option *argp_table(const struct option_row *const *rows)
{
	struct argp_option *table = xcalloc(1, sizeof(*table));
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
		table[n] = (struct argp_option){ 0 };
	}
	return table;
}

struct parsing {
	const struct command *command;
	const struct option_row **rows;
	void *config;
};

static void take_word(const struct command *c, char *arg, struct argp_state *st)
{
	struct strlist *words = NULL;

	if (c->words != (size_t)-1)
		words = (struct strlist *)((char *)((struct parsing *)st->input)->config + c->words);
	if (!words || (c->most && words->count == c->most))
		argp_error(st, c->too_many, arg);
	else
		strlist_add(words, arg);
}

static error *take_option(const struct parsing *p, int key, const char *arg)
{
	size_t at = 0;

	while (row_key(p->rows[at], at) != key)
		at++;
	return p->command->take ? p->command->take(p->config, at, arg)
				: option_take(p->rows[at], arg, p->config);
}

static error_t parse(int key, char *arg, struct argp_state *st)
{
	const struct parsing *p = st->input;
	_cleanup_err_ error *e = NULL;

	switch (key) {
	case ARGP_KEY_ARG:
		take_word(p->command, arg, st);
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (p->command->none)
			argp_error(st, "%s", p->command->none);
		return 0;
	case ARGP_KEY_END:
		e = p->command->check ? p->command->check(p->config) : NULL;
		break;
	case ARGP_KEY_INIT:
	case ARGP_KEY_SUCCESS:
	case ARGP_KEY_ERROR:
	case ARGP_KEY_FINI:
	case ARGP_KEY_ARGS:
		return ARGP_ERR_UNKNOWN;
	default:
		e = take_option(p, key, arg);
	}
	if (e)
		argp_error(st, "%s", e->msg);
	return 0;
}

void cmd_parse(const struct command *c, int argc, char **argv, void *config)
{
	_cleanup_free_ char *name = xasprintf("%s %s", program.name, c->name);
	_cleanup_free_ const struct option_row **rows = command_rows(c);
	_cleanup_free_ struct argp_option *options = argp_table(rows);
	struct parsing p = { .command = c, .rows = rows, .config = config };
	struct argp argp = { .options = options, .parser = parse, .args_doc = c->usage, .doc = c->doc };
	char *old = argv[0];

	/* argp names the program by argv[0] in its messages, and a verb is called by two words. */
	argp_err_exit_status = cmd_usage_status;
	argv[0] = name;
	program_invocation_short_name = name;
	program_invocation_name = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &p))
		exit(cmd_usage_status);
	argv[0] = old;
	program_invocation_short_name = (char *)program.name;
	program_invocation_name = (char *)program.name;
}

void cmd_usage(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s %s: ", program.name, c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry '%s %s --help'.\n", program.name, c->name);
	exit(cmd_usage_status);
}

void cmd_list_arguments(const struct command *c)
{
	_cleanup_free_ const struct option_row **rows = command_rows(c);

	for (size_t i = 0; rows[i]; i++) {
		if (!rows[i]->arg || rows[i]->hidden)
			continue;
		printf("--%s %s\n", rows[i]->name, rows[i]->arg);
		if (rows[i]->letter)
			printf("-%c %s\n", rows[i]->letter, rows[i]->arg);
	}
}

void cmd_print_json(json_t *j, unsigned digits)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | (digits ? JSON_REAL_PRECISION(digits) : 0));
	putchar('\n');
	json_decref(j);
}

error *cmd_tell(const char *text, const char *path)
{
	if (path)
		return fs_write_atomic(path, text, strlen(text));
	fputs(text, stdout);
	return NULL;
}

error *cmd_load_runs(const struct strlist *dirs, struct run_record ***ret)
{
	error *e = NULL;

	*ret = xcalloc(dirs->count, sizeof(struct run_record *));
	for (size_t i = 0; i < dirs->count && !e; i++) {
		struct run_record **r = &(*ret)[i];

		e = run_record_load(dirs->items[i], r);
		if (!e && (*r)->note)
			fprintf(stderr, "%s: %s: %s\n", program.name, (*r)->dir, (*r)->note);
	}
	return e;
}

void cmd_free_runs(struct run_record **runs, struct strlist *dirs)
{
	for (size_t i = 0; i < dirs->count; i++)
		run_record_free(runs[i]);
	free(runs);
	strlist_clear(dirs);
}

char *cmd_standard_folder(const char *verb)
{
	char stamp[17];

	clock_utc_stamp(stamp);
	return xasprintf("runs/%s-%s", stamp, verb);
}

void cmd_on_end(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

int cmd_fail(error *e)
{
	int code = (int)e->code;

	fprintf(stderr, "%s: %s\n", program.name, e->msg);
	err_free(e);
	return code;
}
