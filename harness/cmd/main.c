/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "host/journal.h"
#include "host/settings.h"

static const struct command *const verbs[] = {
	&cmd_run,     &cmd_plot,   &cmd_table,	&cmd_advise, &cmd_classify, &cmd_compare, &cmd_ab,
	&cmd_history, &cmd_kernel, &cmd_matrix, &cmd_doctor, &cmd_list,	    &cmd_help,	  NULL,
};
const struct program program = { .name = "mvmscale", .commands = verbs };

static void say_wait(const char *line)
{
	fprintf(stderr, "mvmscale: %s\n", line);
}

/* Puts back what a killed run left behind, whatever is asked for now. What cannot be put back does not keep a
   run from starting, a lock that somebody holds would. */
static int recover(void)
{
	struct strlist said = { 0 };
	error *e = settings_recover(&said);
	bool locked = e && e->sys == EWOULDBLOCK;

	for (size_t i = 0; i < said.count; i++)
		fprintf(stderr, "mvmscale: after an earlier run that was killed: %s\n", said.items[i]);
	strlist_clear(&said);
	int status = e ? cmd_fail(e) : EXIT_DONE;
	return locked ? status : EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
	if (argc > 1 && (str_eq(argv[1], "--version") || str_eq(argv[1], "-V"))) {
		puts("mvmscale " MVM_VERSION);
		return EXIT_DONE;
	}
	if (argc > 1 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h")))
		return cmd_help.run(1, argv + 1);
	/* run is the default: options without a verb are its own */
	if (argc < 2 || argv[1][0] == '-') {
		int status = recover();

		return status ? status : cmd_run.run(argc, argv);
	}
	const struct command *c = command_find(argv[1]);
	if (!c) {
		fprintf(stderr, "mvmscale: unknown command '%s'\nTry 'mvmscale --help'.\n", argv[1]);
		return EXIT_BAD_INPUT;
	}
	int status = c == &cmd_run || c == &cmd_matrix || c == &cmd_ab ? recover() : EXIT_DONE;
	return status ? status : c->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	cmd_open();
	error *e = backend_check_table();

	journal_on_wait(say_wait);
	return e ? cmd_fail(e) : dispatch(argc, argv);
}
