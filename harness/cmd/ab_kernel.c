/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/ab_kernel.h"

#include <string.h>

#include "cmd/cmd.h"

static bool is_differing(const char *name, size_t len)
{
	const struct option_row *o = option_find(cmd_kernel.rows(), name, len);

	return o && !o->set_by_ab;
}

const struct option_row **ab_spec_rows(void)
{
	const struct option_row *const *kernel = cmd_kernel.rows(), *const *run = cmd_run.rows();
	const struct option_row **merged = NULL;
	size_t n = 0;

	for (; *kernel || *run; *kernel ? kernel++ : run++) {
		merged = xrealloc(merged, n + 2, sizeof(*merged));
		if (!*kernel || !(*kernel)->set_by_ab)
			merged[n++] = *kernel ? *kernel : *run;
	}
	merged[n] = NULL;
	return merged;
}

void ab_take_kernel_options(struct strlist *options, struct strlist *ret)
{
	struct strlist rest = { 0 };

	for (size_t i = 0; i < options->count; i++) {
		const char *name = options->items[i] + 2;

		strlist_add(is_differing(name, strcspn(name, "=")) ? ret : &rest, options->items[i]);
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
