/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which QEMU, with which arguments: settled once per run and written into its record. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "backend/qemu.h"
#include "backend/spawn.h"
#include "base/fs.h"

#define VERSION_TIMEOUT_MS 10000

static error *find_binary(const struct backend_config *cfg, const struct preset_accel *pa, char **ret)
{
	struct strlist names = { 0 };

	if (cfg->qemu) {
		*ret = fs_find_program(cfg->qemu);
		if (*ret)
			return NULL;
		return err_new(EXIT_CANNOT, "QEMU '%s' (--qemu): no such program, or not executable",
			       cfg->qemu);
	}
	strlist_add_words(&names, pa->binary);
	for (size_t i = 0; i < names.count && !*ret; i++)
		*ret = fs_find_program(names.items[i]);
	strlist_clear(&names);
	if (*ret)
		return NULL;
	return err_new(EXIT_CANNOT,
		       "QEMU is missing: none of '%s' is on PATH; install it (Debian: apt-get install "
		       "qemu-system-x86) or give one with --qemu PATH",
		       pa->binary);
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
	error *e = spawn_capture(argv, VERSION_TIMEOUT_MS, &text, &status);

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

static void make_argv(struct qemu_plan *p, const char *args, const char *image, const char *firmware)
{
	struct strlist words = { 0 };

	strlist_add(&p->argv, p->binary);
	strlist_add_words(&words, args);
	p->machine = xstrdup("default");
	for (size_t i = 0; i < words.count; i++) {
		_cleanup_free_ char *half = substitute(words.items[i], "{image}", image);
		_cleanup_free_ char *word = substitute(half, "{firmware}", firmware);

		strlist_add(&p->argv, word);
		if (i && (str_eq(words.items[i - 1], "-machine") || str_eq(words.items[i - 1], "-M"))) {
			free(p->machine);
			p->machine = xasprintf("%.*s", (int)strcspn(word, ","), word);
		}
	}
	strlist_clear(&words);
	/*
	 * wait=on: QEMU takes the connection that already waits in the socket's queue
	 * before the guest runs, so the ready line cannot be lost. Later clients are
	 * served as well: the socket goes on listening when the first one hangs up.
	 */
	strlist_add(&p->argv, "-chardev");
	strlist_addf(&p->argv, "socket,id=mvm,fd=%d,server=on,wait=on", CREW_CONSOLE_FD);
	strlist_add(&p->argv, "-serial");
	strlist_add(&p->argv, "chardev:mvm");
}

static void make_env(struct qemu_plan *p)
{
	const char *path = getenv("PATH"), *library = getenv("LD_LIBRARY_PATH");

	strlist_addf(&p->envp, "PATH=%s", path && *path ? path : "/usr/bin:/bin");
	strlist_add(&p->envp, "HOME=/");
	if (library && *library)
		strlist_addf(&p->envp, "LD_LIBRARY_PATH=%s", library);
}

error *qemu_plan_make(const struct backend_config *cfg, enum accel accel, const char *image,
		      const char *firmware, struct qemu_plan *ret)
{
	const struct preset_accel *pa = &cfg->preset->accel[accel];
	error *e;

	*ret = (struct qemu_plan){ .accel = accel };
	if (!pa->present)
		return err_new(EXIT_CANNOT, "preset %s has no [%s] section", cfg->preset->name,
			       accel_names[accel]);
	if ((e = find_binary(cfg, pa, &ret->binary)) || (e = ask_version(ret)) ||
	    (e = fs_sha256(ret->binary, &ret->sha256)))
		return e;
	make_argv(ret, pa->args, image, firmware);
	make_env(ret);
	return NULL;
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
