/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Round by round, cell by cell. */
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "host/governor.h"
#include "host/janitor.h"
#include "host/procfs.h"
#include "host/settings.h"
#include "matrix/matrix.h"

/* Memory is back when it is so near to what was free at first, or no more comes for a while. */
#define RETURNED_SHARE 0.003
#define STALL_SHARE 0.0002
#define RETURN_STALL_NS 3000000000ULL
#define RETURN_LIMIT_NS 120000000000ULL

struct drive {
	struct matrix *m;
	const struct matrix_observer *obs;
	volatile int *signals;
	size_t number, total; /* of the runs of this invocation */
	double free_kb;	      /* MemAvailable before the first of them */
};

void matrix_run_argv(const struct matrix *m, unsigned round, size_t cell, const char *dir,
		     struct strlist *ret)
{
	const struct matrix_cell *c = &m->cells.items[cell];
	const struct cell_plan *p = &m->plans[cell];
	long seed = 1;

	strlist_add(ret, "run");
	strlist_addf(ret, "--max=%u", p->max);
	for (int k = 0; k < KEY_ROOM; k++) {
		const struct key_info *i = matrix_key_info(k);

		if (!c->value[k] || !i->option || k == KEY_MAX || k == KEY_SEED || (k == KEY_QEMU && p->qemu))
			continue;
		if (i->kind != KIND_FLAG)
			strlist_addf(ret, "--%s=%s", i->option->name, c->value[k]);
		else if (str_eq(c->value[k], "yes"))
			strlist_addf(ret, "--%s", i->option->name);
	}
	if (p->qemu)
		strlist_addf(ret, "--qemu=%s", p->qemu);
	if (c->value[KEY_OPTIONS])
		strlist_add_words(ret, c->value[KEY_OPTIONS]);
	/* every round draws anew, and every cell of a round the same */
	if (c->value[KEY_SEED])
		parse_long(c->value[KEY_SEED], 0, 4294967295L, &seed);
	strlist_addf(ret, "--seed=%ld", seed + (long)round);
	strlist_addf(ret, "--name=%s", c->label);
	strlist_addf(ret, "--out=%s", dir);
}

/* As it would be typed; it stands in matrix.json. */
static char *typed(const struct strlist *argv)
{
	_cleanup_(strlist_clear) struct strlist words = { 0 };

	strlist_add(&words, "mvmscale");
	for (size_t i = 0; i < argv->count; i++) {
		_cleanup_free_ char *word = text_shell(argv->items[i]);

		strlist_add(&words, word);
	}
	_cleanup_free_ char *line = strlist_join(&words);
	return text_line(line);
}

/* A folder that no attempt has used: what was cut short stays as it is. */
static char *choose_dir(const struct matrix *m, unsigned round, size_t cell, struct cell_run *run)
{
	for (;;) {
		run->attempts++;
		char *name = run->attempts == 1 ? xasprintf("r%u-%02zu-%s", round + 1, cell + 1,
							    m->cells.items[cell].name)
						: xasprintf("r%u-%02zu-%s-try%u", round + 1, cell + 1,
							    m->cells.items[cell].name, run->attempts);
		_cleanup_free_ char *path = xasprintf("%s/%s", m->dir, name);

		if (access(path, F_OK) != 0)
			return name;
		free(name);
	}
}

/* The words of a run without a measurement: its last error line, without the program's name before it. */
static char *error_of(const struct cell_run *run, const char *tail)
{
	const char *at = strstr(tail, "mvmscale: "), *next;

	if (run->state == CELL_INTERRUPTED)
		return xstrdup("interrupted; what it had measured is in its folder");
	if (run->exit_status > 128)
		return xasprintf("killed by signal %d", run->exit_status - 128);
	while (at && (next = strstr(at + 1, "mvmscale: ")))
		at = next;
	if (at)
		return xstrdup(at + strlen("mvmscale: "));
	return *tail ? xstrdup(tail) : xasprintf("ended with status %d", run->exit_status);
}

static error *run_child(struct drive *d, unsigned round, size_t cell, struct cell_run *run)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", d->m->dir, run->dir), *tail = NULL, *record = NULL;
	_cleanup_(strlist_clear) struct strlist argv = { 0 };
	uint64_t start = clock_ns();
	int status = 0;

	matrix_run_argv(d->m, round, cell, dir, &argv);
	free(run->command);
	run->command = typed(&argv);
	error *e = child_run(&argv, d->signals, d->obs->line, d->obs->user, &status, &tail);
	if (e)
		return e;
	record = xasprintf("%s/run.json", dir);
	run->seconds = (double)(clock_ns() - start) / 1e9;
	run->exit_status = status;
	run->state = cell_state_of_exit(status, access(record, F_OK) == 0);
	if (*d->signals && !cell_measured(run->state))
		run->state = CELL_INTERRUPTED;
	if (!cell_measured(run->state))
		run->error = error_of(run, tail);
	return NULL;
}

/* With the governor set, if the cell asks for one, and put back whatever comes of the run. */
static error *run_governed(struct drive *d, unsigned round, size_t cell, struct cell_run *run)
{
	const char *governor = d->m->cells.items[cell].value[KEY_GOVERNOR];
	_cleanup_(strlist_clear) struct strlist said = { 0 };
	struct settings *s = NULL;
	int janitor_fd = -1;
	pid_t janitor = 0;
	error *e;

	if (!governor)
		return run_child(d, round, cell, run);
	if ((e = settings_open(&s)))
		return e;
	/* the janitor puts it back should we be killed */
	if (!(e = janitor_start(&janitor_fd, &janitor)) && !(e = governor_set(s, "", governor)))
		e = run_child(d, round, cell, run);
	error *restored = settings_restore(s, &said);
	settings_close(s);
	janitor_dismiss(janitor_fd, janitor, !restored);
	if (restored && !e)
		run->error = xstrdup(restored->msg); /* the measurement stands */
	err_free(restored);
	return e;
}

static void forget(struct cell_run *run)
{
	free(run->dir);
	free(run->error);
	run->dir = run->error = NULL;
	run->seconds = 0;
	run->exit_status = 0;
}

static double available_kb(double *ret_total)
{
	_cleanup_free_ char *text = proc_text("", "/proc/meminfo");
	struct meminfo mem;

	parse_meminfo(text, &mem);
	*ret_total = (double)mem.total;
	return (double)mem.available;
}

/* What the run before used comes back with a delay, and would be taken for memory that this one saves. */
static void await_memory(struct drive *d)
{
	double total, last = available_kb(&total);
	uint64_t start = clock_ns(), risen = start;

	d->free_kb = d->free_kb > 0 ? d->free_kb : last;
	while (!*d->signals && last < d->free_kb - RETURNED_SHARE * total &&
	       clock_ns() - start < RETURN_LIMIT_NS && clock_ns() - risen < RETURN_STALL_NS) {
		clock_sleep_ns(100000000);
		double now = available_kb(&total);
		if (now > last + STALL_SHARE * total) {
			risen = clock_ns();
			last = now;
		}
	}
}

static error *run_cell(struct drive *d, unsigned round, size_t cell)
{
	struct cell_run *run = matrix_run_at(d->m, round, cell);
	const struct cell_plan *p = &d->m->plans[cell];

	d->number++;
	forget(run);
	if (d->obs->cell)
		d->obs->cell(d->obs->user, d->m, d->number, d->total, round, cell, p->cannot);
	if (p->cannot) {
		run->state = CELL_CANNOT;
		run->exit_status = EXIT_CANNOT;
		run->error = xstrdup(p->cannot);
	} else {
		await_memory(d);
		run->dir = choose_dir(d->m, round, cell, run);
		run->state = CELL_RUNNING;
		error *e = matrix_save(d->m, "running");
		if (!e)
			e = run_governed(d, round, cell, run);
		if (e) {
			run->state = CELL_FAILED;
			run->error = xstrdup(e->msg);
			err_free(e);
		}
	}
	/* what cannot run in this round cannot in the next; it is tried again by the next invocation */
	if (run->state == CELL_CANNOT && !p->cannot)
		d->m->plans[cell].cannot = xstrdup(run->error);
	error *e = matrix_save(d->m, "running");
	if (!e && d->obs->ended)
		d->obs->ended(d->obs->user, d->m, round, cell);
	return e;
}

/* A folder that was taken away or damaged since is as good as none. */
static void look_for_lost(struct drive *d)
{
	for (size_t i = 0; i < d->m->rounds * d->m->cells.count; i++) {
		struct cell_run *run = &d->m->runs[i];
		_cleanup_free_ char *record =
			xasprintf("%s/%s/run.json", d->m->dir, run->dir ? run->dir : ".");

		if (cell_measured(run->state) && access(record, R_OK) != 0)
			run->state = CELL_PENDING;
		d->total += cell_to_run(run->state);
	}
}

error *matrix_run(struct matrix *m, const struct matrix_observer *obs, volatile int *signals)
{
	struct drive d = { .m = m, .obs = obs, .signals = signals };
	_cleanup_free_ size_t *order = xcalloc(m->cells.count, sizeof(*order));
	error *e = NULL;

	look_for_lost(&d);
	for (unsigned r = 0; r < m->rounds && !e; r++) {
		matrix_order(m->order, m->cells.count, m->rounds, r, order);
		for (size_t i = 0; i < m->cells.count && !e && !*signals; i++)
			if (cell_to_run(matrix_run_at(m, r, order[i])->state))
				e = run_cell(&d, r, order[i]);
	}
	return e ? e : matrix_save(m, *signals ? "interrupted" : "complete");
}
