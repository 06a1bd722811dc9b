/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/preset.h"

#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "guest/image.h"

#define SUFFIX ".preset"

const char *const accel_names[ACCEL_COUNT] = { [ACCEL_TCG] = "tcg", [ACCEL_KVM] = "kvm" };
const char *const device_names[DEVICE_COUNT] = { [DEVICE_DISK] = "disk", [DEVICE_NET] = "net" };

static const char *const allowed_keys[] = {
	"preset.summary",    "preset.launch",	  "preset.tune", "preset.prefer",
	"tcg.binary",	     "tcg.args",	  "tcg.boot",	 "tcg.tasks",
	"tcg.fds",	     "tcg.mem_kb",	  "kvm.binary",	 "kvm.args",
	"kvm.boot",	     "kvm.tasks",	  "kvm.fds",	 "kvm.mem_kb",
	"tcg.commit_kb",     "kvm.commit_kb",	  "tcg.tune",	 "kvm.tune",
	"tcg.disk",	     "tcg.net",		  "kvm.disk",	 "kvm.net",
	"tcg.device_binary", "kvm.device_binary", NULL,
};

error *device_set(const struct strlist *words, const char *what, unsigned *ret)
{
	*ret = 0;
	for (size_t i = 0; i < words->count; i++) {
		enum device d = 0;

		while (d < DEVICE_COUNT && !str_eq(words->items[i], device_names[d]))
			d++;
		if (d == DEVICE_COUNT)
			return err_new(EXIT_BAD_INPUT, "%s: unknown device '%s': known are disk and net",
				       what, words->items[i]);
		*ret |= 1U << d;
	}
	return NULL;
}

void preset_names(struct strlist *ret)
{
	guest_data_names("presets", SUFFIX, ret);
}

/* A program with a slash in its name lies where the file says: seen from the file's own folder. */
static char *programs_from(const char *folder, const char *words)
{
	_cleanup_(strlist_clear) struct strlist named = { 0 }, from_root = { 0 };

	strlist_add_words(&named, words);
	for (size_t i = 0; i < named.count; i++) {
		_cleanup_free_ char *path =
			strchr(named.items[i], '/') ? fs_path_in(folder, named.items[i]) : NULL;

		strlist_addf(&from_root, strchr(path ? path : "", ' ') ? "\"%s\"" : "%s",
			     path ? path : named.items[i]);
	}
	return strlist_join(&from_root);
}

/* Every {folder} becomes the folder of the file. */
static char *args_from(const char *folder, const char *args)
{
	static const char place[] = "{folder}";
	char *text = xstrdup(""), *longer;

	for (const char *at; (at = strstr(args, place)); args = at + sizeof(place) - 1) {
		longer = xasprintf("%s%.*s%s", text, (int)(at - args), args, folder);
		free(text);
		text = longer;
	}
	longer = xasprintf("%s%s", text, args);
	free(text);
	return longer;
}

static error *load_accel(const struct ini_file *f, enum accel a, struct preset_accel *ret)
{
	const char *section = accel_names[a];
	const char *binary = ini_get(f, section, "binary"), *args = ini_get(f, section, "args");
	const char *boot = ini_get(f, section, "boot");
	error *e = NULL;

	if (!binary && !args)
		return NULL;
	if (!binary || !args || !boot)
		return err_new(EXIT_BAD_INPUT, "%s: section [%s] needs binary, args and boot", f->path,
			       section);
	if (!str_eq(boot, "firmware") && !str_eq(boot, "disk"))
		return err_new(EXIT_BAD_INPUT, "%s: [%s] boot = %s: must be firmware or disk", f->path,
			       section, boot);
	if (!strstr(args, str_eq(boot, "firmware") ? "{firmware}" : "{image}"))
		return err_new(EXIT_BAD_INPUT, "%s: [%s] args never uses {%s}, so the guest would not boot",
			       f->path, section, str_eq(boot, "firmware") ? "firmware" : "image");
	if ((e = ini_get_long(f, section, "tasks", 1, 1000, 3, &ret->tasks)) ||
	    (e = ini_get_long(f, section, "fds", 1, 100000, 12, &ret->fds)) ||
	    (e = ini_get_long(f, section, "mem_kb", 1, 1L << 40, 16000, &ret->mem_kb)) ||
	    (e = ini_get_long(f, section, "commit_kb", 0, 1L << 40, 40000, &ret->commit_kb)))
		return e;
	ret->present = true;
	ret->firmware_boot = str_eq(boot, "firmware");
	_cleanup_free_ char *folder = fs_folder_of(f->path);
	ret->binary = programs_from(folder, binary);
	ret->args = args_from(folder, args);
	const char *tune = ini_get(f, section, "tune");
	ret->tune = tune ? xstrdup(tune) : NULL;
	for (enum device d = 0; d < DEVICE_COUNT; d++) {
		const char *words = ini_get(f, section, device_names[d]);

		ret->device_args[d] = words ? args_from(folder, words) : NULL;
	}
	const char *device_binary = ini_get(f, section, "device_binary");
	ret->device_binary = device_binary ? programs_from(folder, device_binary) : NULL;
	return NULL;
}

struct vm_cost preset_vm_cost(const struct preset_accel *pa)
{
	return (struct vm_cost){ .tasks = (double)pa->tasks,
				 .fds_vm = (double)pa->fds,
				 .mem_kb = (double)pa->mem_kb,
				 .commit_kb = (double)pa->commit_kb };
}

static char *preset_name_of(const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	const char *dot = strstr(base, SUFFIX);

	return dot && dot > base ? xasprintf("%.*s", (int)(dot - base), base) : xstrdup(base);
}

static error *check_words(const struct preset *p)
{
	if (!str_eq(p->launch, "exec") && !str_eq(p->launch, "fork") && !str_eq(p->launch, "clone"))
		return err_new(EXIT_BAD_INPUT, "%s: launch = %s: must be exec, fork or clone", p->path,
			       p->launch);
	if (!str_eq(p->prefer, "kvm") && !str_eq(p->prefer, "tcg"))
		return err_new(EXIT_BAD_INPUT, "%s: prefer = %s: must be kvm or tcg", p->path, p->prefer);
	if (!p->accel[ACCEL_TCG].present && !p->accel[ACCEL_KVM].present)
		return err_new(EXIT_BAD_INPUT, "%s: has neither a [tcg] nor a [kvm] section", p->path);
	return NULL;
}

static error *from_ini(const struct ini_file *f, struct preset **ret)
{
	_cleanup_(preset_freep) struct preset *p = xcalloc(1, sizeof(*p));
	error *e = ini_only(f, allowed_keys);

	if (e)
		return err_wrap(e, "preset");
	p->path = xstrdup(f->path);
	const char *summary = ini_get(f, "preset", "summary"), *launch = ini_get(f, "preset", "launch");
	const char *tune = ini_get(f, "preset", "tune"), *prefer = ini_get(f, "preset", "prefer");
	p->name = preset_name_of(p->path);
	p->summary = xstrdup(summary ? summary : "");
	p->launch = xstrdup(launch ? launch : "exec");
	p->tune = xstrdup(tune ? tune : "");
	p->prefer = xstrdup(prefer ? prefer : "kvm");
	for (enum accel a = 0; a < ACCEL_COUNT; a++)
		if ((e = load_accel(f, a, &p->accel[a])))
			return err_wrap(e, "preset");
	if ((e = check_words(p)))
		return err_wrap(e, "preset");
	*ret = STEAL(p);
	return NULL;
}

error *preset_parse(const char *text, const char *what, struct preset **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_parse_text(text, what, &f);

	return e ? err_wrap(e, "preset") : from_ini(f, ret);
}

error *preset_load(const char *name_or_path, struct preset **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	_cleanup_free_ char *known = NULL;
	_cleanup_free_ char *path = guest_data_find("presets", SUFFIX, name_or_path, &known);
	error *e = path ? ini_load(path, &f)
			: err_new(EXIT_BAD_INPUT, GUEST_DATA_UNKNOWN, "preset", name_or_path,
				  known ?: "(none found)");

	return e ? err_wrap(e, "preset") : from_ini(f, ret);
}

void preset_free(struct preset *p)
{
	if (!p)
		return;
	for (enum accel a = 0; a < ACCEL_COUNT; a++) {
		free(p->accel[a].binary);
		free(p->accel[a].args);
		free(p->accel[a].tune);
		for (enum device d = 0; d < DEVICE_COUNT; d++)
			free(p->accel[a].device_args[d]);
		free(p->accel[a].device_binary);
	}
	free(p->name);
	free(p->path);
	free(p->summary);
	free(p->launch);
	free(p->tune);
	free(p->prefer);
	free(p);
}
