/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runs of a side, from folders. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "compare/compare.h"

static error *add_run(struct side *s, const char *dir)
{
	struct run_record *r = NULL;
	error *e = run_record_load(dir, &r);

	if (e)
		return e;
	s->runs = xrealloc(s->runs, s->n + 1, sizeof(struct run_record *));
	s->runs[s->n++] = r;
	return NULL;
}

static bool is_run(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/run.json", dir);

	return access(path, F_OK) == 0;
}

error *side_load(struct side *s, const char *dir)
{
	struct dirent **names;
	size_t before = s->n;
	error *e = NULL;

	if (is_run(dir))
		return add_run(s, dir);
	int n = scandir(dir, &names, NULL, versionsort);
	if (n < 0 && errno == ENOENT)
		return err_new(EXIT_BAD_INPUT,
			       "no folder %s: give a folder that 'mvmscale run' wrote, or one of such", dir);
	if (n < 0)
		return err_sys(EXIT_BAD_INPUT, errno, "cannot read the folder %s", dir);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *below = xasprintf("%s/%s", dir, names[i]->d_name);

		if (!e && names[i]->d_name[0] != '.' && is_run(below))
			e = add_run(s, below);
		free(names[i]);
	}
	free(names);
	if (!e && s->n == before)
		e = err_new(
			EXIT_BAD_INPUT,
			"%s is no run folder (it has no run.json) and holds none: give what 'mvmscale run' wrote",
			dir);
	return e;
}

void side_clear(struct side *s)
{
	for (size_t i = 0; i < s->n; i++)
		run_record_free(s->runs[i]);
	free(s->runs);
	*s = (struct side){ 0 };
}
