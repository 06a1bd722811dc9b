/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cpufreq governor: what the CPUs do about their clock. */
#include "host/governor.h"

#include <errno.h>
#include <glob.h>
#include <string.h>

#include "base/fs.h"
#include "host/settings.h"

static void find_files(const char *root, const char *name, glob_t *ret)
{
	_cleanup_free_ char *pattern =
		xasprintf("%s/sys/devices/system/cpu/cpu[0-9]*/cpufreq/%s", root, name);

	if (glob(pattern, 0, NULL, ret) != 0)
		*ret = (glob_t){ 0 };
}

static bool holds(const struct strlist *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (str_eq(l->items[i], name))
			return true;
	return false;
}

void governor_names(const char *root, struct strlist *ret)
{
	glob_t files;

	*ret = (struct strlist){ 0 };
	find_files(root, "scaling_available_governors", &files);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct strlist here = { 0 }, both = { 0 };
		_cleanup_free_ char *text = NULL;
		error *e = fs_read(files.gl_pathv[i], &text, NULL);

		if (!e)
			strlist_add_words(&here, text);
		err_free(e);
		for (size_t k = 0; k < here.count; k++)
			if (i == 0 || holds(ret, here.items[k]))
				strlist_add(&both, here.items[k]);
		strlist_clear(&here);
		strlist_clear(ret);
		*ret = both;
	}
	globfree(&files);
}

error *governor_set(struct settings *s, const char *root, const char *name)
{
	glob_t files;
	error *e = NULL;

	find_files(root, "scaling_governor", &files);
	if (!files.gl_pathc)
		e = err_new(EXIT_CANNOT, "this host has no cpufreq, so no governor can be set");
	for (size_t i = 0; i < files.gl_pathc && !e; i++)
		e = settings_set(s, files.gl_pathv[i], name, "the matrix compares governors");
	globfree(&files);
	return e;
}
