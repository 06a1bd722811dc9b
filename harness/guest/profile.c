/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest/profile.h"

#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "guest/schema.h"

static const char SECTION[] = "profile";
static const char SUFFIX[] = ".profile";
#define DISK_MAX_MB 131072 /* what 28 bits of a sector's number reach */
#define MEMORY_MAX_MB 3072 /* of a VM; above this a PC has devices, not memory */

/* ini_get() takes the last of several equal keys; in a profile the second is a slip of the pen. */
static error *refuse_repeated(const struct ini_file *f)
{
	for (size_t i = 0; i < f->count; i++)
		for (size_t k = 0; k < i; k++)
			if (!wave_may_repeat(&f->entries[i]) &&
			    str_eq(f->entries[i].section, f->entries[k].section) &&
			    str_eq(f->entries[i].key, f->entries[k].key))
				return err_new(EXIT_BAD_INPUT, "%s:%d: %s is already given on line %d",
					       f->path, f->entries[i].line, f->entries[i].key,
					       f->entries[k].line);
	return NULL;
}

static error *required(const struct ini_file *f, const char *key, char **ret)
{
	const char *v = ini_get(f, SECTION, key);

	if (!v || !*v)
		return err_new(EXIT_BAD_INPUT, "%s: needs a line '%s = ...' in section [%s]", f->path, key,
			       SECTION);
	*ret = xstrdup(v);
	return NULL;
}

static error *optional_u32(const struct ini_file *f, const char *key, bool *given, uint32_t *ret)
{
	long v = 0;
	error *e = ini_get_long(f, SECTION, key, 0, UINT32_MAX, 0, &v);

	*given = ini_get(f, SECTION, key) != NULL;
	*ret = (uint32_t)v;
	return e;
}

static char *name_of(const char *path)
{
	const char *base = strrchr(path, '/');
	char *name = xstrdup(base ? base + 1 : path);
	size_t len = strlen(name), n = strlen(SUFFIX);

	if (len > n && str_eq(name + len - n, SUFFIX))
		name[len - n] = '\0';
	return name;
}

static error *take(const struct ini_file *f, struct profile *p)
{
	static const char *const allowed[] = { "profile.guest",
					       "profile.summary",
					       "profile.seed",
					       "profile.phase_ms",
					       "profile.spread_ms",
					       "profile.memory_mb",
					       "profile.disk_mb",
					       "profile.devices",
					       "parameters.*",
					       "wave.*",
					       NULL };
	error *e = ini_only(f, allowed);
	bool given;

	if (!e)
		e = refuse_repeated(f);
	if (!e)
		e = required(f, "guest", &p->guest);
	if (!e)
		e = required(f, "summary", &p->summary);
	if (!e)
		e = optional_u32(f, "seed", &p->has_seed, &p->seed);
	if (!e)
		e = optional_u32(f, "phase_ms", &p->has_phase, &p->phase_ms);
	if (!e)
		e = optional_u32(f, "spread_ms", &given, &p->spread_ms);
	return e;
}

static error *take_machine(const struct ini_file *f, struct profile *p)
{
	const char *devices = ini_get(f, SECTION, "devices");
	long mb = 0;
	error *e = ini_get_long(f, SECTION, "memory_mb", 1, MEMORY_MAX_MB, 0, &mb);

	strlist_add_words(&p->devices, devices ? devices : "");
	p->memory_mb = (uint32_t)mb;
	if (!e)
		e = ini_get_long(f, SECTION, "disk_mb", 1, DISK_MAX_MB, 1, &mb);
	p->disk_mb = (uint32_t)mb;
	return e;
}

/* Kept as they are: what they may be, the guest's schema knows. */
static void take_values(const struct ini_file *f, struct profile *p)
{
	p->values = xcalloc(f->count, sizeof(*p->values));
	for (size_t i = 0; i < f->count; i++) {
		const struct ini_entry *en = &f->entries[i];

		if (str_eq(en->section, "parameters"))
			p->values[p->value_count++] = (struct profile_value){ .name = xstrdup(en->key),
									      .value = xstrdup(en->value),
									      .line = en->line };
	}
}

/* Unless it says otherwise, a population is spread over the whole period. */
static error *take_wave(const struct ini_file *f, struct profile *p)
{
	if (!wave_given(f))
		return NULL;
	if (!str_eq(p->guest, "wave"))
		return err_new(EXIT_BAD_INPUT, "%s: guest '%s' plays no waveform: section [wave] is for wave",
			       p->path, p->guest);
	error *e = wave_load(f, p->seed, &p->wave);
	if (!e && p->wave->spread == WAVE_SPREAD_PHASE && !p->spread_ms)
		p->spread_ms = (uint32_t)MIN(wave_asked_ms(p->wave), (double)UINT32_MAX);
	return e;
}

static error *from_ini(const struct ini_file *f, struct profile **ret)
{
	_cleanup_(profile_freep) struct profile *p = xcalloc(1, sizeof(*p));
	error *e = take(f, p);

	if (!e)
		e = take_machine(f, p);
	if (e)
		return e;
	take_values(f, p);
	p->path = xstrdup(f->path);
	p->name = name_of(f->path);
	if ((e = take_wave(f, p)))
		return e;
	*ret = STEAL(p);
	return NULL;
}

error *profile_parse(const char *text, const char *what, struct profile **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_parse_text(text, what, &f);

	return e ? e : from_ini(f, ret);
}

static error *unknown(const char *name, const char *known)
{
	return known ? err_new(EXIT_BAD_INPUT,
			       "unknown profile '%s': known are %s; or give the path of a %s file", name,
			       known, SUFFIX)
		     : err_new(EXIT_CANNOT,
			       "profile '%s': no profiles are installed: set MVMSCALE_DATA to the folder that holds profiles/, or give the path of a %s file",
			       name, SUFFIX);
}

error *profile_load(const char *name_or_path, struct profile **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	_cleanup_free_ char *known = NULL;
	_cleanup_free_ char *path = guest_data_find("profiles", SUFFIX, name_or_path, &known);

	if (!path)
		return unknown(name_or_path, known);
	error *e = ini_load(path, &f);
	return e ? e : from_ini(f, ret);
}

void profile_free(struct profile *p)
{
	if (!p)
		return;
	free(p->name);
	free(p->path);
	free(p->summary);
	free(p->guest);
	strlist_clear(&p->devices);
	for (size_t i = 0; i < p->value_count; i++) {
		free(p->values[i].name);
		free(p->values[i].value);
	}
	free(p->values);
	wave_free(p->wave);
	free(p);
}

error *profile_list(struct profile_list *ret)
{
	_cleanup_(strlist_clear) struct strlist names = { 0 };

	*ret = (struct profile_list){ 0 };
	guest_data_names("profiles", SUFFIX, &names);
	ret->items = xcalloc(names.count, sizeof(void *));
	for (; ret->count < names.count; ret->count++) {
		error *e = profile_load(names.items[ret->count], &ret->items[ret->count]);

		if (e) {
			profile_list_clear(ret);
			return e;
		}
	}
	return NULL;
}

void profile_list_clear(struct profile_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		profile_free(l->items[i]);
	free(l->items);
	*l = (struct profile_list){ 0 };
}

error *profile_devices(const struct profile *p, const struct guest_image *img, struct strlist *ret)
{
	_cleanup_(schema_freep) struct guest_schema *s = NULL;
	error *e = schema_load(img->guest, &s);

	*ret = (struct strlist){ 0 };
	for (size_t i = 0; !e && i < s->needs.count; i++)
		strlist_add(ret, s->needs.items[i]);
	for (size_t i = 0; !e && p && i < p->devices.count; i++)
		strlist_add(ret, p->devices.items[i]);
	return e;
}

static error *set_values(const struct profile *p, struct guest_image *img)
{
	_cleanup_(schema_freep) struct guest_schema *s = NULL;
	error *e = schema_load(p->guest, &s);

	for (size_t i = 0; !e && i < p->value_count; i++) {
		e = schema_set(s, img, p->values[i].name, p->values[i].value);
		if (e)
			e = err_wrap(e, "%s:%d", p->path, p->values[i].line);
	}
	return e;
}

error *image_from_profile(const struct profile *p, struct guest_image *ret)
{
	struct guest_image img;
	error *e = image_load_guest(p->guest, &img);

	if (e)
		return err_wrap(e, "%s", p->path);
	if (!img.has_params)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: guest '%s' has no parameter block to put a profile into: rebuild it with 'make'",
			p->path, p->guest);
	if (p->spread_ms && !(img.flags & MVM_PARAM_FLAG_PHASE))
		return err_new(EXIT_BAD_INPUT,
			       "%s: spread_ms = %u: guest '%s' makes no use of a phase: leave the line out",
			       p->path, p->spread_ms, p->guest);
	if (p->has_seed)
		image_set_seed(&img, p->seed);
	if (p->has_phase)
		image_set_phase(&img, p->phase_ms);
	if ((e = set_values(p, &img)))
		return e;
	if (p->wave && (e = wave_into_image(p->wave, &img)))
		return err_wrap(e, "%s", p->path);
	*ret = img;
	return NULL;
}
