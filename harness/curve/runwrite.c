/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "curve/runwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "sample/nodes.h"

/* The text of one row, built in memory so that it reaches the file in a single write. */
struct row {
	char *text;
	size_t len;
	FILE *f;
};

static void row_open(struct row *r)
{
	*r = (struct row){ 0 };
	r->f = open_memstream(&r->text, &r->len);
}

static void row_number(struct row *r, double v)
{
	if (isnan(v))
		fputc(',', r->f);
	else
		fprintf(r->f, ",%.9g", v);
}

static error *append(int fd, const char *dir, const char *file, const char *text, size_t len)
{
	off_t before = lseek(fd, 0, SEEK_END);
	ssize_t n = write(fd, text, len);

	bool is_sample = strcmp(file, "samples.csv") == 0;

	if (n == (ssize_t)len && !(is_sample && fault_hit(FAULT_ENOSPC)))
		return NULL;
	int sys = n < 0 ? errno : ENOSPC; /* a short write is a full disk too */
	/* half a row would make the file unreadable: take it back */
	if (before >= 0 && ftruncate(fd, before) < 0)
		sys = errno;
	return err_sys(EXIT_CANNOT, sys, "cannot write %s/%s (what was written before is kept)", dir, file);
}

static error *row_append(struct row *r, int fd, const char *dir, const char *file)
{
	fputc('\n', r->f);
	fclose(r->f);
	error *e = append(fd, dir, file, r->text, r->len);
	free(r->text);
	return e;
}

static error *open_file(const struct run_folder *r, const char *name, int how, int *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", r->dir, name);

	*ret = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | how, 0644);
	return *ret < 0 ? err_sys(EXIT_CANNOT, errno, "cannot create %s", path) : NULL;
}

static error *samples_header(struct run_folder *r)
{
	struct row row;

	row_open(&row);
	fputs("time_s,vm_count", row.f);
	for (int m = 0; m < METRIC_COUNT; m++)
		fprintf(row.f, ",%s", metric_table[m].column);
	fputs(",window_s,interval,repeat,phase", row.f);
	return row_append(&row, r->samples_fd, r->dir, "samples.csv");
}

/* EEXIST in its sys says that somebody else has the folder. */
static error *taken(error *e, const char *dir)
{
	error *told = err_new(EXIT_BAD_INPUT,
			      "%s already holds a run: give another folder with --out, or move it away", dir);

	told->sys = EEXIST;
	err_free(e);
	return told;
}

error *run_folder_create(const char *dir, struct run_folder *ret)
{
	*ret = (struct run_folder){ .samples_fd = -1, .events_fd = -1, .teardown_fd = -1, .nodes_fd = -1 };
	_cleanup_free_ char *record = xasprintf("%s/run.json", dir);
	error *e = fs_mkdirs(dir);

	if (e)
		return err_wrap(e, "run folder (--out)");
	if (access(record, F_OK) == 0)
		return taken(NULL, dir);
	ret->dir = xstrdup(dir);
	/* who makes this file has the folder: of two that begin at once, one */
	if ((e = open_file(ret, "samples.csv", O_EXCL, &ret->samples_fd))) {
		run_folder_close(ret);
		return e->sys == EEXIST ? taken(e, dir) : err_wrap(e, "run folder (--out)");
	}
	ret->meta = json_object();
	ret->start_ns = clock_ns();
	if ((e = open_file(ret, "events.jsonl", O_TRUNC, &ret->events_fd)) || (e = samples_header(ret))) {
		run_folder_discard(ret);
		return err_wrap(e, "run folder (--out)");
	}
	return NULL;
}

void run_folder_close(struct run_folder *r)
{
	if (r->samples_fd >= 0)
		close(r->samples_fd);
	if (r->events_fd >= 0)
		close(r->events_fd);
	if (r->teardown_fd >= 0)
		close(r->teardown_fd);
	if (r->nodes_fd >= 0)
		close(r->nodes_fd);
	if (r->meta)
		json_decref(r->meta);
	free(r->dir);
	*r = (struct run_folder){ .samples_fd = -1, .events_fd = -1, .teardown_fd = -1, .nodes_fd = -1 };
}

void run_folder_discard(struct run_folder *r)
{
	static const char *const files[] = { "samples.csv",   "events.jsonl", "run.json",
					     "intervals.csv", "teardown.csv", "nodes.csv" };

	for (size_t i = 0; r->dir && i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", r->dir, files[i]);
		unlink(path);
	}
	if (r->dir)
		rmdir(r->dir); /* stays when the user keeps other things in it */
	run_folder_close(r);
}

error *run_folder_save(struct run_folder *r)
{
	_cleanup_free_ char *path = xasprintf("%s/run.json", r->dir);
	_cleanup_free_ char *text = json_dumps(r->meta, JSON_INDENT(2) | JSON_REAL_PRECISION(10));

	if (!text)
		return err_new(EXIT_CANNOT, "run.json: a value cannot be written as JSON");
	return fs_write_atomic(path, text, strlen(text));
}

error *run_folder_sample(struct run_folder *r, const struct sample *s, uint32_t vm_count, unsigned interval,
			 unsigned repeat, enum phase phase)
{
	struct row row;

	row_open(&row);
	fprintf(row.f, "%.6f,%u", (double)(s->at_ns - r->start_ns) / 1e9, vm_count);
	for (int m = 0; m < METRIC_COUNT; m++)
		row_number(&row, s->v[m]);
	fprintf(row.f, ",%.6f,%u,%u,%d", s->window_s, interval, repeat, (int)phase);
	return row_append(&row, r->samples_fd, r->dir, "samples.csv");
}

error *run_folder_nodes(struct run_folder *r, const struct node_memory *nodes, size_t n, uint32_t vm_count,
			unsigned interval, unsigned repeat)
{
	bool first = r->nodes_fd < 0;
	struct row row;
	error *e = first ? open_file(r, "nodes.csv", O_TRUNC, &r->nodes_fd) : NULL;

	if (e)
		return e;
	row_open(&row);
	if (first)
		fputs("time_s,vm_count,interval,repeat,node,total_kb,free_kb,used_kb,anon_kb,file_kb,"
		      "kernel_stack_kb,page_tables_kb,slab_kb\n",
		      row.f);
	for (size_t i = 0; i < n; i++) {
		const struct node_memory *m = &nodes[i];
		const long long kb[] = { m->total, m->free,	    m->used,	    m->anon,
					 m->file,  m->kernel_stack, m->page_tables, m->slab };

		fprintf(row.f, "%s%.3f,%u,%u,%u,%d", i ? "\n" : "", (double)(clock_ns() - r->start_ns) / 1e9,
			vm_count, interval, repeat, m->node);
		for (size_t k = 0; k < ARRAY_LEN(kb); k++)
			fprintf(row.f, kb[k] < 0 ? "," : ",%lld", kb[k]);
	}
	return row_append(&row, r->nodes_fd, r->dir, "nodes.csv");
}

error *run_folder_event(struct run_folder *r, const char *event, json_t *detail)
{
	json_t *line =
		json_pack("{s:f,s:s}", "time_s", (double)(clock_ns() - r->start_ns) / 1e9, "event", event);

	if (detail) {
		json_object_update(line, detail);
		json_decref(detail);
	}
	_cleanup_free_ char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_decref(line);
	_cleanup_free_ char *full = xasprintf("%s\n", text ? text : "{}");
	return append(r->events_fd, r->dir, "events.jsonl", full, strlen(full));
}

error *run_folder_teardown(struct run_folder *r, const struct teardown_row *t)
{
	struct row row;
	bool first = r->teardown_fd < 0;
	error *e = first ? open_file(r, "teardown.csv", O_TRUNC, &r->teardown_fd) : NULL;

	if (e)
		return e;
	row_open(&row);
	if (first)
		fputs("repeat,time_s,vm_count,ram_pct,swap_pct,tasks\n", row.f);
	fprintf(row.f, "%u,%.6f,%u", t->repeat, t->seconds, t->vms);
	row_number(&row, t->ram_pct);
	row_number(&row, t->swap_pct);
	row_number(&row, t->tasks < 0 ? (double)NAN : (double)t->tasks);
	return row_append(&row, r->teardown_fd, r->dir, "teardown.csv");
}

/* How many nodes have columns: up to the last that was read. */
static int nodes_of(const struct interval *rows, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		for (int node = count; node < NODES_SHOWN; node++)
			for (int k = 0; k < NODE_COLUMN_COUNT; k++)
				if (rows[i].node[node][k].n)
					count = node + 1;
	return count;
}

static void intervals_header(FILE *f, int nodes)
{
	fputs("vm_count", f);
	for (int m = 0; m < METRIC_COUNT; m++) {
		fprintf(f, ",%s_mean,%s_sd", metric_table[m].column, metric_table[m].column);
		if (m == METRIC_SWAP)
			fputs(",samples,settled", f);
	}
	for (int k = 0; k < EXTRA_COUNT; k++)
		fprintf(f, ",%s", interval_extra_columns[k]);
	for (int node = 0; node < nodes; node++)
		for (int k = 0; k < NODE_COLUMN_COUNT; k++)
			fprintf(f, ",node%d_%s", node, node_column_names[k]);
	fputs(",invalid_samples\n", f);
}

static void interval_row(struct row *row, const struct interval *i, int nodes)
{
	fprintf(row->f, "%.0f", moments_mean(&i->vm_count));
	for (int m = 0; m < METRIC_COUNT; m++) {
		row_number(row, moments_mean(&i->metric[m]));
		row_number(row, moments_sd(&i->metric[m]));
		if (m == METRIC_SWAP)
			fprintf(row->f, ",%u,%d", i->samples, i->settled);
	}
	for (int k = 0; k < EXTRA_COUNT; k++)
		row_number(row, i->extra[k]);
	for (int node = 0; node < nodes; node++)
		for (int k = 0; k < NODE_COLUMN_COUNT; k++)
			row_number(row, moments_mean(&i->node[node][k]));
	fprintf(row->f, ",%u\n", i->invalid);
}

error *run_folder_intervals(struct run_folder *r, const struct interval *rows, size_t n)
{
	_cleanup_free_ char *path = xasprintf("%s/intervals.csv", r->dir);
	int nodes = nodes_of(rows, n);
	struct row all;

	row_open(&all);
	intervals_header(all.f, nodes);
	for (size_t i = 0; i < n; i++)
		interval_row(&all, &rows[i], nodes);
	fclose(all.f);
	error *e = fs_write_atomic(path, all.text, all.len);
	free(all.text);
	return e;
}
