/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/ab_kernel.h"

#include <string.h>

#include "cmd/cmd.h"
#include "cmd/run.h"

/* The outer machine itself must be the same for both: those are options of --outer. */
static const char *const differing[] = { "vmlinuz", "modules", "load", "append" };

static bool is_differing(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(differing); i++)
		if (strlen(differing[i]) == len && strncmp(differing[i], name, len) == 0)
			return true;
	return false;
}

static bool is_end(const struct argp_option *o)
{
	return !o->name && !o->key && !o->doc;
}

struct argp_option *ab_spec_table(void)
{
	const struct argp_option *tables[] = { cmd_kernel.argp->options, run_argp.options };
	struct argp_option *merged = xcalloc(1, sizeof(*merged));
	size_t n = 0;

	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (const struct argp_option *o = tables[t]; !is_end(o); o++) {
			if (t == 0 && !(o->name && is_differing(o->name, strlen(o->name))))
				continue;
			merged = xrealloc(merged, n + 2, sizeof(*merged));
			merged[n++] = *o;
		}
	merged[n] = (struct argp_option){ 0 };
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
