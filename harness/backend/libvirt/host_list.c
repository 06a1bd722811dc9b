/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/libvirt/host_list.h"

#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/util.h"

#define NO_MAX UINT32_MAX

const char *const spread_names[SPREAD_COUNT] = {
	[SPREAD_EVEN] = "even", [SPREAD_CAPACITY] = "capacity", [SPREAD_FILL] = "fill"
};

static bool name_taken(const struct host_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (str_eq(l->items[i].name, name))
			return true;
	return false;
}

/* "qemu+ssh://root@north:22/system" -> "north"; "qemu:///embed" -> "qemu". */
static char *name_of(const char *uri)
{
	const char *host = strstr(uri, "://") + 3;
	size_t len = strcspn(host, "/?");
	const char *at = memchr(host, '@', len);

	if (at) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	const char *end = memchr(host, *host == '[' ? ']' : ':', len);
	if (end) /* an IPv6 address keeps its colons */
		len = (size_t)(end - host) + (*host == '[');
	char *name =
		len ? xasprintf("%.*s", (int)len, host) : xasprintf("%.*s", (int)strcspn(uri, ":+"), uri);
	/* it becomes a field of a table */
	for (char *c = name; *c; c++)
		if (strchr(",\"", *c) || (unsigned char)*c <= ' ' || *c == 0x7f)
			*c = '-';
	return name;
}

static error *check_uri(const char *uri)
{
	const char *sep = strstr(uri, "://");

	if (sep && *uri >= 'a' && *uri <= 'z' &&
	    strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789+-") == (size_t)(sep - uri))
		return NULL;
	return err_new(
		EXIT_BAD_INPUT,
		"'%s' is no libvirt URI: it must look like qemu:///system or qemu+ssh://root@host/system",
		uri);
}

/* Takes over the strings. */
static void append(struct host_list *l, struct fleet_host h)
{
	l->items = xgrow(l->items, l->count, sizeof(*l->items));
	l->items[l->count++] = h;
}

error *host_list_add(struct host_list *l, const char *uri)
{
	error *e = check_uri(uri);

	if (e)
		return e;
	_cleanup_free_ char *base = name_of(uri);
	char *name = xstrdup(base);
	for (int i = 2; name_taken(l, name); i++) {
		free(name);
		name = xasprintf("%s-%d", base, i);
	}
	append(l, (struct fleet_host){ .name = name, .uri = xstrdup(uri), .max = NO_MAX });
	return NULL;
}

static error *add_section(struct host_list *l, const struct ini_file *f, const char *section)
{
	const char *uri = ini_get(f, section, "uri");
	long max = 0, threshold = 0;
	error *e;

	if (!uri)
		return err_new(EXIT_BAD_INPUT, "%s: host [%s] has no uri", f->path, section);
	/* names become fields of a table */
	if (strpbrk(section, ",\" \t"))
		return err_new(EXIT_BAD_INPUT, "%s: host [%s]: blanks, commas and quotes cannot be in a name",
			       f->path, section);
	if ((e = check_uri(uri)))
		return err_wrap(e, "%s: host [%s]", f->path, section);
	if ((e = ini_get_long(f, section, "max", 1, (long)NO_MAX, (long)NO_MAX, &max)) ||
	    (e = ini_get_long(f, section, "threshold", 1, 100, 0, &threshold)))
		return e;
	if (name_taken(l, section))
		return err_new(EXIT_BAD_INPUT, "%s: host [%s] is there twice", f->path, section);
	append(l, (struct fleet_host){ .name = xstrdup(section),
				       .uri = xstrdup(uri),
				       .max = (uint32_t)max,
				       .threshold_pct = (double)threshold });
	return NULL;
}

static error *add_file(struct host_list *l, const struct ini_file *f)
{
	size_t before = l->count;
	error *e = NULL;

	for (size_t i = 0; i < f->count && !e; i++) {
		const struct ini_entry *en = &f->entries[i];

		if (!*en->section)
			return err_new(EXIT_BAD_INPUT, "%s:%d: '%s' stands before the first [host]", f->path,
				       en->line, en->key);
		if (!str_eq(en->key, "uri") && !str_eq(en->key, "max") && !str_eq(en->key, "threshold"))
			return err_new(EXIT_BAD_INPUT,
				       "%s:%d: unknown key '%s'; a host has uri, max and threshold", f->path,
				       en->line, en->key);
		/* entries of a section stand together */
		if (i == 0 || !str_eq(f->entries[i - 1].section, en->section))
			e = add_section(l, f, en->section);
	}
	if (!e && l->count == before)
		e = err_new(EXIT_BAD_INPUT, "%s: names no host", f->path);
	return e;
}

error *host_list_load(struct host_list *l, const char *path)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_load(path, &f);

	return e ? err_wrap(e, "hosts file") : add_file(l, f);
}

error *host_list_parse(struct host_list *l, const char *text, const char *what)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_parse_text(text, what, &f);

	return e ? e : add_file(l, f);
}

void host_list_clear(struct host_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].name);
		free(l->items[i].uri);
	}
	free(l->items);
	*l = (struct host_list){ 0 };
}

/* Load of a host after one more VM: the lowest gets it. */
static double load_after(enum spread_policy policy, const struct spread_host *h)
{
	if (policy == SPREAD_CAPACITY && h->weight > 0)
		return (h->vms + 1) / h->weight;
	return h->vms + 1;
}

int spread_next(enum spread_policy policy, const struct spread_host *hosts, size_t n)
{
	int best = -1;

	for (size_t i = 0; i < n; i++) {
		if (!hosts[i].open || hosts[i].vms >= hosts[i].max)
			continue;
		if (policy == SPREAD_FILL)
			return (int)i;
		if (best < 0 || load_after(policy, &hosts[i]) < load_after(policy, &hosts[best]))
			best = (int)i;
	}
	return best;
}
