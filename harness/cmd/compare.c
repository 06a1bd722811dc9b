/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/compare.h"
#include "compare/history.h"

struct compare_args {
	struct judge_args judge;	/* where judge_rows want it */
	struct strlist sides[2], words; /* words: BASE NEW without options */
	bool baseline;
	const char *db;
};

#define AT(field) offsetof(struct compare_args, field)
#define WHAT "What to compare:"

static const struct option_row options[] = {
	{ "base", 0, "RUN...", WHAT, OPT_LIST, AT(sides[0]),
	  .help = "Runs of the base: all words up to the next option" },
	{ "new", 0, "RUN...", WHAT, OPT_LIST, AT(sides[1]), .help = "Runs of the new side, likewise" },
	{ "baseline", 0, NULL, WHAT, OPT_FLAG, AT(baseline),
	  .help = "The base is what 'mvmscale history baseline' named" },
	{ "db", 0, "FILE", WHAT, OPT_ANY, AT(db),
	  .help = "Database of --baseline instead of the standard one" },
	{ 0 },
};

/* "--base A1 A2" becomes "--base A1 --base A2", for the parser knows one word to an option. */
static char **expand(int argc, char **argv, int *ret_argc)
{
	char **out = xcalloc(2 * (size_t)argc + 1, sizeof(*out));
	char *side = NULL;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		bool names_side = str_eq(argv[i], "--base") || str_eq(argv[i], "--new");

		if (names_side && i + 1 < argc) {
			side = argv[i];
			out[n++] = argv[i++];
			out[n++] = argv[i];
			continue;
		}
		if (argv[i][0] == '-')
			side = NULL;
		if (side)
			out[n++] = side;
		out[n++] = argv[i];
	}
	*ret_argc = n;
	return out;
}

static void check(struct compare_args *a)
{
	if (a->words.count && (a->sides[0].count || a->sides[1].count) && !a->baseline)
		cmd_usage(&cmd_compare, "name the sides either as BASE NEW or by --base and --new");
	bool lone = a->baseline && a->words.count == 1;
	for (size_t i = 0; i < a->words.count; i++)
		strlist_add(&a->sides[lone ? 1 : i], a->words.items[i]);
	if (a->db && !a->baseline)
		cmd_usage(&cmd_compare, "--db is the database of --baseline: give that, too");
	if (a->baseline && a->sides[0].count)
		cmd_usage(&cmd_compare, "--baseline is the base: name only the new side");
	if ((!a->sides[0].count && !a->baseline) || !a->sides[1].count)
		cmd_usage(&cmd_compare, "name two sides: BASE NEW, or --base RUN... --new RUN...");
}

static error *load(const struct compare_args *a, struct side sides[2])
{
	error *e = a->baseline ? history_load_baseline(a->db, &sides[0]) : NULL;

	for (int k = 0; k < 2 && !e; k++)
		for (size_t i = 0; i < a->sides[k].count && !e; i++)
			e = side_load(&sides[k], a->sides[k].items[i]);
	return e;
}

static int run(int argc, char **argv)
{
	struct compare_args a = { 0 };
	struct side sides[2] = { { 0 } };
	_cleanup_(comparison_freep) struct comparison *c = NULL;
	int n;
	_cleanup_free_ char **words = expand(argc, argv, &n);

	judge_init(&a.judge, argc, argv);
	cmd_parse(&cmd_compare, n, words, &a);
	check(&a);
	error *e = load(&a, sides);
	if (!e)
		e = compare_sides(&sides[0], &sides[1], &a.judge.o, &c);
	if (!e)
		e = judge_tell(&a.judge, &sides[1], c);
	int status = judge_status(&a.judge, e ? cmd_fail(e) : (int)verdict_status(c->verdict));
	for (int k = 0; k < 2; k++) {
		side_clear(&sides[k]);
		strlist_clear(&a.sides[k]);
	}
	strlist_clear(&a.words);
	judge_clear(&a.judge);
	return status;
}

const struct command cmd_compare = {
	.name = "compare",
	.summary = "say whether new runs cost more than old ones",
	.usage = "BASE NEW",
	.doc = "Says whether NEW costs more than BASE. Each is a run folder, or a folder that holds run folders. A run "
	       "is one observation: with fewer than about 7 on each side most differences cannot be told from noise, and the answer is inconclusive and says how many more it takes.\v"
	       "A figure regressed when a rank test over the runs finds a difference (adjusted over all figures) and the change is larger than the figure's gate.\n\n"
	       "Examples:\n"
	       "  mvmscale compare runs/old runs/new\n"
	       "  mvmscale compare --base a-1 a-2 a-3 --new b-1 b-2 b-3 --format markdown\n"
	       "  mvmscale compare old new --metric mem_per_vm_kb --gate mem_per_vm_kb=5%\n\n"
	       "Exit status: 0 pass or improved, 1 regressed or a limit is broken, 2 bad input, 4 inconclusive, 5 invalid.\n",
	.options = options,
	.shared = judge_rows,
	.words = AT(words),
	.most = 2,
	.too_many =
		"'%s' is a third: several runs a side are named by --base A1 A2 --new B1 B2, or lie in one folder",
	.run = run,
};
