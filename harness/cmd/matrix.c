/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cmd/cmd.h"
#include "cmd/matrix.h"

/* Counted up by every signal that asks to end. */
static volatile int signals;

enum { OPT_RESUME = 256, OPT_TABLE, OPT_DRY, OPT_ROUNDS, OPT_BESIDE, OPT_PLOTS };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to run:", 1 },
	{ "max", 'n', "N", 0, "Ramp every configuration up to N VMs, whatever the file says", 0 },
	{ "rounds", OPT_ROUNDS, "R", 0, "Run all configurations R times, interleaved", 0 },
	{ "dry-run", OPT_DRY, NULL, 0, "Only say what would be run, and how long it might take", 0 },
	{ NULL, 0, NULL, 0, "The folder:", 2 },
	{ "out", 'o', "DIR", 0,
	  "Folder of the matrix (default runs/<time>-matrix-<name>); one that is there is gone on with", 0 },
	{ "resume", OPT_RESUME, "DIR", 0, "Go on with what is missing there, without naming the file again",
	  0 },
	{ "table", OPT_TABLE, "DIR", 0, "Run nothing: print the table of what is there", 0 },
	{ NULL, 0, NULL, 0, "The table:", 3 },
	{ "format", 'f', "FORMAT", 0, "How the table is printed: text, csv, json, md or tex (default text)",
	  0 },
	{ "beside", OPT_BESIDE, "FILE.csv", 0,
	  "Show the rows of another table below: a table.csv, or the published one (bratterud2013)", 0 },
	{ "plots", OPT_PLOTS, NULL, 0, "With --table: also write tables and figures into the folder again",
	  0 },
	{ "quiet", 'q', NULL, 0, "No progress, only the table", 0 },
	{ 0 },
};

/* A name without a slash may be one of the tables that are shipped. */
static error *load_beside(const char *name, struct matrix_beside *ret)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	_cleanup_free_ char *file = xasprintf("%s.csv", name);
	_cleanup_free_ char *shipped = base == name ? fs_find_data("matrix", file) : NULL;

	ret->label = xasprintf("%.*s", (int)strcspn(base, "."), base);
	return csv_load_whole(shipped ? shipped : name, &ret->csv);
}

static void take_beside(const char *name, struct argp_state *st, struct matrix_args *a)
{
	a->beside = xrealloc(a->beside, a->beside_count + 1, sizeof(*a->beside));
	struct matrix_beside *b = &a->beside[a->beside_count];
	*b = (struct matrix_beside){ 0 };
	error *e = load_beside(name, b);
	if (e)
		argp_error(st, "--beside %s: %s", name, e->msg);
	else if (csv_column(b->csv, matrix_numbers[NUMBER_MVMS].name) < 0)
		argp_error(st, "--beside %s: no column '%s' in it", name, matrix_numbers[NUMBER_MVMS].name);
	a->beside_count++;
}

static enum table_format format_option(struct argp_state *st, const char *arg)
{
	for (int f = 0; f < TABLE_FORMAT_COUNT; f++)
		if (str_eq(arg, table_format_endings[f]) || (f == TABLE_TEXT && str_eq(arg, "text")))
			return (enum table_format)f;
	argp_error(st, "--format %s: must be text, csv, json, md or tex", arg);
	return TABLE_TEXT;
}

static error_t parse(int key, char *arg, struct argp_state *st)
{
	struct matrix_args *a = st->input;

	switch (key) {
	case 'n':
		a->max = cmd_whole(st, "max", arg, 1, 10000000);
		return 0;
	case OPT_ROUNDS:
		a->rounds = (unsigned)cmd_whole(st, "rounds", arg, 1, 1000);
		return 0;
	case OPT_DRY:
		a->dry_run = true;
		return 0;
	case 'o':
		a->out = arg;
		return 0;
	case OPT_RESUME:
		a->resume = arg;
		return 0;
	case OPT_TABLE:
		a->table = arg;
		return 0;
	case 'f':
		a->format = format_option(st, arg);
		return 0;
	case OPT_BESIDE:
		take_beside(arg, st, a);
		return 0;
	case OPT_PLOTS:
		a->plots = true;
		return 0;
	case 'q':
		a->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->file)
			argp_error(st, "one matrix at a time");
		a->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!!a->file + !!a->resume + !!a->table != 1)
			argp_error(
				st,
				"give one of a matrix (a file, or a name of 'mvmscale list matrices'), --resume DIR and --table DIR");
		if (a->out && !a->file)
			argp_error(st, "--out goes with a matrix file");
		if (a->plots && !a->table)
			argp_error(st, "--plots goes with --table");
		if (a->table && (a->max || a->rounds || a->dry_run))
			argp_error(st,
				   "--table runs nothing: --max, --rounds and --dry-run do not go with it");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "FILE|NAME\n--resume DIR\n--table DIR",
	.doc = "Runs a list of configurations and prints one table of them: sleeping and ticking guests, with and without KVM, 32 and 64 bit, and whatever else a .matrix file lists."
	       "\vThe configurations are run in turn, every round once, each as a run of its own. What is interrupted can be gone on with. The folder gets matrix.json, one run folder per "
	       "configuration and round, the table as table.txt, .csv, .json, .md and .tex, and the curves as cpu, ram, swap and guests (.svg and .png).\n\n"
	       "Examples:\n"
	       "  mvmscale matrix quick\n"
	       "  mvmscale matrix table1 --dry-run\n"
	       "  mvmscale matrix table1 --rounds 3 --beside bratterud2013 -o runs/table1\n"
	       "  mvmscale matrix --table runs/table1 --format tex\n\n"
	       "Exit status: 0 done, 2 bad input, 3 nothing could run here, 5 VMs were lost or did not answer, 130 interrupted with results saved.",
};

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

/* Without SA_RESTART: who waits must notice. */
static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static error *open_folder(const struct matrix_args *a, const char *dir, struct matrix_spec *file,
			  struct matrix **ret)
{
	_cleanup_(matrix_freep) struct matrix *m = NULL;
	error *e = matrix_open(dir, &m);

	if (e || (e = matrix_may_resume(m, file, a->rounds, a->max, NULL)))
		return e;
	if (a->rounds)
		matrix_set_rounds(m, a->rounds);
	*ret = STEAL(m);
	return NULL;
}

static char *standard_dir(const char *name)
{
	char stamp[17];

	clock_utc_stamp(stamp);
	char *dir = xasprintf("runs/%s-matrix-%s", stamp, name);
	for (int i = 2; access(dir, F_OK) == 0; i++) {
		free(dir);
		dir = xasprintf("runs/%s-matrix-%s-%d", stamp, name, i);
	}
	return dir;
}

static bool holds_run(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/run.json", dir);

	return access(path, F_OK) == 0;
}

/* A new matrix, or the one that is in the folder already. */
static error *open_matrix(const struct matrix_args *a, struct matrix **ret)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *spec = NULL;

	if (a->resume || a->table)
		return open_folder(a, a->resume ? a->resume : a->table, NULL, ret);
	error *e = matrix_load(a->file, &spec);
	if (e)
		return e;
	if (a->out && matrix_exists(a->out))
		return open_folder(a, a->out, spec, ret);
	if (a->out && holds_run(a->out))
		return err_new(EXIT_BAD_INPUT, "%s is the folder of a run: choose another --out", a->out);
	if ((e = matrix_new(spec, a->rounds, a->max, ret)))
		return e;
	(*ret)->dir = a->out ? xstrdup(a->out) : standard_dir(spec->name);
	spec = NULL; /* the matrix has it now */
	return NULL;
}

/* Two that write into one folder would spoil it: the second one is refused. */
static error *lock_folder(const char *dir, int *ret)
{
	error *e = fs_mkdirs(dir);

	if (e)
		return e;
	*ret = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot open %s", dir);
	if (flock(*ret, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return NULL;
	return err_new(EXIT_CANNOT,
		       "%s: another mvmscale matrix works there: wait for it, or choose another --out", dir);
}

/* The files in the folder; what cannot be made is said and does not undo the rest. */
static void finish_folder(const struct matrix *m, const struct matrix_args *a)
{
	_cleanup_(strlist_clear) struct strlist made = { 0 };
	error *e = matrix_write_tables(m, a);

	if (e)
		cmd_fail(e);
	e = matrix_draw(m, &made);
	if (e)
		cmd_fail(err_wrap(e, "no figures"));
	if (a->quiet)
		return;
	_cleanup_free_ char *names = made.count ? strlist_join(&made) : NULL;
	fprintf(stderr, "Folder: %s (table.txt, .csv, .json, .md, .tex%s%s)\n", m->dir, names ? "; " : "",
		names ? names : "");
}

static error *run_it(struct matrix *m, struct matrix_args *a)
{
	struct matrix_observer obs;

	if (!a->quiet)
		matrix_show_plan(m, stderr);
	error *e = matrix_save(m, "running");
	if (e)
		return e;
	matrix_observer_init(&obs, a);
	e = matrix_run(m, &obs, &signals);
	finish_folder(m, a);
	return e;
}

/* The host of the folder must be this one: prepare has left it as it is, so it is compared here. */
static error *prepare(struct matrix *m)
{
	json_t *there = m->host;

	m->host = NULL;
	error *e = matrix_prepare(m);
	if (!there)
		return e;
	json_t *here = m->host;
	m->host = there;
	if (!e)
		e = matrix_may_resume(m, NULL, 0, 0, here);
	json_decref(here);
	return e;
}

static error *do_matrix(struct matrix_args *a, int *ret_status)
{
	_cleanup_(matrix_freep) struct matrix *m = NULL;
	const char *there = a->resume ? a->resume : a->out;
	_cleanup_close_ int lock = -1;
	error *e = NULL;

	/* before it is read: what another one still writes into it would be lost */
	if (!a->dry_run && there && matrix_exists(there) && (e = lock_folder(there, &lock)))
		return e;
	if ((e = open_matrix(a, &m)) || !m)
		return e;
	if (a->table) {
		if (a->plots)
			finish_folder(m, a);
		return matrix_print_table(m, a);
	}
	if ((e = prepare(m)))
		return e;
	if (a->dry_run) {
		matrix_show_plan(m, stdout);
		return NULL;
	}
	if ((lock < 0 && (e = lock_folder(m->dir, &lock))) || (e = run_it(m, a)))
		return e;
	*ret_status = matrix_status(m, signals > 0);
	return matrix_print_table(m, a);
}

static int run(int argc, char **argv)
{
	struct matrix_args a = { 0 };
	int status = EXIT_DONE;

	signal(SIGPIPE, SIG_IGN);
	cmd_parse(&cmd_matrix, argc, argv, &a);
	catch_signals();
	error *e = do_matrix(&a, &status);
	for (size_t i = 0; i < a.beside_count; i++) {
		csv_free(a.beside[i].csv);
		free(a.beside[i].label);
	}
	free(a.beside);
	strlist_clear(&a.warned);
	return e ? cmd_fail(e) : status;
}

const struct command cmd_matrix = {
	.name = "matrix",
	.summary = "run a list of configurations and print one table of them",
	.argp = &argp,
	.run = run,
};
