/* SPDX-License-Identifier: GPL-3.0-or-later */
/* matrix.json: what is to be run, and how far it has come. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "matrix/matrix.h"

#define RAM_SLACK 0.02

static unsigned given_whole(const struct matrix_spec *s, enum matrix_key k, unsigned fallback)
{
	long v = 0;

	return s->value[k] && parse_long(s->value[k], 0, 1000000000, &v) ? (unsigned)v : fallback;
}

error *matrix_new(struct matrix_spec *spec, unsigned rounds, long max, struct matrix **ret)
{
	_cleanup_(matrix_freep) struct matrix *m = xcalloc(1, sizeof(*m));
	char iso[21];

	m->spec = spec;
	error *e = matrix_expand(spec, &m->cells);
	if (e) {
		m->spec = NULL; /* still the caller's */
		return e;
	}
	clock_utc_iso(iso);
	m->started = xstrdup(iso);
	m->max = max;
	for (size_t i = 0; spec->value[KEY_ORDER] && i < ARRAY_LEN(matrix_order_names); i++)
		if (str_eq(spec->value[KEY_ORDER], matrix_order_names[i]))
			m->order = (enum matrix_order)i;
	m->plans = xcalloc(m->cells.count, sizeof(*m->plans));
	matrix_set_rounds(m, rounds ? rounds : given_whole(spec, KEY_ROUNDS, 1));
	*ret = STEAL(m);
	return NULL;
}

void matrix_set_rounds(struct matrix *m, unsigned rounds)
{
	size_t had = m->rounds * m->cells.count, has = rounds * m->cells.count;

	if (has <= had)
		return;
	m->runs = xrealloc(m->runs, has, sizeof(*m->runs));
	memset(m->runs + had, 0, (has - had) * sizeof(*m->runs));
	m->rounds = rounds;
}

struct cell_run *matrix_run_at(const struct matrix *m, unsigned round, size_t cell)
{
	return &m->runs[round * m->cells.count + cell];
}

void matrix_free(struct matrix *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->rounds * m->cells.count; i++) {
		free(m->runs[i].dir);
		free(m->runs[i].error);
		free(m->runs[i].command);
	}
	for (size_t i = 0; i < m->cells.count && m->plans; i++) {
		free(m->plans[i].qemu);
		free(m->plans[i].target);
		free(m->plans[i].asked);
		free(m->plans[i].cannot);
	}
	free(m->runs);
	free(m->plans);
	matrix_cells_clear(&m->cells);
	matrix_spec_free(m->spec);
	json_decref(m->host);
	free(m->started);
	free(m->dir);
	free(m);
}

static json_t *runs_json(const struct matrix *m, size_t cell)
{
	json_t *a = json_array();

	for (unsigned r = 0; r < m->rounds; r++) {
		const struct cell_run *run = matrix_run_at(m, r, cell);

		json_array_append_new(a, json_pack("{s:i,s:s,s:i,s:i,s:f,s:s?,s:s?,s:s?}", "round",
						   (int)r + 1, "state", cell_state_names[run->state],
						   "attempts", (int)run->attempts, "exit_status",
						   run->exit_status, "seconds", run->seconds, "dir", run->dir,
						   "error", run->error, "command", run->command));
	}
	return a;
}

static json_t *values_json(const struct matrix_cell *c)
{
	json_t *o = json_object();

	for (int k = 0; k < KEY_ROOM; k++)
		if (c->value[k])
			json_object_set_new(o, matrix_key_info(k)->name, json_string(c->value[k]));
	return o;
}

json_t *matrix_json(const struct matrix *m, const char *state)
{
	json_t *cells = json_array();

	for (size_t i = 0; i < m->cells.count; i++) {
		const struct cell_plan *p = &m->plans[i];

		json_array_append_new(
			cells, json_pack("{s:s,s:s,s:o,s:i,s:f,s:{s:s?,s:s?,s:s?},s:s?,s:o}", "name",
					 m->cells.items[i].name, "label", m->cells.items[i].label, "values",
					 values_json(&m->cells.items[i]), "max", (int)p->max, "estimate_s",
					 p->estimate_s, "qemu", "asked", p->asked, "program", p->qemu,
					 "target", p->target, "cannot", p->cannot, "runs", runs_json(m, i)));
	}
	return json_pack("{s:i,s:s,s:s,s:s,s:s?,s:s,s:s,s:s?,s:i,s:s,s:I,s:O?,s:o}", "format", MATRIX_FORMAT,
			 "tool", "mvmscale " MVM_VERSION, "state", state, "name", m->spec->name, "summary",
			 m->spec->value[KEY_SUMMARY], "started", m->started, "text", m->spec->text, "folder",
			 m->spec->folder, "rounds", (int)m->rounds, "order", matrix_order_names[m->order],
			 "max_given", (json_int_t)m->max, "host", m->host, "cells", cells);
}

static char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? xstrdup(s) : NULL;
}

static long number_of(const json_t *o, const char *key)
{
	return (long)json_integer_value(json_object_get(o, key));
}

static bool take_run(const json_t *j, struct cell_run *run)
{
	const char *state = json_string_value(json_object_get(j, "state"));
	bool known = false;

	for (size_t i = 0; state && i < ARRAY_LEN(cell_state_names); i++) {
		if (!str_eq(state, cell_state_names[i]))
			continue;
		run->state = (enum cell_state)i;
		known = true;
	}
	run->attempts = (unsigned)number_of(j, "attempts");
	run->exit_status = (int)number_of(j, "exit_status");
	run->seconds = json_number_value(json_object_get(j, "seconds"));
	run->dir = text_of(j, "dir");
	run->error = text_of(j, "error");
	run->command = text_of(j, "command");
	/* names of other folders have no place here */
	return known && (!run->dir || !strchr(run->dir, '/'));
}

static bool take_cell(struct matrix *m, size_t cell, const json_t *j)
{
	const json_t *runs = json_object_get(j, "runs"), *qemu = json_object_get(j, "qemu");
	const char *name = json_string_value(json_object_get(j, "name"));
	struct cell_plan *p = &m->plans[cell];
	long max = number_of(j, "max");

	if (!str_eq(name ? name : "", m->cells.items[cell].name) || json_array_size(runs) != m->rounds ||
	    max < 0 || max > 10000000)
		return false;
	p->max = (unsigned)max;
	p->estimate_s = json_number_value(json_object_get(j, "estimate_s"));
	p->asked = text_of(qemu, "asked");
	p->qemu = text_of(qemu, "program");
	p->target = text_of(qemu, "target");
	p->cannot = text_of(j, "cannot");
	for (unsigned r = 0; r < m->rounds; r++)
		if (!take_run(json_array_get(runs, r), matrix_run_at(m, r, cell)))
			return false;
	return true;
}

static error *damaged(const char *what, const char *how)
{
	return err_new(EXIT_BAD_INPUT,
		       "%s: %s: the file is damaged; restore it from a copy, or begin anew in another folder",
		       what, how);
}

error *matrix_from_json(const json_t *j, const char *what, struct matrix **ret)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *spec = NULL;
	_cleanup_(matrix_freep) struct matrix *m = NULL;
	const char *text = json_string_value(json_object_get(j, "text"));
	const char *name = json_string_value(json_object_get(j, "name"));
	const json_t *cells = json_object_get(j, "cells");
	long rounds = number_of(j, "rounds"), format = number_of(j, "format");

	if (!json_is_object(j) || !text || !name)
		return damaged(what, "\"text\" or \"name\" is missing");
	if (format != MATRIX_FORMAT)
		return err_new(EXIT_BAD_INPUT,
			       "%s: format %ld, this mvmscale reads format %d: use the version that wrote it",
			       what, format, MATRIX_FORMAT);
	if (rounds < 1 || rounds > 1000)
		return damaged(what, "\"rounds\" is no number from 1 to 1000");
	error *e = matrix_parse(text, name, &spec);
	if (!e)
		spec->folder = text_of(j, "folder");
	if (e || (e = matrix_new(spec, (unsigned)rounds, number_of(j, "max_given"), &m)))
		return err_wrap(e, "%s", what);
	spec = NULL; /* m has it now */
	free(m->started);
	m->started = text_of(j, "started");
	m->started = m->started ? m->started : xstrdup("");
	m->host = json_incref(json_object_get(j, "host"));
	if (json_array_size(cells) != m->cells.count)
		return damaged(what, "\"cells\" are not those of its text");
	for (size_t i = 0; i < m->cells.count; i++) {
		_cleanup_free_ char *how = xasprintf("cell %zu", i + 1);

		if (!take_cell(m, i, json_array_get(cells, i)))
			return damaged(what, how);
	}
	*ret = STEAL(m);
	return NULL;
}

bool matrix_exists(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/matrix.json", dir);

	return access(path, F_OK) == 0;
}

error *matrix_save(const struct matrix *m, const char *state)
{
	_cleanup_free_ char *path = xasprintf("%s/matrix.json", m->dir);
	json_t *j = matrix_json(m, state);
	_cleanup_free_ char *text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(10));

	json_decref(j);
	return text ? fs_write_atomic(path, text, strlen(text))
		    : err_new(EXIT_CANNOT, "cannot write %s: a text in it is not UTF-8", path);
}

error *matrix_open(const char *dir, struct matrix **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/matrix.json", dir);
	json_error_t je;

	if (!matrix_exists(dir))
		return err_new(EXIT_BAD_INPUT,
			       "%s holds no matrix.json: give a folder that 'mvmscale matrix' wrote", dir);
	json_t *j = json_load_file(path, 0, &je);
	if (!j) {
		_cleanup_free_ char *how = xasprintf("line %d: %s", je.line, je.text);

		return damaged(path, how);
	}
	error *e = matrix_from_json(j, path, ret);
	json_decref(j);
	if (!e)
		(*ret)->dir = xstrdup(dir);
	return e;
}

/* Of the same RAM the kernel keeps a little more or less for itself from boot to boot. */
static bool same_fact(const char *name, const json_t *a, const json_t *b)
{
	double x = json_number_value(a), y = json_number_value(b);

	return json_equal(a, b) || (str_eq(name, "ram_kb") && x > 0 && fabs(x - y) <= RAM_SLACK * x);
}

/* The first fact of the host that is another now, in words; NULL when it is the same. */
static char *other_host(const json_t *there, const json_t *here)
{
	static const char *const facts[] = { "cpu", "cores", "ram_kb", "kernel" };

	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		const json_t *a = json_object_get(there, facts[i]), *b = json_object_get(here, facts[i]);

		if (!a || !b || same_fact(facts[i], a, b))
			continue;
		_cleanup_free_ char *was = json_dumps(a, JSON_ENCODE_ANY),
				    *is = json_dumps(b, JSON_ENCODE_ANY);
		return xasprintf("%s is %s there, %s here", facts[i], was, is);
	}
	return NULL;
}

error *matrix_may_resume(const struct matrix *m, const struct matrix_spec *file, unsigned rounds, long max,
			 const json_t *host)
{
	_cleanup_free_ char *text = file ? matrix_difference(m->spec->text, file->text) : NULL;
	_cleanup_free_ char *other = host ? other_host(m->host, host) : NULL;

	if (text)
		return err_new(
			EXIT_BAD_INPUT,
			"%s was made from another matrix file: %s; choose another --out, or go on with the one it was made from by --resume %s",
			m->dir, text, m->dir);
	_cleanup_free_ char *had = m->max ? xasprintf("with --max %ld", m->max) : xstrdup("without --max");
	if (max && max != m->max)
		return err_new(EXIT_BAD_INPUT, "%s was made %s, not with --max %ld: choose another --out",
			       m->dir, had, max);
	if (rounds && rounds < m->rounds)
		return err_new(
			EXIT_BAD_INPUT,
			"%s was made with %u rounds: it can get more, but not be cut to %u; choose another --out",
			m->dir, m->rounds, rounds);
	if (other)
		return err_new(
			EXIT_BAD_INPUT,
			"%s was made on another host (%s): its rows would not compare; choose another --out",
			m->dir, other);
	return NULL;
}
