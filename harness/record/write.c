/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/write.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "base/util.h"
#include "record/nodes.h"

static void row_number(struct textbuf *r, double v)
{
	if (isnan(v))
		fputc(',', r->f);
	else
		fprintf(r->f, ",%.9g", v);
}

static error *append(int fd, const struct run_folder *r, const char *file, const char *text, size_t len)
{
	_cleanup_free_ char *what = xasprintf("%s/%s (what was written before is kept)", r->dir, file);

	if (str_eq(file, "samples.csv") && fault_hit(FAULT_ENOSPC))
		return dir_cannot_write(ENOSPC, what);
	return dir_append(fd, what, text, len);
}

/* The text of one row is built in memory, so that it reaches the file in a single write. */
static error *row_append(struct textbuf *row, int fd, const struct run_folder *r, const char *file)
{
	fputc('\n', row->f);
	textbuf_close(row);
	error *e = append(fd, r, file, row->text, row->len);
	free(row->text);
	return e;
}

static error *samples_header(struct run_folder *r)
{
	struct textbuf row;

	textbuf_open(&row);
	fputs("time_s,vm_count", row.f);
	for (int m = 0; m < METRIC_COUNT; m++)
		fprintf(row.f, ",%s", metric_table[m].column);
	fputs(",window_s,interval,repeat,phase", row.f);
	return row_append(&row, r->samples_fd, r, "samples.csv");
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

/* All that a run writes as it goes; nobody else's must be among them. */
static const char *const run_files[] = { "run.json",	 "samples.csv", "events.jsonl", "intervals.csv",
					 "teardown.csv", "nodes.csv",	"hosts.csv" };

/* Its files would lie among those of the system. */
static error *check_place(const struct dir *d)
{
	static const char *const no_places[] = {
		"/",	  "/bin",  "/boot", "/dev",  "/etc", "/home", "/lib",
		"/lib64", "/proc", "/run",  "/sbin", "/sys", "/usr",  "/var"
	};
	struct stat own, other;

	for (size_t i = 0; fstat(d->fd, &own) == 0 && i < ARRAY_LEN(no_places); i++)
		if (stat(no_places[i], &other) == 0 && other.st_dev == own.st_dev &&
		    other.st_ino == own.st_ino)
			return err_new(
				EXIT_BAD_INPUT,
				"%s: the system's folder %s is no place for the files of a run: name a folder of its own, such as runs/NAME",
				d->path, no_places[i]);
	return NULL;
}

static error *check_free(const struct dir *d)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(run_files); i++) {
		if (fstatat(d->fd, run_files[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (i < 2)
			return taken(NULL, d->path);
		return err_new(EXIT_BAD_INPUT, "%s already holds a file %s: give another folder with --out",
			       d->path, run_files[i]);
	}
	return NULL;
}

static error *open_run_folder(const char *dir, struct dir *ret)
{
	error *e = dir_open(dir, DIR_CREATE | DIR_OWN, ret);

	if (!e && !(e = check_place(ret)))
		e = check_free(ret);
	if (e)
		dir_close(ret);
	return e;
}

error *run_folder_create(const char *dir, struct run_folder *ret)
{
	*ret = RUN_FOLDER_NONE;
	error *e = open_run_folder(dir, &ret->at);

	if (e)
		return e->sys == EEXIST ? e : err_wrap(e, "run folder (--out)");
	ret->dir = xstrdup(dir);
	/* who makes this file has the folder: of two that begin at once, one */
	if ((e = dir_create(&ret->at, "samples.csv", &ret->samples_fd))) {
		run_folder_close(ret);
		return e->sys == EEXIST ? taken(e, dir) : err_wrap(e, "run folder (--out)");
	}
	ret->meta = json_object();
	ret->start_ns = clock_ns();
	if ((e = dir_create(&ret->at, "events.jsonl", &ret->events_fd)) || (e = samples_header(ret))) {
		run_folder_discard(ret);
		return err_wrap(e, "run folder (--out)");
	}
	return NULL;
}

void run_folder_close(struct run_folder *r)
{
	const int fds[] = { r->samples_fd, r->events_fd, r->teardown_fd, r->nodes_fd, r->hosts_fd };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r->meta)
		json_decref(r->meta);
	free(r->dir);
	dir_close(&r->at);
	*r = RUN_FOLDER_NONE;
}

void run_folder_discard(struct run_folder *r)
{
	for (size_t i = 0; r->at.fd >= 0 && i < ARRAY_LEN(run_files); i++)
		unlinkat(r->at.fd, run_files[i], 0);
	if (r->dir)
		rmdir(r->dir); /* stays when the user keeps other things in it */
	run_folder_close(r);
}

error *run_folder_save(struct run_folder *r)
{
	_cleanup_free_ char *text = json_dumps(r->meta, JSON_INDENT(2) | JSON_REAL_PRECISION(10));

	if (!text)
		return err_new(EXIT_CANNOT, "run.json: a value cannot be written as JSON");
	return dir_replace(&r->at, "run.json", text, strlen(text));
}

error *run_folder_sample(struct run_folder *r, const struct sample *s, uint32_t vm_count, unsigned interval,
			 unsigned repeat, enum phase phase)
{
	struct textbuf row;

	textbuf_open(&row);
	fprintf(row.f, "%.6f,%u", (double)(s->at_ns - r->start_ns) / 1e9, vm_count);
	for (int m = 0; m < METRIC_COUNT; m++)
		row_number(&row, s->v[m]);
	fprintf(row.f, ",%.6f,%u,%u,%d", s->window_s, interval, repeat, (int)phase);
	return row_append(&row, r->samples_fd, r, "samples.csv");
}

error *run_folder_nodes(struct run_folder *r, const struct node_memory *nodes, size_t n, uint32_t vm_count,
			unsigned interval, unsigned repeat)
{
	bool first = r->nodes_fd < 0;
	struct textbuf row;
	error *e = first ? dir_create(&r->at, "nodes.csv", &r->nodes_fd) : NULL;

	if (e)
		return e;
	textbuf_open(&row);
	if (first)
		fputs("time_s,vm_count,interval,repeat,node,total_kb,free_kb,used_kb,anon_kb,file_kb,kernel_stack_kb,page_tables_kb,slab_kb\n",
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
	return row_append(&row, r->nodes_fd, r, "nodes.csv");
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
	return append(r->events_fd, r, "events.jsonl", full, strlen(full));
}

error *run_folder_teardown(struct run_folder *r, const struct teardown_row *t)
{
	struct textbuf row;
	bool first = r->teardown_fd < 0;
	error *e = first ? dir_create(&r->at, "teardown.csv", &r->teardown_fd) : NULL;

	if (e)
		return e;
	textbuf_open(&row);
	if (first)
		fputs("repeat,time_s,vm_count,ram_pct,swap_pct,tasks\n", row.f);
	fprintf(row.f, "%u,%.6f,%u", t->repeat, t->seconds, t->vms);
	row_number(&row, t->ram_pct);
	row_number(&row, t->swap_pct);
	row_number(&row, t->tasks < 0 ? (double)NAN : (double)t->tasks);
	return row_append(&row, r->teardown_fd, r, "teardown.csv");
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

static void interval_row(struct textbuf *row, const struct interval *i, int nodes)
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

error *run_folder_hosts(struct run_folder *r, const char *rows, size_t len)
{
	error *e = r->hosts_fd < 0 ? dir_create(&r->at, "hosts.csv", &r->hosts_fd) : NULL;

	return e ? e : append(r->hosts_fd, r, "hosts.csv", rows, len);
}

error *run_folder_intervals(struct run_folder *r, const struct interval *rows, size_t n)
{
	int nodes = nodes_of(rows, n);
	struct textbuf all;

	textbuf_open(&all);
	intervals_header(all.f, nodes);
	for (size_t i = 0; i < n; i++)
		interval_row(&all, &rows[i], nodes);
	fclose(all.f);
	error *e = dir_replace(&r->at, "intervals.csv", all.text, all.len);
	free(all.text);
	return e;
}
