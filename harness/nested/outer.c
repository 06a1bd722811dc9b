/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/outer.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "nested/console.h"
#include "nested/inside.h"
#include "nested/machine.h"
#include "nested/needs.h"
#include "nested/pack.h"

/* Of memory, beside the initramfs: the kernel itself and a first VM. */
#define LEAST_MB 128

static error *write_initramfs(const struct outer_options *o, const char *path)
{
	static const char *const folders[] = { "dev", "proc", "sys", "tmp", "run", "root", "result" };
	struct pack p = { .archive.out = fopen(path, "we") };
	error *e;

	if (!p.archive.out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		strlist_add(&p.names, folders[i]);
		cpio_folder(&p.archive, folders[i]);
	}
	e = needs_pack(&p, o);
	cpio_end(&p.archive);
	if ((fflush(p.archive.out) || ferror(p.archive.out)) && !e)
		e = err_sys(EXIT_CANNOT, errno, "cannot write %s: is there space in TMPDIR?", path);
	fclose(p.archive.out);
	pack_clear(&p);
	return e;
}

/* While it unpacks, the kernel holds the archive and its contents. */
static error *check_memory(const struct outer_options *o, const char *initramfs)
{
	struct stat st;
	long mb = stat(initramfs, &st) == 0 ? (long)(st.st_size >> 20) + 1 : 0;

	if ((long)o->memory_mb >= 2 * mb + LEAST_MB)
		return NULL;
	return err_new(
		EXIT_CANNOT,
		"--memory %u is too little: this initramfs has %ld MB, and the kernel needs that twice to unpack it; give at least %ld",
		o->memory_mb, mb, 2 * mb + LEAST_MB);
}

/* What came out of the machine, in m->dir/out. */
struct brought {
	char *run;   /* run folder there, or NULL */
	long status; /* of the run inside; -1: it was not told */
};

static error *unpack_result(const struct machine *m, struct brought *ret)
{
	_cleanup_free_ char *into = xasprintf("%s/out", m->dir), *text = NULL;
	_cleanup_free_ char *status = xasprintf("%s%s", into, INSIDE_STATUS);
	_cleanup_free_ char *run = xasprintf("%s%s", into, INSIDE_RUN);
	error *e = fs_mkdirs(into);

	*ret = (struct brought){ .status = -1 };
	for (size_t at = 0, n; !e && (n = cpio_whole(m->result + at, m->result_len - at)); at += n)
		e = cpio_unpack(m->result + at, n, "the result", into);
	if (e)
		return e;
	if (access(run, F_OK) == 0)
		ret->run = STEAL(run);
	if (access(status, F_OK) == 0 && !(e = fs_read(status, &text, NULL))) {
		text[strcspn(text, "\n")] = '\0';
		parse_long(text, 0, 255, &ret->status);
	}
	return e;
}

/* What is wrong, or NULL: the sentence for the user, and for the record of a run that was cut. */
static char *trouble(const struct machine *m, const struct brought *b)
{
	_cleanup_free_ char *text = machine_console(m), *cause = console_cause(text),
			    *tail = console_tail(text);
	_cleanup_free_ char *inside = NULL;

	/* statuses of runs that have results */
	if (b->run && (b->status == EXIT_DONE || b->status == EXIT_REGRESSION ||
		       b->status == EXIT_UNTRUSTED || b->status == EXIT_INTERRUPTED))
		return m->why ? xstrdup(m->why) : NULL;
	if (b->status >= 0)
		inside = xasprintf("inside, the run ended with status %ld%s", b->status,
				   b->run ? "" : " and left nothing");
	const char *what = inside   ? inside
			   : m->why ? m->why
				    : "the kernel ended before its run was brought out";
	return xasprintf("%s%s%s; its console %s%s", what, cause ? ": " : "", cause ? cause : "",
			 *tail ? "ends with:\n" : "is empty", tail);
}

/* The record says under what it was made, and whether it is whole. */
static error *mark_nested(const struct machine *m, const char *why)
{
	const struct outer_options *o = m->o;
	_cleanup_free_ char *path = xasprintf("%s/run.json", o->out), *sha = NULL, *dump = NULL;
	json_t *run = json_load_file(path, 0, NULL);
	error *e = fs_sha256(o->vmlinuz, &sha);

	if (!e && !run)
		e = err_new(EXIT_CANNOT, "%s: the run left no record", path);
	if (!e && why && str_eq(json_string_value(json_object_get(run, "state")), "running")) {
		const char *end = strstr(why, "; its console");
		_cleanup_free_ char *line = xasprintf("%.*s", end ? (int)(end - why) : (int)strlen(why), why);

		json_object_set_new(run, "state", json_string("failed"));
		json_object_set_new(run, "stop",
				    json_pack("{s:s,s:n,s:n,s:i,s:n,s:s}", "kind", "failed", "metric",
					      "limit", "errno", 0, "value", "evidence", line));
	}
	if (!e) {
		json_object_set_new(run, "nested",
				    json_pack("{s:s,s:s,s:s,s:s?,s:s?,s:s?,s:i,s:i}", "kernel", o->vmlinuz,
					      "sha256", sha, "accel", m->accel, "append", o->append,
					      "modules", o->modules, "load", o->load, "memory_mb",
					      (int)o->memory_mb, "cpus", (int)o->cpus));
		dump = json_dumps(run, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
		e = fs_write_atomic(path, dump, strlen(dump));
	}
	json_decref(run);
	return e;
}

static error *move_files(const char *from, const char *to)
{
	struct pack none = { 0 };
	struct textbuf buf;
	error *e;

	/* the two may lie on different file systems: pack and unpack in memory */
	none.archive.out = textbuf_open(&buf);
	e = pack_folder(&none, from, "/");
	cpio_end(&none.archive);
	textbuf_close(&buf);
	if (!e)
		e = fs_mkdirs(to);
	if (!e)
		e = cpio_unpack(buf.text, buf.len, from, to);
	free(buf.text);
	pack_clear(&none);
	return e;
}

/* The console goes with the run; without one, beside where it would be. */
static error *keep_console(const struct machine *m, bool has_run, char **ret_path)
{
	_cleanup_free_ char *text = machine_console(m);

	if (!*text)
		return NULL;
	*ret_path = xasprintf(has_run ? "%s/console.log" : "%s-console.log", m->o->out);
	return fs_write_atomic(*ret_path, text, strlen(text));
}

static error *bring_out(const struct machine *m, int *ret_status)
{
	_cleanup_free_ char *why = NULL, *console = NULL;
	struct brought b = { 0 };
	error *e = unpack_result(m, &b);

	if (!e)
		why = trouble(m, &b);
	if (!e && b.run && !(e = move_files(b.run, m->o->out)))
		e = mark_nested(m, why);
	if (!e)
		e = keep_console(m, b.run != NULL, &console);
	if (!e && why)
		e = err_new(run_interrupted		 ? EXIT_INTERRUPTED
			    : b.status == EXIT_BAD_INPUT ? EXIT_BAD_INPUT
							 : EXIT_CANNOT,
			    "%s%s%s%s%s", why, console ? "\nThe whole console: " : "", console ? console : "",
			    b.run ? "\nWhat was measured until then: " : "", b.run ? m->o->out : "");
	*ret_status = b.status < 0 ? EXIT_CANNOT : (int)b.status;
	free(b.run);
	return e;
}

error *outer_run(const struct outer_options *o, int *ret_status)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *dir = xasprintf("%s/mvmscale-kernel-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
	struct machine m = { .o = o, .dir = dir };
	error *e;

	if (access(o->vmlinuz, R_OK) != 0)
		return err_sys(EXIT_BAD_INPUT, errno, "--vmlinuz %s", o->vmlinuz);
	if (access(o->out, F_OK) == 0)
		return err_new(EXIT_BAD_INPUT, "%s exists already: give another folder with --out", o->out);
	if ((e = needs_check(o)))
		return e;
	if (!mkdtemp(dir))
		return err_sys(EXIT_CANNOT, errno, "cannot create a temporary folder %s (see TMPDIR)", dir);
	_cleanup_free_ char *initramfs = xasprintf("%s/initramfs", dir);
	e = write_initramfs(o, initramfs);
	if (!e)
		e = check_memory(o, initramfs);
	if (!e)
		e = machine_run(&m);
	if (!e)
		e = bring_out(&m, ret_status);
	machine_clear(&m);
	fs_remove_tree(dir);
	return e;
}
