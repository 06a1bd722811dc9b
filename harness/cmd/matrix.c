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

/* A name without a slash may be one of the tables that are shipped. */
static error *load_beside(const char *name, struct matrix_beside *ret)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	_cleanup_free_ char *file = xasprintf("%s.csv", name);
	_cleanup_free_ char *shipped = base == name ? fs_find_data("matrix", file) : NULL;

	ret->label = xasprintf("%.*s", (int)strcspn(base, "."), base);
	return csv_load_whole(shipped ? shipped : name, &ret->csv);
}

static error *take_beside(const struct option_row *o, const char *name, void *config)
{
	struct matrix_args *a = config;

	(void)o;
	a->beside = xrealloc(a->beside, a->beside_count + 1, sizeof(*a->beside));
	struct matrix_beside *b = &a->beside[a->beside_count++];
	*b = (struct matrix_beside){ 0 };
	_cleanup_err_ error *e = load_beside(name, b);
	if (e)
		return err_new(EXIT_BAD_INPUT, "--beside %s: %s", name, e->msg);
	if (csv_column(b->csv, matrix_numbers[NUMBER_MVMS].name) < 0)
		return err_new(EXIT_BAD_INPUT, "--beside %s: no column '%s' in it", name,
			       matrix_numbers[NUMBER_MVMS].name);
	return NULL;
}

static error *take_format(const struct option_row *o, const char *arg, void *config)
{
	enum table_format *f = &((struct matrix_args *)config)->format;

	(void)o;
	for (*f = 0; *f < TABLE_FORMAT_COUNT; (*f)++)
		if (str_eq(arg, table_format_endings[*f]) || (*f == TABLE_TEXT && str_eq(arg, "text")))
			return NULL;
	return err_new(EXIT_BAD_INPUT, "--format %s: must be text, csv, json, md or tex", arg);
}

#define AT(field) offsetof(struct matrix_args, field)
#define WHAT "What to run:"
#define FOLDER "The folder:"
#define TABLE "The table:"

static const struct option_row options[] = {
	{ "max", 'n', "N", WHAT, OPT_WHOLE, AT(max),
	  .help = "Ramp every configuration up to N VMs, whatever the file says", .min = 1, .max = 10000000 },
	{ "rounds", 0, "R", WHAT, OPT_WHOLE, AT(rounds),
	  .help = "Run all configurations R times, interleaved", .min = 1, .max = 1000 },
	{ "dry-run", 0, NULL, WHAT, OPT_FLAG, AT(dry_run),
	  .help = "Only say what would be run, and how long it might take" },
	{ "out", 'o', "DIR", FOLDER, OPT_ANY, AT(out),
	  .help = "Folder of the matrix (default runs/<time>-matrix-<name>); one that is there is gone on with" },
	{ "resume", 0, "DIR", FOLDER, OPT_ANY, AT(resume),
	  .help = "Go on with what is missing there, without naming the file again" },
	{ "table", 0, "DIR", FOLDER, OPT_ANY, AT(table),
	  .help = "Run nothing: print the table of what is there" },
	{ "format", 'f', "FORMAT", TABLE, OPT_ANY, AT(format), .take = take_format,
	  .help = "How the table is printed: text, csv, json, md or tex (default text)" },
	{ "beside", 0, "FILE.csv", TABLE, OPT_ANY, AT(beside), .take = take_beside,
	  .help = "Show the rows of another table below: a table.csv, or the published one (bratterud2013)" },
	{ "plots", 0, NULL, TABLE, OPT_FLAG, AT(plots),
	  .help = "With --table: also write tables and figures into the folder again" },
	{ "quiet", 'q', NULL, TABLE, OPT_FLAG, AT(quiet), .help = "No progress, only the table" },
	{ 0 },
};

static error *check(void *config)
{
	const struct matrix_args *a = config;
	const char *wrong = NULL;

	if (a->file.count + !!a->resume + !!a->table != 1)
		wrong = "give one of a matrix (a file, or a name of 'mvmscale list matrices'), --resume DIR and --table DIR";
	else if (a->out && !a->file.count)
		wrong = "--out goes with a matrix file";
	else if (a->plots && !a->table)
		wrong = "--plots goes with --table";
	else if (a->table && (a->max || a->rounds || a->dry_run))
		wrong = "--table runs nothing: --max, --rounds and --dry-run do not go with it";
	return wrong ? err_new(EXIT_BAD_INPUT, "%s", wrong) : NULL;
}

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

/* Without SA_RESTART: who waits must notice. */
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
	error *e = matrix_load(a->file.items[0], &spec);
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
	cmd_on_end(on_signal);
	error *e = do_matrix(&a, &status);
	for (size_t i = 0; i < a.beside_count; i++) {
		csv_free(a.beside[i].csv);
		free(a.beside[i].label);
	}
	free(a.beside);
	strlist_clear(&a.warned);
	strlist_clear(&a.file);
	return e ? cmd_fail(e) : status;
}

const struct command cmd_matrix = {
	.name = "matrix",
	.summary = "run a list of configurations and print one table of them",
	.usage = "FILE|NAME\n--resume DIR\n--table DIR",
	.doc = "Runs a list of configurations and prints one table of them: sleeping and ticking guests, with and without KVM, 32 and 64 bit, and whatever else a .matrix file lists."
	       "\vThe configurations are run in turn, every round once, each as a run of its own. What is interrupted can be gone on with. The folder gets matrix.json, one run folder per "
	       "configuration and round, the table as table.txt, .csv, .json, .md and .tex, and the curves as cpu, ram, swap and guests (.svg and .png).\n\n"
	       "Examples:\n"
	       "  mvmscale matrix quick\n"
	       "  mvmscale matrix table1 --dry-run\n"
	       "  mvmscale matrix table1 --rounds 3 --beside bratterud2013 -o runs/table1\n"
	       "  mvmscale matrix --table runs/table1 --format tex\n\n"
	       "Exit status: 0 done, 2 bad input, 3 nothing could run here, 5 VMs were lost or did not answer, 130 interrupted with results saved.",
	.options = options,
	.words = AT(file),
	.most = 1,
	.too_many = "one matrix at a time",
	.check = check,
	.run = run,
};
