/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which QEMU, with which arguments: settled once per run and written into its record. */
#include <string.h>
#include <sys/wait.h>

#include "backend/qemu/qemu.h"
#include "base/child.h"
#include "base/fs.h"

#define VERSION_TIMEOUT_MS 10000

static error *find_binary(const struct qemu *q, const struct preset_accel *pa, char **ret)
{
	struct strlist names = { 0 };

	const char *programs =
		q->cfg.devices && *q->cfg.devices && pa->device_binary ? pa->device_binary : pa->binary;

	if (q->own.qemu) {
		*ret = fs_find_program(q->own.qemu);
		if (*ret)
			return NULL;
		return err_new(EXIT_CANNOT, "QEMU '%s' (--qemu): no such program, or not executable",
			       q->own.qemu);
	}
	strlist_add_words(&names, programs);
	for (size_t i = 0; i < names.count && !*ret; i++)
		*ret = fs_find_program(names.items[i]);
	strlist_clear(&names);
	if (*ret)
		return NULL;
	return err_new(
		EXIT_CANNOT,
		"QEMU is missing: none of '%s' is on PATH; install it (Debian: apt-get install qemu-system-x86) or give one with --qemu PATH",
		programs);
}

/* "QEMU emulator version 7.2.22 (Debian ...)" -> "7.2.22" */
static char *short_version(const char *text)
{
	const char *v = strstr(text, "version ");

	if (!v)
		return NULL;
	v += strlen("version ");
	return xasprintf("%.*s", (int)strcspn(v, " (\n"), v);
}

static error *ask_version(struct qemu_plan *p)
{
	char *argv[] = { p->binary, (char *)"--version", NULL };
	_cleanup_free_ char *text = NULL;
	int status = 0;
	error *e = child_capture(argv, VERSION_TIMEOUT_MS, &text, &status);

	if (e)
		return e;
	p->version = short_version(text);
	if (p->version && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return err_new(EXIT_CANNOT, "%s is not a working QEMU: --version %s%s%s", p->binary,
		       p->version ? "failed" : "named no version", *text ? "; it said: " : "", text);
}

/* Puts value where the word holds {key}. */
static char *substitute(const char *word, const char *key, const char *value)
{
	const char *at = strstr(word, key);

	if (!at)
		return xstrdup(word);
	return xasprintf("%.*s%s%s", (int)(at - word), word, value, at + strlen(key));
}

void qemu_plan_words(const char *words, const struct plan_place *places, size_t n, struct strlist *argv)
{
	struct strlist list = { 0 };

	strlist_add_words(&list, words);
	for (size_t i = 0; i < list.count; i++) {
		char *word = xstrdup(list.items[i]);

		for (size_t k = 0; k < n; k++) {
			char *next = substitute(word, places[k].key, places[k].value);

			free(word);
			word = next;
		}
		strlist_add(argv, word);
		free(word);
	}
	strlist_clear(&list);
}

/* The machine type that was asked for, in place of the preset's or where the preset has none. */
static void set_machine(const char *wanted, struct strlist *argv)
{
	for (size_t i = 1; i + 1 < argv->count; i++) {
		if (!str_eq(argv->items[i], "-machine") && !str_eq(argv->items[i], "-M"))
			continue;
		free(argv->items[i + 1]);
		argv->items[i + 1] = xstrdup(wanted);
		return;
	}
	strlist_add(argv, "-machine");
	strlist_add(argv, wanted);
}

static error *make_argv(const struct qemu *q, struct qemu_plan *p)
{
	const struct preset_accel *pa = &q->own.preset->accel[p->accel];
	const struct plan_place places[] = { { "{image}", qemu_vary_image(q) },
					     { "{firmware}", qemu_vary_firmware(q) } };

	strlist_add(&p->argv, p->binary);
	qemu_plan_words(pa->args, places, ARRAY_LEN(places), &p->argv);
	if (q->own.machine)
		set_machine(q->own.machine, &p->argv);
	p->machine = xstrdup("default");
	for (size_t i = 1; i + 1 < p->argv.count; i++) {
		char **value = &p->argv.items[i + 1];

		if (str_eq(p->argv.items[i], "-machine") || str_eq(p->argv.items[i], "-M")) {
			free(p->machine);
			p->machine = xasprintf("%.*s", (int)strcspn(*value, ","), *value);
		}
		if (str_eq(p->argv.items[i], "-m") && q->cfg.memory_mb) {
			free(*value);
			*value = xasprintf("%u", q->cfg.memory_mb);
		}
	}
	error *e = qemu_devices_args(q, p->accel, &p->argv);
	if (e)
		return e;
	/*
	 * wait=on: QEMU takes the connection that already waits in the socket's queue
	 * before the guest runs, so the ready line cannot be lost. Later clients are
	 * served as well: the socket goes on listening when the first one hangs up.
	 */
	strlist_add(&p->argv, "-chardev");
	strlist_addf(&p->argv, "socket,id=mvm,fd=%d,server=on,wait=on", SUPERVISOR_CONSOLE_FD);
	strlist_add(&p->argv, "-serial");
	strlist_add(&p->argv, "chardev:mvm");
	return NULL;
}

static void make_env(struct qemu_plan *p)
{
	const char *path = getenv("PATH"), *library = getenv("LD_LIBRARY_PATH");

	strlist_addf(&p->envp, "PATH=%s", path && *path ? path : "/usr/bin:/bin");
	strlist_add(&p->envp, "HOME=/");
	if (library && *library)
		strlist_addf(&p->envp, "LD_LIBRARY_PATH=%s", library);
}

error *qemu_plan_make(const struct qemu *q, enum accel accel, struct qemu_plan *ret)
{
	const struct preset_accel *pa = &q->own.preset->accel[accel];
	error *e;

	*ret = (struct qemu_plan){ .accel = accel };
	if (!pa->present)
		return err_new(EXIT_CANNOT, "preset %s has no [%s] section", q->own.preset->name,
			       accel_names[accel]);
	if ((e = find_binary(q, pa, &ret->binary)) || (e = ask_version(ret)) ||
	    (e = fs_sha256(ret->binary, &ret->sha256)))
		return e;
	make_env(ret);
	return make_argv(q, ret);
}

void qemu_plan_clear(struct qemu_plan *p)
{
	free(p->binary);
	free(p->version);
	free(p->sha256);
	free(p->machine);
	free(p->accel_note);
	strlist_clear(&p->argv);
	strlist_clear(&p->envp);
	*p = (struct qemu_plan){ 0 };
}
