/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"

static const struct command *const verbs[] = {
	&mvm_build, &mvm_inspect, &mvm_boot, &mvm_verify, &mvm_wave, &mvm_list, NULL,
};
const struct program program = { .name = "mvm", .commands = verbs };

enum {
	OPT_LIST_VERBS = 0x100,
	OPT_LIST_OPTIONS,
	OPT_LIST_ARGUMENTS,
};

static const struct argp_option options[] = {
	{ "list-verbs", OPT_LIST_VERBS, NULL, OPTION_HIDDEN, NULL, 0 },
	{ "list-options", OPT_LIST_OPTIONS, "VERB", OPTION_HIDDEN, NULL, 0 },
	{ "list-arguments", OPT_LIST_ARGUMENTS, "VERB", OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

static const struct command *need_verb(const char *name)
{
	const struct command *v = command_find(name);

	if (v)
		return v;
	fprintf(stderr, "mvm: unknown verb '%s': known are", name);
	for (size_t i = 0; verbs[i]; i++)
		fprintf(stderr, "%s %s", i ? "," : "", verbs[i]->name);
	fprintf(stderr, "\nTry 'mvm --help'.\n");
	exit(EXIT_BAD_INPUT);
}

static void list_verbs(void)
{
	for (size_t i = 0; verbs[i]; i++)
		puts(verbs[i]->name);
}

/* For shell completion: every option of a verb, one a line, as it is typed. */
static void list_options(const struct command *v)
{
	_cleanup_free_ const struct option_row **rows = command_rows(v);

	for (size_t i = 0; rows[i]; i++) {
		printf("--%s\n", rows[i]->name);
		if (rows[i]->letter)
			printf("-%c\n", rows[i]->letter);
	}
	puts("--help");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	int *verb_at = state->input;

	switch (key) {
	case OPT_LIST_VERBS:
		list_verbs();
		exit(EXIT_DONE);
	case OPT_LIST_OPTIONS:
		list_options(need_verb(arg));
		exit(EXIT_DONE);
	case OPT_LIST_ARGUMENTS:
		cmd_list_arguments(need_verb(arg));
		exit(EXIT_DONE);
	case ARGP_KEY_ARG:
		/* The first word is the verb; what follows is the verb's to parse. */
		*verb_at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "what to do? Give a verb");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *help_text(int key, const char *text, void *input)
{
	struct textbuf buf;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	FILE *f = textbuf_open(&buf);
	fprintf(f, "Verbs:\n");
	for (size_t i = 0; verbs[i]; i++)
		fprintf(f, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	fprintf(f, "\n%s", text);
	return textbuf_close(&buf);
}

static const struct argp main_argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "VERB [ARGUMENT...]",
	.doc = "The guest toolkit of mvmscale: builds, inspects and boots 512-byte virtual machines."
	       "\v"
	       "Start here:\n"
	       "  mvm list                        which guests and profiles there are\n"
	       "  mvm build sleep -o sleep.img    a guest that sleeps until asked\n"
	       "  mvm inspect sleep.img           what is in those 512 bytes\n"
	       "  mvm boot sleep.img              run it: type 'ping', read 'pong'\n"
	       "  mvm verify sleep                does it keep the contract, on every machine?\n"
	       "\n"
	       "'mvm VERB --help' explains a verb. Exit status: 0 done, 1 a contract is broken, 2 usage or bad input, 3 cannot run here.",
	.help_filter = help_text,
};

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "mvm %s\n", MVM_VERSION);
}

int main(int argc, char **argv)
{
	static char self[] = "mvm";
	int verb_at = 0;

	cmd_open();
	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_BAD_INPUT;
	if (argc > 0)
		argv[0] = self;
	if (argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &verb_at) || !verb_at)
		return EXIT_BAD_INPUT;
	return need_verb(argv[verb_at])->run(argc - verb_at, argv + verb_at);
}
