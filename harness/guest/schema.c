/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest/schema.h"

#include <ctype.h>
#include <string.h>

#include "base/fs.h"
#include "base/ini.h"

const char *const field_type_names[FIELD_TYPES] = { [FIELD_U8] = "u8",
						    [FIELD_U16] = "u16",
						    [FIELD_U32] = "u32",
						    [FIELD_TEXT] = "text",
						    [FIELD_BYTES] = "bytes" };

static const size_t number_sizes[FIELD_TYPES] = { [FIELD_U8] = 1, [FIELD_U16] = 2, [FIELD_U32] = 4 };

static bool is_number(enum field_type t)
{
	return number_sizes[t] > 0;
}

static char *text_of(const struct ini_file *f, const char *section, const char *key)
{
	const char *v = ini_get(f, section, key);

	return xstrdup(v ? v : "");
}

static error *take_type(const struct ini_file *f, struct schema_field *d)
{
	const char *type = ini_get(f, d->name, "type");

	for (d->type = 0; d->type < FIELD_TYPES; d->type++)
		if (type && str_eq(type, field_type_names[d->type]))
			return NULL;
	return err_new(EXIT_BAD_INPUT, "%s: [%s] type = %s: must be u8, u16, u32, text or bytes", f->path,
		       d->name, type ? type : "");
}

/* The size first: what a number may be follows from it. */
static error *take_size(const struct ini_file *f, struct schema_field *d)
{
	static const long most[FIELD_TYPES] = {
		[FIELD_U8] = UINT8_MAX, [FIELD_U16] = UINT16_MAX, [FIELD_U32] = UINT32_MAX
	};
	long offset = 0, min = 0, max = 0, size = (long)number_sizes[d->type];
	error *e = ini_get_long(f, d->name, "offset", 0, MVM_PARAM_PAYLOAD_SIZE - 1, 0, &offset);

	if (!e && is_number(d->type)) {
		e = ini_get_long(f, d->name, "min", 0, most[d->type], 0, &min);
		if (!e)
			e = ini_get_long(f, d->name, "max", min, most[d->type], most[d->type], &max);
	} else if (!e && d->type == FIELD_TEXT) {
		e = ini_get_long(f, d->name, "max", 1, MVM_PARAM_PAYLOAD_SIZE - 1, 1, &max);
		size = max + 1;
	} else if (!e) {
		e = ini_get_long(f, d->name, "size", 1, MVM_PARAM_PAYLOAD_SIZE, 1, &size);
	}
	if (!e && offset + size > MVM_PARAM_PAYLOAD_SIZE)
		e = err_new(EXIT_BAD_INPUT, "%s: [%s] ends at byte %ld of the payload, which has %d", f->path,
			    d->name, offset + size, MVM_PARAM_PAYLOAD_SIZE);
	d->offset = (size_t)offset;
	d->size = (size_t)size;
	d->min = (uint32_t)min;
	d->max = (uint32_t)max;
	return e;
}

static error *take_field(const struct ini_file *f, const char *name, struct guest_schema *s)
{
	s->fields = xgrow(s->fields, s->count, sizeof(*s->fields));
	struct schema_field *d = &s->fields[s->count++];
	*d = (struct schema_field){ .name = xstrdup(name),
				    .help = text_of(f, name, "help"),
				    .unit = text_of(f, name, "unit"),
				    .fallback = text_of(f, name, "default") };
	error *e = take_type(f, d);
	return e ? e : take_size(f, d);
}

static error *from_ini(const struct ini_file *f, const char *guest, struct guest_schema **ret)
{
	_cleanup_(schema_freep) struct guest_schema *s = xcalloc(1, sizeof(*s));
	const char *needs = ini_get(f, "guest", "needs");

	s->guest = xstrdup(guest);
	s->summary = text_of(f, "guest", "summary");
	strlist_add_words(&s->needs, needs ? needs : "");
	for (size_t i = 0; i < f->count; i++) {
		const char *section = f->entries[i].section;

		if (str_eq(section, "guest") || schema_find(s, section))
			continue;
		error *e = take_field(f, section, s);
		if (e)
			return e;
	}
	*ret = STEAL(s);
	return NULL;
}

error *schema_parse(const char *text, const char *what, const char *guest, struct guest_schema **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_parse_text(text, what, &f);

	return e ? e : from_ini(f, guest, ret);
}

error *schema_load(const char *guest, struct guest_schema **ret)
{
	_cleanup_free_ char *file = xasprintf("%s.params", guest);
	_cleanup_free_ char *path = *guest && !strchr(guest, '/') ? fs_find_data("guests", file) : NULL;
	_cleanup_(ini_freep) struct ini_file *f = NULL;

	if (!path)
		return schema_parse("", file, guest, ret);
	error *e = ini_load(path, &f);
	return e ? e : from_ini(f, guest, ret);
}

void schema_free(struct guest_schema *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++) {
		free(s->fields[i].name);
		free(s->fields[i].help);
		free(s->fields[i].unit);
		free(s->fields[i].fallback);
	}
	strlist_clear(&s->needs);
	free(s->fields);
	free(s->guest);
	free(s->summary);
	free(s);
}

const struct schema_field *schema_find(const struct guest_schema *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (str_eq(s->fields[i].name, name))
			return &s->fields[i];
	return NULL;
}

const char *schema_field_at(const struct guest_schema *s, size_t offset)
{
	for (size_t i = 0; i < s->count; i++)
		if (offset >= s->fields[i].offset && offset - s->fields[i].offset < s->fields[i].size)
			return s->fields[i].name;
	return NULL;
}

static unsigned char *place(const struct schema_field *f, struct guest_image *img)
{
	return img->bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PAYLOAD + f->offset;
}

static error *set_number(const struct schema_field *f, unsigned char *p, const char *value)
{
	_cleanup_free_ char *range = schema_range(f);
	long v;

	if (!parse_long(value, f->min, f->max, &v))
		return err_new(EXIT_BAD_INPUT, "%s = %s: must be a whole number, %s", f->name, value, range);
	for (size_t i = 0; i < f->size; i++)
		p[i] = (unsigned char)((unsigned long)v >> 8 * i & 0xFF);
	return NULL;
}

static error *set_text(const struct schema_field *f, unsigned char *p, const char *value)
{
	size_t len = strlen(value);

	if (len >= f->size)
		return err_new(EXIT_BAD_INPUT, "%s = %s: is %zu bytes long, there is room for %zu", f->name,
			       value, len, f->size - 1);
	memset(p, 0, f->size);
	memcpy(p, value, len + 1);
	return NULL;
}

static error *set_bytes(const struct schema_field *f, unsigned char *p, const char *value)
{
	size_t len = strlen(value);

	if (len != 2 * f->size || strspn(value, "0123456789abcdefABCDEF") != len)
		return err_new(EXIT_BAD_INPUT, "%s = %s: must be %zu bytes as %zu hexadecimal digits",
			       f->name, value, f->size, 2 * f->size);
	for (size_t i = 0; i < f->size; i++) {
		const char digits[] = { value[2 * i], value[2 * i + 1], '\0' };

		p[i] = (unsigned char)strtoul(digits, NULL, 16);
	}
	return NULL;
}

error *schema_set(const struct guest_schema *s, struct guest_image *img, const char *name, const char *value)
{
	const struct schema_field *f = schema_find(s, name);

	if (f && is_number(f->type))
		return set_number(f, place(f, img), value);
	if (f)
		return f->type == FIELD_TEXT ? set_text(f, place(f, img), value)
					     : set_bytes(f, place(f, img), value);
	if (!s->count)
		return err_new(EXIT_BAD_INPUT, "%s: guest '%s' has no parameters of its own", name, s->guest);
	_cleanup_(strlist_clear) struct strlist known = { 0 };
	for (size_t i = 0; i < s->count; i++)
		strlist_add(&known, s->fields[i].name);
	_cleanup_free_ char *list = strlist_join(&known);
	return err_new(EXIT_BAD_INPUT, "%s: guest '%s' has no such parameter; it has %s", name, s->guest,
		       list);
}

char *schema_get(const struct schema_field *f, const struct guest_image *img)
{
	const unsigned char *p = img->bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PAYLOAD + f->offset;
	uint32_t v = 0;

	if (is_number(f->type)) {
		for (size_t i = f->size; i-- > 0;)
			v = v << 8 | p[i];
		return xasprintf("%u", v);
	}
	if (f->type == FIELD_BYTES) {
		char *hex = xcalloc(2 * f->size + 1, 1);

		for (size_t i = 0; i < f->size; i++)
			snprintf(hex + 2 * i, 3, "%02x", p[i]);
		return hex;
	}
	/* an image may come from anywhere: what a terminal would take for a command is not handed on */
	char *text = xasprintf("%.*s", (int)f->size, (const char *)p);
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c) && (unsigned char)*c < 0x80)
			*c = '?';
	return text;
}

char *schema_range(const struct schema_field *f)
{
	if (f->type == FIELD_TEXT)
		return xasprintf("up to %zu characters", f->size - 1);
	if (f->type == FIELD_BYTES)
		return xasprintf("%zu bytes, hexadecimal", f->size);
	return xasprintf("%u to %u%s%s", f->min, f->max, *f->unit ? " " : "", f->unit);
}
