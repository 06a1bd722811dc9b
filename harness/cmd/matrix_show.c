/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the matrix command says: the plan, the progress, the table. */
#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/matrix.h"
#include "run/progress.h"

void matrix_show_plan(const struct matrix *m, FILE *out)
{
	static const struct table_column columns[] = { { .heading = "VMs", .align = TABLE_RIGHT },
						       { .heading = "estimate", .align = TABLE_RIGHT },
						       { .heading = "done" },
						       { .heading = "configuration" } };
	struct table t = table_new(columns, ARRAY_LEN(columns));
	char left[40];
	size_t runs = 0;

	fprintf(out, "%s: %s\n%zu configurations, %u %s, order %s\n\n", m->spec->name,
		m->spec->value[KEY_SUMMARY] ? m->spec->value[KEY_SUMMARY] : "", m->cells.count, m->rounds,
		m->rounds == 1 ? "round" : "rounds", matrix_order_names[m->order]);
	for (size_t i = 0; i < m->cells.count; i++) {
		const struct cell_plan *p = &m->plans[i];
		unsigned done = 0;
		char time[40];

		for (unsigned r = 0; r < m->rounds; r++)
			done += cell_measured(matrix_run_at(m, r, i)->state);
		runs += p->cannot ? 0 : m->rounds - done;
		progress_duration(time, p->estimate_s);
		char *label =
			p->cannot ? xasprintf("%s: cannot run here: %s", m->cells.items[i].label, p->cannot)
			: p->qemu ? xasprintf("%s (%s, emulates %s)", m->cells.items[i].label, p->qemu,
					      p->target)
				  : xstrdup(m->cells.items[i].label);
		table_row(&t, (char *[]){ xasprintf("%u", p->max), p->cannot ? NULL : xstrdup(time),
					  xasprintf("%u of %u", done, m->rounds), label });
	}
	table_write_text(&t, "", out);
	table_clear(&t);
	progress_duration(left, matrix_seconds_left(m));
	fprintf(out, "\n%zu runs to make, about %s; the estimate is rough until the first of them are over\n",
		runs, left);
}

/* What is shown beside, below our own rows. */
static error *table_with_beside(const struct matrix *m, const struct matrix_args *a, struct matrix_table *ret)
{
	error *e = NULL;

	matrix_table_read(m, ret);
	for (size_t i = 0; i < a->beside_count && !e; i++)
		e = matrix_table_add_beside(ret, a->beside[i].csv, a->beside[i].label);
	if (e)
		matrix_table_clear(ret);
	return e;
}

error *matrix_write_tables(const struct matrix *m, const struct matrix_args *a)
{
	struct matrix_table t;
	error *e = table_with_beside(m, a, &t);

	if (e)
		return e;
	for (int f = 0; f < TABLE_FORMAT_COUNT && !e; f++) {
		_cleanup_free_ char *path = xasprintf("%s/table.%s", m->dir, table_format_endings[f]);
		_cleanup_free_ char *text = matrix_table_render(&t, (enum table_format)f);

		e = fs_write_atomic(path, text, strlen(text));
	}
	matrix_table_clear(&t);
	return e;
}

error *matrix_print_table(const struct matrix *m, const struct matrix_args *a)
{
	struct matrix_table t;
	error *e = table_with_beside(m, a, &t);

	if (e)
		return e;
	_cleanup_free_ char *text = matrix_table_render(&t, a->format);
	fputs(text, stdout);
	fflush(stdout);
	matrix_table_clear(&t);
	return NULL;
}

static void on_cell(void *user, const struct matrix *m, size_t number, size_t total, unsigned round,
		    size_t cell, const char *why)
{
	const struct matrix_args *a = user;
	char left[40];

	if (a->quiet)
		return;
	progress_duration(left, matrix_seconds_left(m));
	fprintf(stderr, "[%zu/%zu] round %u: %s", number, total, round + 1, m->cells.items[cell].label);
	if (why)
		fprintf(stderr, ": cannot run here: %s\n", why);
	else
		fprintf(stderr, ", up to %u VMs; about %s left in all\n", m->plans[cell].max, left);
}

/* Whether that was said before; figures in it may differ. */
static bool warned(struct matrix_args *a, const char *text)
{
	size_t n = strcspn(text, "0123456789");

	for (size_t i = 0; i < a->warned.count; i++)
		if (strncmp(a->warned.items[i], text, n) == 0)
			return true;
	strlist_add(&a->warned, text);
	return false;
}

static void on_line(void *user, const char *text)
{
	struct matrix_args *a = user;

	if (!a->quiet && !(str_starts(text, "warning:") && warned(a, text)))
		fprintf(stderr, "    %s\n", text);
}

static void on_ended(void *user, const struct matrix *m, unsigned round, size_t cell)
{
	const struct matrix_args *a = user;
	const struct cell_run *run = matrix_run_at(m, round, cell);

	/* a table that is behind by one run is no reason to give up; the last one is written again */
	error *e = matrix_write_tables(m, a);
	if (e)
		cmd_fail(e);
	if (run->state == CELL_FAILED || (cell_measured(run->state) && run->error) ||
	    (run->state == CELL_CANNOT && !m->plans[cell].cannot))
		fprintf(stderr, "mvmscale: %s: %s: %s\n", m->cells.items[cell].label,
			cell_state_names[run->state], run->error);
}

void matrix_observer_init(struct matrix_observer *obs, struct matrix_args *a)
{
	*obs = (struct matrix_observer){ .user = a, .cell = on_cell, .line = on_line, .ended = on_ended };
}

int matrix_status(const struct matrix *m, bool interrupted)
{
	bool measured = false, lost = false;

	for (size_t i = 0; i < m->rounds * m->cells.count; i++) {
		measured |= cell_measured(m->runs[i].state);
		lost |= m->runs[i].state == CELL_UNTRUSTED;
	}
	if (interrupted)
		return EXIT_INTERRUPTED;
	if (!measured)
		return EXIT_CANNOT;
	return lost ? EXIT_UNTRUSTED : EXIT_DONE;
}
