/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <argp.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/text.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"

static const struct mvm_verb verbs[] = {
	{ "build", "make a bootable image (or firmware ROM) from a profile", &mvm_build_argp, mvm_build },
	{ "inspect", "show what an image is: guest, parameters, space, disassembly", &mvm_inspect_argp,
	  mvm_inspect },
	{ "boot", "run one image, its serial line on your terminal", &mvm_boot_argp, mvm_boot },
	{ "verify", "boot images in every way there is and check that they keep the contract",
	  &mvm_verify_argp, mvm_verify },
	{ "wave", "show the load over time of a profile, and measure what a VM makes of it", &mvm_wave_argp,
	  mvm_wave },
	{ "list", "list the guests and the profiles there are", &mvm_list_argp, mvm_list },
};

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

static const struct mvm_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static const struct mvm_verb *need_verb(const char *name)
{
	const struct mvm_verb *v = find_verb(name);

	if (v)
		return v;
	fprintf(stderr, "mvm: unknown verb '%s': known are", name);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(stderr, "%s %s", i ? "," : "", verbs[i].name);
	fprintf(stderr, "\nTry 'mvm --help'.\n");
	exit(EXIT_BAD_INPUT);
}

static void list_verbs(void)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		puts(verbs[i].name);
}

/* For shell completion: every option of a verb, one a line, as it is typed. */
static void list_options(const struct mvm_verb *v)
{
	for (const struct argp_option *o = v->argp->options; o && (o->name || o->key || o->doc); o++) {
		if (o->flags & OPTION_HIDDEN)
			continue;
		if (o->name)
			printf("--%s\n", o->name);
		if (o->key > 0 && o->key < 0x80 && isprint(o->key))
			printf("-%c\n", o->key);
	}
	puts("--help");
}

/* The same: options that take a value, and what it is ("--accel auto|tcg|kvm"). */
static void list_arguments(const struct mvm_verb *v)
{
	for (const struct argp_option *o = v->argp->options; o && (o->name || o->key || o->doc); o++) {
		if (!o->arg || o->flags & OPTION_HIDDEN)
			continue;
		printf("--%s %s\n", o->name, o->arg);
		if (o->key > 0 && o->key < 0x80 && isprint(o->key))
			printf("-%c %s\n", o->key, o->arg);
	}
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
		list_arguments(need_verb(arg));
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
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
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

void mvm_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	_cleanup_free_ char *name = xasprintf("mvm %s", argv[0]);
	char *old = argv[0];

	/* argp names the program by argv[0] in its messages, and a verb is called by two words. */
	argv[0] = name;
	program_invocation_short_name = name;
	program_invocation_name = name;
	if (argp_parse(argp, argc, argv, 0, NULL, input))
		exit(EXIT_BAD_INPUT);
	argv[0] = old;
	program_invocation_short_name = (char *)"mvm";
	program_invocation_name = (char *)"mvm";
}

long mvm_whole(struct argp_state *st, const char *option, const char *arg, long min, long max)
{
	long v = 0;
	_cleanup_free_ char *wrong = option_whole(option, arg, min, max, &v);

	if (wrong)
		argp_error(st, "%s", wrong);
	return v;
}

double mvm_real(struct argp_state *st, const char *option, const char *arg, double min, double max)
{
	double v = 0;
	_cleanup_free_ char *wrong = option_real(option, arg, min, max, &v);

	if (wrong)
		argp_error(st, "%s", wrong);
	return v;
}

int mvm_fail(error *e)
{
	int code = (int)e->code;

	fprintf(stderr, "mvm: %s\n", e->msg);
	err_free(e);
	return code;
}

static void finish_output(void)
{
	error *e = dir_finish_output();

	if (e)
		_exit(mvm_fail(e));
}

int main(int argc, char **argv)
{
	static char self[] = "mvm";
	int verb_at = 0;

	dir_expect_full();
	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_BAD_INPUT;
	atexit(finish_output);
	if (argc > 0)
		argv[0] = self;
	if (argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &verb_at) || !verb_at)
		return EXIT_BAD_INPUT;
	return need_verb(argv[verb_at])->run(argc - verb_at, argv + verb_at);
}
