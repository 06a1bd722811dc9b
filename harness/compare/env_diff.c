/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/env_diff.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "report/plot_text.h"

/* The kernel's own share of RAM differs a little from build to build. */
#define RAM_SLACK 0.02
#define LONG_VALUE 160

static const char *const roots[] = {
	"tool", "host",		 "backend", "preset",  "profile",     "guest",
	"max",	"threshold_pct", "repeats", "options", "measurement", "nested",
};

/* Differs between any two runs, and means nothing. */
static const char *const volatile_paths[] = {
	"host.ram_available_kb", "host.swap_free_kb", "host.load1",
	"host.boot_id",		 "guest.seed",	      "guest.phase_ms",
};

/* Which parts of run.json an option of `mvmscale run` is meant to change. */
static const struct {
	const char *option, *path;
} meant[] = {
	{ "qemu", "backend" },
	{ "qemu", "options.qemu" },
	{ "machine", "backend" },
	{ "machine", "options.machine" },
	{ "preset", "preset" },
	{ "preset", "backend" },
	{ "tune", "backend.tuning" },
	{ "tune", "backend.environment" },
	{ "profile", "profile" },
	{ "profile", "guest" },
	{ "image", "guest" },
	{ "image", "profile" },
	{ "image", "options.image" },
	{ "accel", "backend" },
	{ "launch", "backend" },
	{ "backend", "backend" },
	{ "backend", "preset" },
	{ "backend", "measurement" },
	{ "max", "max" },
	{ "threshold", "threshold_pct" },
	{ "repeat", "repeats" },
	{ "threshold", "options.threshold_pct" },
	{ "verify", "options.verify_pct" },
	{ "settle", "options.settle_s" },
	{ "sample-time", "options.sample_s" },
	{ "sample-time", "measurement" },
	{ "samples", "measurement" },
	{ "stop-on", "options.stop_on" },
	{ "vmlinuz", "nested.kernel" },
	{ "vmlinuz", "nested.sha256" },
	{ "vmlinuz", "host.kernel" },
	{ "vmlinuz", "host.mitigations" },
	{ "modules", "nested.modules" },
	{ "load", "nested.load" },
	{ "append", "nested.append" },
	{ "append", "host.cmdline" },
	{ "null-mem", "backend.synthetic" },
	{ "null-cpu", "backend.synthetic" },
	{ "null-start", "backend.synthetic" },
	{ "null-noise", "backend.synthetic" },
};

static bool within(const char *path, const char *part)
{
	size_t n = strlen(part);

	return strncmp(path, part, n) == 0 && (path[n] == '\0' || path[n] == '.');
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

static bool is_volatile(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(volatile_paths); i++)
		if (str_eq(path, volatile_paths[i]))
			return true;
	return ends_with(path, "note") || ends_with(path, "_ms") || ends_with(path, ".pid");
}

/* Private folders and descriptors carry numbers of the run: ".../run-4711/firmware.bin", "fd=10". */
static char *without_run_numbers(const char *s)
{
	char *out = xstrdup(s), *to = out;

	for (const char *at = s; *at;) {
		size_t n = str_starts(at, "run-") ? 4 : str_starts(at, "fd=") ? 3 : 0;

		if (!n || !isdigit((unsigned char)at[n])) {
			*to++ = *at++;
			continue;
		}
		memmove(to, at, n);
		to += n;
		for (at += n; isdigit((unsigned char)*at);)
			at++;
		*to++ = '*';
	}
	*to = '\0';
	return out;
}

static char *value_text(const json_t *v)
{
	if (!v || json_is_null(v))
		return xstrdup("-");
	if (json_is_string(v))
		return without_run_numbers(*json_string_value(v) ? json_string_value(v) : "-");
	_cleanup_free_ char *dump = json_dumps(v, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
	return without_run_numbers(dump ? dump : "?");
}

static bool in_list(const json_t *list, const json_t *v)
{
	const json_t *x;
	size_t i;

	json_array_foreach(list, i, x)
	{
		_cleanup_free_ char *a = value_text(x), *b = value_text(v);

		if (str_eq(a, b))
			return true;
	}
	return false;
}

/* Of two long lists, such as command lines, what only the first holds; "-" for nothing. */
static char *only_in(const json_t *list, const json_t *other)
{
	struct strlist words = { 0 };
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		_cleanup_free_ char *text = value_text(v);

		if (!in_list(other, v))
			strlist_add(&words, text);
	}
	char *joined = words.count ? strlist_join(&words) : xstrdup("-");
	strlist_clear(&words);
	return joined;
}

static bool asked_for(const char *path, const struct strlist *intended)
{
	/* nobody said what was asked for: nothing is a surprise */
	if (!intended)
		return true;
	for (size_t i = 0; i < intended->count; i++) {
		const char *option = intended->items[i];
		_cleanup_free_ char *plain = xasprintf("options.%s", option);

		for (char *c = plain; *c; c++)
			*c = *c == '-' ? '_' : *c;
		if (within(path, plain))
			return true;
		for (size_t k = 0; k < ARRAY_LEN(meant); k++)
			if (str_eq(meant[k].option, option) && within(path, meant[k].path))
				return true;
	}
	return false;
}

struct walk {
	const struct strlist *intended;
	struct env_diff *diff;
};

static bool same_ram(const char *path, const json_t *a, const json_t *b)
{
	double x = json_number_value(a), y = json_number_value(b);

	return str_eq(path, "host.ram_kb") && x > 0 && fabs(x - y) <= RAM_SLACK * x;
}

static void compare_leaf(struct walk *w, const char *path, const json_t *a, const json_t *b)
{
	_cleanup_free_ char *x = value_text(a), *y = value_text(b);

	if (str_eq(x, y) || same_ram(path, a, b))
		return;
	if (json_is_array(a) && json_is_array(b)) {
		char *more_x = only_in(a, b), *more_y = only_in(b, a);
		bool order = str_eq(more_x, "-") && str_eq(more_y, "-"); /* the same words: show them all */

		free(order ? more_x : x);
		free(order ? more_y : y);
		x = order ? x : more_x;
		y = order ? y : more_y;
	}
	w->diff->items = xrealloc(w->diff->items, w->diff->count + 1, sizeof(*w->diff->items));
	w->diff->items[w->diff->count++] = (struct env_item){
		.path = xstrdup(path),
		.base = STEAL(x),
		.new_value = STEAL(y),
		.intended = asked_for(path, w->intended),
	};
}

static void compare_values(struct walk *w, const char *path, json_t *a, json_t *b);

static void compare_members(struct walk *w, const char *path, json_t *a, json_t *b, json_t *of)
{
	const char *key;
	json_t *v;

	json_object_foreach(of, key, v)
	{
		/* what both have is seen once, on the first pass */
		if (of == b && json_object_get(a, key))
			continue;
		_cleanup_free_ char *below = xasprintf("%s.%s", path, key);
		compare_values(w, below, json_object_get(a, key), json_object_get(b, key));
	}
}

/* Records are a few levels deep: the recursion ends there. NOLINTNEXTLINE(misc-no-recursion) */
static void compare_values(struct walk *w, const char *path, json_t *a, json_t *b)
{
	if (is_volatile(path))
		return;
	if (!json_is_object(a) && !json_is_object(b)) {
		compare_leaf(w, path, a, b);
		return;
	}
	if (json_is_object(a))
		compare_members(w, path, a, b, a);
	if (json_is_object(b))
		compare_members(w, path, a, b, b);
}

static int by_path(const void *a, const void *b)
{
	const struct env_item *x = a, *y = b;

	return strcmp(x->path, y->path);
}

void env_compare(const struct run_record *base, const struct run_record *other,
		 const struct strlist *intended, struct env_diff *ret)
{
	struct walk w = { intended, ret };

	*ret = (struct env_diff){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		compare_values(&w, roots[i], json_object_get(base->meta, roots[i]),
			       json_object_get(other->meta, roots[i]));
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_path);
	for (size_t i = 0; i < ret->count; i++)
		for (int side = 0; side < 2; side++) {
			char **v = side ? &ret->items[i].new_value : &ret->items[i].base;
			if (strlen(*v) <= LONG_VALUE)
				continue;
			char *cut = plot_cut(*v, LONG_VALUE); /* never within a character */
			free(*v);
			*v = cut;
		}
}

const char *env_other_host(const struct env_diff *d)
{
	static const char *const hardware[] = { "host.cpu",	   "host.cores",   "host.ram_kb",
						"host.numa_nodes", "nested.accel", "nested.memory_mb",
						"nested.cpus" };

	for (size_t i = 0; i < d->count; i++)
		for (size_t k = 0; k < ARRAY_LEN(hardware); k++)
			if (str_eq(d->items[i].path, hardware[k]))
				return hardware[k];
	return NULL;
}

void env_diff_clear(struct env_diff *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->items[i].path);
		free(d->items[i].base);
		free(d->items[i].new_value);
	}
	free(d->items);
	*d = (struct env_diff){ 0 };
}
