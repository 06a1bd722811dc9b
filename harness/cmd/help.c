/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Help, and the raw material of man page and shell completion: all from the option tables. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cmd/cmd.h"

static void print_overview(void)
{
	puts("Usage: mvmscale [run] [OPTION...]\n"
	     "       mvmscale COMMAND [OPTION...]\n"
	     "\n"
	     "Boots 512-byte guests in rising numbers on this host, records normalized CPU, RAM\n"
	     "and swap at each step, and tells what binds and how many VMs are safe.\n"
	     "\n"
	     "Commands:");
	for (size_t i = 0; command_at(i); i++)
		printf("  %-10s %s\n", command_at(i)->name, command_at(i)->summary);
	puts("\n"
	     "First steps:\n"
	     "  mvmscale doctor              what this host allows, and what would stop a run\n"
	     "  mvmscale --max 200           a ramp of 200 VMs; about two minutes\n"
	     "  mvmscale plot RUN1 RUN2      two runs in one figure\n"
	     "\n"
	     "'mvmscale COMMAND --help' explains the options of a command.\n"
	     "Exit status: 0 done, 1 regression or broken limit, 2 usage or bad input, 3 cannot run\n"
	     "here, 4 inconclusive, 5 measurement not trustworthy, 130 interrupted, results saved.");
}

static bool shown(const struct argp_option *o)
{
	return o->name && !(o->flags & OPTION_HIDDEN);
}

static void for_options(const struct command *c, void (*print)(const struct argp_option *))
{
	_cleanup_free_ struct argp_option *all = cmd_options(c);

	for (const struct argp_option *o = all; o->name || o->key || o->doc; o++)
		if (shown(o))
			print(o);
}

static void print_name(const struct argp_option *o)
{
	printf("--%s\n", o->name);
}

/* As it is typed, then what its value is: "--accel auto|tcg|kvm". */
static void print_argument(const struct argp_option *o)
{
	if (o->arg)
		printf("--%s %s\n", o->name, o->arg);
	if (o->arg && o->key > 32 && o->key < 127)
		printf("-%c %s\n", o->key, o->arg);
}

/* In roff a leading '-' must be a minus, and a '.' or quote must not begin a line. */
static void print_roff(const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void print_man_option(const struct argp_option *o)
{
	fputs(".TP\n.B ", stdout);
	if (o->key > 32 && o->key < 127)
		printf("\\-%c, ", o->key);
	bool optional = o->flags & OPTION_ARG_OPTIONAL;
	_cleanup_free_ char *name = xasprintf("--%s%s%s%s", o->name,
					      !o->arg	 ? ""
					      : optional ? "[="
							 : " ",
					      o->arg ? o->arg : "", o->arg && optional ? "]" : "");
	print_roff(name);
	fputs("\n\\&", stdout);
	print_roff(o->doc ? o->doc : "");
	putchar('\n');
}

/* What a group of options is about. */
static void print_man_heading(const char *text)
{
	fputs(".PP\n\\fI", stdout);
	print_roff(text);
	puts("\\fR");
}

static void print_man(void)
{
	for (size_t i = 0; command_at(i); i++) {
		const struct command *c = command_at(i);
		_cleanup_free_ struct argp_option *all = cmd_options(c);

		printf(".SS mvmscale %s\n\\&", c->name);
		print_roff(c->summary);
		puts(".");
		for (const struct argp_option *o = all; o->name || o->key || o->doc; o++) {
			if (shown(o))
				print_man_option(o);
			else if (!o->name && o->doc)
				print_man_heading(o->doc);
		}
	}
}

enum { OPT_VERBS = 256, OPT_OPTIONS, OPT_ARGUMENTS, OPT_MAN };

struct help_args {
	const char *topic, *options_of, *arguments_of;
	bool verbs, man;
};

static const struct argp_option options[] = {
	{ "list-commands", OPT_VERBS, NULL, OPTION_HIDDEN, "Names of the commands, for completion", 0 },
	{ "list-options", OPT_OPTIONS, "COMMAND", OPTION_HIDDEN, "Options of a command, for completion", 0 },
	{ "list-arguments", OPT_ARGUMENTS, "COMMAND", OPTION_HIDDEN,
	  "Options of a command that take a value, for completion", 0 },
	{ "man", OPT_MAN, NULL, OPTION_HIDDEN, "The option sections of the man page", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *st)
{
	struct help_args *a = st->input;

	switch (key) {
	case OPT_VERBS:
		a->verbs = true;
		return 0;
	case OPT_OPTIONS:
		a->options_of = arg;
		return 0;
	case OPT_ARGUMENTS:
		a->arguments_of = arg;
		return 0;
	case OPT_MAN:
		a->man = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->topic)
			argp_error(st, "only one command can be explained at a time");
		a->topic = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp help_argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "[COMMAND]",
	.doc = "Explains mvmscale, or one of its commands.",
};

static int help_main(int argc, char **argv)
{
	struct help_args a = { 0 };
	const char *topic;

	if (argc > 1)
		cmd_parse(&cmd_help, argc, argv, &a);
	topic = a.options_of ? a.options_of : a.arguments_of ? a.arguments_of : a.topic;
	const struct command *c = topic ? command_find(topic) : NULL;
	if (topic && !c)
		cmd_usage(&cmd_help, "unknown command '%s'", topic);
	if (a.verbs) {
		for (size_t i = 0; command_at(i); i++)
			puts(command_at(i)->name);
	} else if (a.man) {
		print_man();
	} else if (a.options_of) {
		for_options(c, print_name);
	} else if (a.arguments_of) {
		for_options(c, print_argument);
	} else if (c) {
		char *ask[] = { (char *)c->name, (char *)"--help", NULL };
		return c->run(2, ask);
	} else {
		print_overview();
	}
	return EXIT_DONE;
}

const struct command cmd_help = {
	.name = "help",
	.summary = "explain a command",
	.argp = &help_argp,
	.run = help_main,
};
