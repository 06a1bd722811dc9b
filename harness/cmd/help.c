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
	for (const struct command *const *c = program.commands; *c; c++)
		printf("  %-10s %s\n", (*c)->name, (*c)->summary);
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

static void print_man_option(const struct option_row *o)
{
	fputs(".TP\n.B ", stdout);
	if (o->letter)
		printf("\\-%c, ", o->letter);
	bool optional = o->bare;
	_cleanup_free_ char *name = xasprintf("--%s%s%s%s", o->name,
					      !o->arg	 ? ""
					      : optional ? "[="
							 : " ",
					      o->arg ? o->arg : "", o->arg && optional ? "]" : "");
	print_roff(name);
	fputs("\n\\&", stdout);
	print_roff(o->help);
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
	for (const struct command *const *c = program.commands; *c; c++) {
		_cleanup_free_ const struct option_row **rows = command_rows(*c);
		const char *group = NULL;

		printf(".SS mvmscale %s\n\\&", (*c)->name);
		print_roff((*c)->summary);
		puts(".");
		for (size_t i = 0; rows[i]; i++) {
			if (rows[i]->group && !str_eq(rows[i]->group, group))
				print_man_heading(rows[i]->group);
			group = rows[i]->group;
			if (!rows[i]->hidden)
				print_man_option(rows[i]);
		}
	}
}

struct help_args {
	struct strlist topic;
	const char *options_of, *arguments_of;
	bool verbs, man;
};

#define AT(field) offsetof(struct help_args, field)

static const struct option_row options[] = {
	{ "list-commands", 0, NULL, NULL, OPT_FLAG, AT(verbs), .hidden = true,
	  .help = "Names of the commands, for completion" },
	{ "list-options", 0, "COMMAND", NULL, OPT_ANY, AT(options_of), .hidden = true,
	  .help = "Options of a command, for completion" },
	{ "list-arguments", 0, "COMMAND", NULL, OPT_ANY, AT(arguments_of), .hidden = true,
	  .help = "Options of a command that take a value, for completion" },
	{ "man", 0, NULL, NULL, OPT_FLAG, AT(man), .hidden = true,
	  .help = "The option sections of the man page" },
	{ 0 },
};

static void list_options(const struct command *c)
{
	_cleanup_free_ const struct option_row **rows = command_rows(c);

	for (size_t i = 0; rows[i]; i++)
		if (!rows[i]->hidden)
			printf("--%s\n", rows[i]->name);
}

static int help_main(int argc, char **argv)
{
	struct help_args a = { 0 };
	const char *topic;

	if (argc > 1)
		cmd_parse(&cmd_help, argc, argv, &a);
	topic = a.options_of	 ? a.options_of
		: a.arguments_of ? a.arguments_of
		: a.topic.count	 ? a.topic.items[0]
				 : NULL;
	const struct command *c = topic ? command_find(topic) : NULL;
	if (topic && !c)
		cmd_usage(&cmd_help, "unknown command '%s'", topic);
	strlist_clear(&a.topic);
	if (a.verbs) {
		for (const struct command *const *v = program.commands; *v; v++)
			puts((*v)->name);
	} else if (a.man) {
		print_man();
	} else if (a.options_of) {
		list_options(c);
	} else if (a.arguments_of) {
		cmd_list_arguments(c);
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
	.usage = "[COMMAND]",
	.doc = "Explains mvmscale, or one of its commands.",
	.options = options,
	.words = AT(topic),
	.most = 1,
	.too_many = "only one command can be explained at a time",
	.run = help_main,
};
