/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/libvirt/template.h"

#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/text.h"
#include "base/util.h"
#include "guest/image.h"

enum placeholder {
	PH_NAME,
	PH_UUID,
	PH_IMAGE,
	PH_FIRMWARE,
	PH_TYPE,
	PH_GUEST,
	PH_SERIAL,
	PH_EMULATOR,
	PH_TCG,
	PH_CPUSET,
	PH_NUMATUNE,
	PH_INIT,
	PH_COUNT
};

static const struct {
	const char *text;
	bool is_xml; /* put in as it is */
} placeholders[PH_COUNT] = {
	[PH_NAME] = { "{name}", false },	[PH_UUID] = { "{uuid}", false },
	[PH_IMAGE] = { "{image}", false },	[PH_FIRMWARE] = { "{firmware}", false },
	[PH_TYPE] = { "{type}", false },	[PH_GUEST] = { "{guest}", false },
	[PH_SERIAL] = { "{serial}", true },	[PH_EMULATOR] = { "{emulator}", true },
	[PH_TCG] = { "{tcg}", true },		[PH_CPUSET] = { "{cpuset}", true },
	[PH_NUMATUNE] = { "{numatune}", true }, [PH_INIT] = { "{init}", false },
};

static const char *const allowed_keys[] = { "template.ready",
					    "template.tasks",
					    "template.fds",
					    "template.ptys",
					    "template.mem_kb",
					    "template.commit_kb",
					    NULL };

/* The placeholder that begins at s; PH_COUNT when none does. */
static enum placeholder placeholder_at(const char *s)
{
	for (enum placeholder p = 0; p < PH_COUNT; p++)
		if (str_starts(s, placeholders[p].text))
			return p;
	return PH_COUNT;
}

/* A word in braces that we do not know would reach libvirt as it stands, and fail there less clearly. */
static error *check_placeholders(const struct lv_template *t)
{
	for (const char *s = strchr(t->xml, '{'); s; s = strchr(s + 1, '{')) {
		size_t n = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz_");

		if (n && s[n + 1] == '}' && placeholder_at(s) == PH_COUNT)
			return err_new(
				EXIT_BAD_INPUT,
				"template %s: unknown placeholder %.*s; known are {name} {uuid} {image} {firmware} {type} {guest} {serial} {emulator} {tcg} {init} {cpuset} {numatune}",
				t->path, (int)n + 2, s);
	}
	if (!strstr(t->xml, "{name}") || !strstr(t->xml, "{uuid}"))
		return err_new(EXIT_BAD_INPUT,
			       "template %s: must use {name} and {uuid}: by these a domain is known as ours",
			       t->path);
	return NULL;
}

static error *read_head(struct lv_template *t, const char *text, size_t len)
{
	_cleanup_free_ char *head = xasprintf("%.*s", (int)len, text);
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_parse_text(head, t->path, &f);

	if (e || (e = ini_only(f, allowed_keys)))
		return e;
	const char *ready = ini_get(f, "template", "ready");
	if (ready && !str_eq(ready, "console") && !str_eq(ready, "running"))
		return err_new(EXIT_BAD_INPUT, "template %s: ready = %s: must be console or running", t->path,
			       ready);
	t->console = !str_eq(ready, "running");
	if ((e = ini_get_long(f, "template", "tasks", 0, 1000, 4, &t->tasks)) ||
	    (e = ini_get_long(f, "template", "fds", 0, 100000, 20, &t->fds)) ||
	    (e = ini_get_long(f, "template", "ptys", 0, 1000, 0, &t->ptys)) ||
	    (e = ini_get_long(f, "template", "commit_kb", 0, 1L << 40, 40000, &t->commit_kb)))
		return e;
	return ini_get_long(f, "template", "mem_kb", 1, 1L << 40, 20000, &t->mem_kb);
}

error *lv_template_parse(const char *text, const char *path, struct lv_template **ret)
{
	_cleanup_(lv_template_freep) struct lv_template *t = xcalloc(1, sizeof(*t));
	const char *xml = *text == '<' ? text : strstr(text, "\n<");
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	error *e;

	t->path = xstrdup(path);
	t->name = xasprintf("%.*s", (int)strcspn(base, "."), base);
	if (!xml)
		return err_new(EXIT_BAD_INPUT, "template %s: has no line that begins with '<': no domain XML",
			       path);
	t->xml = xstrdup(*xml == '\n' ? xml + 1 : xml);
	if ((e = read_head(t, text, (size_t)(xml - text))) || (e = check_placeholders(t)))
		return e;
	t->uses_accel = strstr(t->xml, "{type}");
	t->uses_serial = strstr(t->xml, "{serial}");
	t->uses_cpuset = strstr(t->xml, "{cpuset}");
	t->uses_numatune = strstr(t->xml, "{numatune}");
	t->uses_emulator = strstr(t->xml, "{emulator}");
	t->uses_files = strstr(t->xml, "{image}") || strstr(t->xml, "{firmware}") || strstr(t->xml, "{init}");
	t->uses_init = strstr(t->xml, "{init}");
	*ret = STEAL(t);
	return NULL;
}

error *lv_template_load(const char *name_or_path, struct lv_template **ret)
{
	_cleanup_free_ char *text = NULL, *known = NULL;
	_cleanup_free_ char *path = guest_data_find("libvirt", ".domain", name_or_path, &known);

	if (!path)
		return err_new(
			EXIT_BAD_INPUT,
			"there is no template for libvirt driver '%s': known are %s; give one of your own with --template FILE",
			name_or_path, known ?: "(none found)");
	error *e = fs_read(path, &text, NULL);
	return e ? err_wrap(e, "template") : lv_template_parse(text, path, ret);
}

void lv_template_free(struct lv_template *t)
{
	if (!t)
		return;
	free(t->name);
	free(t->path);
	free(t->xml);
	free(t);
}

static const char *value_of(const struct lv_values *v, enum placeholder p)
{
	const char *const values[PH_COUNT] = {
		[PH_NAME] = v->name,	     [PH_UUID] = v->uuid,	  [PH_IMAGE] = v->image,
		[PH_FIRMWARE] = v->firmware, [PH_TYPE] = v->type,	  [PH_GUEST] = v->guest,
		[PH_SERIAL] = v->serial,     [PH_EMULATOR] = v->emulator, [PH_TCG] = v->tcg,
		[PH_CPUSET] = v->cpuset,     [PH_NUMATUNE] = v->numatune, [PH_INIT] = v->init,
	};

	return values[p] ? values[p] : "";
}

char *lv_xml_escaped(const char *s)
{
	static const char special[] = "&<>'\"\n\t\r";
	static const char *const instead[] = { "&amp;",	 "&lt;",  "&gt;", "&apos;",
					       "&quot;", "&#10;", "&#9;", "&#13;" };
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);

	if (!f)
		abort(); /* out of memory: as xcalloc() would */
	for (; *s; s++) {
		const char *at = strchr(special, *s);

		if (at)
			fputs(instead[at - special], f);
		else
			putc(*s, f);
	}
	return textbuf_close(&buf);
}

char *lv_template_fill(const struct lv_template *t, const struct lv_values *v)
{
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);

	if (!f)
		abort(); /* out of memory: as xcalloc() would */
	for (const char *s = t->xml; *s;) {
		enum placeholder p = *s == '{' ? placeholder_at(s) : PH_COUNT;

		if (p == PH_COUNT) {
			putc(*s++, f);
			continue;
		}
		_cleanup_free_ char *text =
			placeholders[p].is_xml ? xstrdup(value_of(v, p)) : lv_xml_escaped(value_of(v, p));
		fputs(text, f);
		s += strlen(placeholders[p].text);
	}
	return textbuf_close(&buf);
}
