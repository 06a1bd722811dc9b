/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/ab_kernel.h"

#include <string.h>

#include "cmd/cmd.h"

const struct option_row **ab_spec_rows(void)
{
	const struct option_row **merged = command_rows(&cmd_kernel);
	_cleanup_free_ const struct option_row **run = command_rows(&cmd_run);
	size_t n = 0;

	for (size_t i = 0; merged[i]; i++)
		if (!merged[i]->set_by_ab)
			merged[n++] = merged[i];
	for (size_t i = 0; run[i]; i++) {
		merged = xrealloc(merged, n + 2, sizeof(*merged));
		merged[n++] = run[i];
	}
	merged[n] = NULL;
	return merged;
}

void ab_take_kernel_options(struct strlist *options, struct strlist *ret)
{
	_cleanup_free_ const struct option_row **kernel = command_rows(&cmd_kernel);
	struct strlist rest = { 0 };

	for (size_t i = 0; i < options->count; i++) {
		const char *name = options->items[i] + 2;
		const struct option_row *o = option_find(kernel, name, strcspn(name, "="));

		strlist_add(o && !o->set_by_ab ? ret : &rest, options->items[i]);
	}
	strlist_clear(options);
	*options = rest;
}

static bool names_kernel(const struct strlist *kernel)
{
	for (size_t i = 0; i < kernel->count; i++)
		if (str_starts(kernel->items[i], "--vmlinuz="))
			return true;
	return false;
}

error *ab_check_kernels(const struct strlist kernel[2], const char *outer)
{
	bool a = names_kernel(&kernel[0]), b = names_kernel(&kernel[1]);

	if (a != b)
		return err_new(
			EXIT_BAD_INPUT,
			"only side %c names a kernel (vmlinuz=FILE): figures of an outer machine do not compare with those of this host; name one for both",
			a ? 'A' : 'B');
	if (!a && (kernel[0].count || kernel[1].count || outer))
		return err_new(EXIT_BAD_INPUT,
			       "%s%s goes with a kernel: name one for both sides with vmlinuz=FILE",
			       outer ? "--outer" : "",
			       outer		 ? ""
			       : kernel[0].count ? kernel[0].items[0] + 2
						 : kernel[1].items[0] + 2);
	return NULL;
}

void ab_add_kernel(const struct strlist *kernel, const char *outer, const char *dir, struct strlist *argv)
{
	strlist_add(argv, "kernel");
	strlist_addf(argv, "--out=%s", dir);
	for (size_t i = 0; i < kernel->count; i++)
		strlist_add(argv, kernel->items[i]);
	if (outer)
		strlist_add_words(argv, outer);
	strlist_add(argv, "--");
}
