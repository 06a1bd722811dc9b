/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPUs, memory nodes and cgroup of domains: what of it a host can keep, and how its XML says it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/libvirt/libvirt.h"
#include "base/fs.h"
#include "host/affinity.h"

/* A name that is no command line's: libvirt asks every emulator it is given what it can do. */
#define WRAPPER "qemu-in-cgroup"

static error *check_place(const struct lv_host *h, const struct placement *p)
{
	const struct lv_template *t = h->template;

	if (h->remote || h->lv->fleet)
		return err_new(
			EXIT_BAD_INPUT,
			"--pin and --numa name CPUs and memory nodes of this machine; the VMs of %s run elsewhere: leave them out",
			h->spec->name);
	if (p->pin != PIN_NONE && !t->uses_cpuset)
		return err_new(EXIT_BAD_INPUT, "--pin: template %s has no {cpuset}, so it would be ignored",
			       t->path);
	if (p->numa == NUMA_LOCAL)
		return err_new(
			EXIT_BAD_INPUT,
			"--numa local: libvirt has no such policy. Without --numa its VMs' memory is of the node they run on, unless that is full");
	if (p->numa != NUMA_NONE && !t->uses_numatune)
		return err_new(EXIT_BAD_INPUT,
			       "--numa: template %s has no {numatune}, so it would be ignored", t->path);
	return NULL;
}

/* One file name in a shell script. */
static char *shell_quoted(const char *s)
{
	char *out = xcalloc(4 * strlen(s) + 3, 1), *to = out;

	*to++ = '\'';
	for (; *s; s++) {
		if (*s == '\'')
			to = stpcpy(to, "'\\'");
		*to++ = *s;
	}
	*to = '\'';
	return out;
}

static error *quoted_path_of(int fd, struct strlist *to)
{
	_cleanup_free_ char *link = xasprintf("/proc/self/fd/%d", fd);
	char path[4096];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot tell the path of the VMs' cgroup");
	path[n] = '\0';
	_cleanup_free_ char *quoted = shell_quoted(path);
	strlist_add(to, quoted);
	return NULL;
}

/*
 * libvirt offers no way to start its QEMU in a given cgroup, and one that is moved there afterwards keeps the
 * memory it has taken where it was. So the emulator is a script that moves itself, and becomes QEMU.
 */
static error *write_wrapper(struct lv_host *h)
{
	const struct backend_config *cfg = &h->lv->cfg;
	_cleanup_free_ char *found =
		fs_find_program(h->lv->own.qemu ? h->lv->own.qemu : "qemu-system-x86_64");
	_cleanup_(strlist_clear) struct strlist files = { 0 };
	error *e;

	if (!found)
		return err_new(EXIT_CANNOT, "%s: no such program on PATH",
			       h->lv->own.qemu ? h->lv->own.qemu : "qemu-system-x86_64");
	if ((e = quoted_path_of(cfg->cgroup_procs_fd, &files)))
		return e;
	for (unsigned i = 0; i < cfg->cgroup_more; i++)
		if ((e = quoted_path_of(cfg->cgroup_more_fds[i], &files)))
			return e;
	_cleanup_free_ char *list = strlist_join(&files), *qemu = shell_quoted(found);
	_cleanup_free_ char *text = xasprintf("#!/bin/sh\n"
					      "for procs in %s; do echo 0 >\"$procs\" || exit 126; done\n"
					      "exec %s \"$@\"\n",
					      list, qemu);
	h->wrapper = xasprintf("%s/" WRAPPER, cfg->runtime_dir);
	if ((e = fs_write_atomic(h->wrapper, text, strlen(text))))
		return e;
	if (chmod(h->wrapper, 0755) < 0 || access(h->wrapper, X_OK) < 0)
		return err_sys(
			EXIT_CANNOT, errno,
			"%s cannot be run, and QEMU would not begin in its cgroup: set MVMSCALE_STATE to a folder where programs may be run",
			h->wrapper);
	return NULL;
}

static error *check_cgroup(struct lv_host *h)
{
	if (!h->embed)
		return err_new(
			EXIT_BAD_INPUT,
			"--cgroup and --cgroup-*: the VMs of %s are made by libvirt's daemon, in cgroups of its own: leave out --connect and --hosts to use the driver in the harness",
			h->spec->name);
	if (!h->template->uses_emulator)
		return err_new(
			EXIT_BAD_INPUT,
			"--cgroup and --cgroup-*: template %s has no {emulator}, so its QEMU cannot be started in a cgroup",
			h->template->path);
	return write_wrapper(h);
}

error *lv_confine_prepare(struct lv_host *h)
{
	error *e = h->lv->cfg.place ? check_place(h, h->lv->cfg.place) : NULL;

	return e || !h->lv->cfg.cgroup_whole ? e : check_cgroup(h);
}

char *lv_emulator_xml(const struct lv_host *h)
{
	const char *path = h->wrapper ? h->wrapper : h->lv->own.qemu;

	_cleanup_free_ char *text = path ? lv_xml_escaped(path) : NULL;

	return text ? xasprintf("<emulator>%s</emulator>", text) : xstrdup("");
}

char *lv_cpuset_xml(const struct lv *b, uint32_t vm)
{
	struct binding where;

	if (!b->cfg.place || b->cfg.place->pin == PIN_NONE)
		return xstrdup("");
	placement_of(b->cfg.place, vm, &where);
	_cleanup_free_ char *cpus = binding_cpus_text(&where);
	return xasprintf(" placement='static' cpuset='%s'", cpus);
}

char *lv_numatune_xml(const struct lv *b, uint32_t vm)
{
	struct binding where;

	if (!b->cfg.place || b->cfg.place->numa == NUMA_NONE)
		return xstrdup("");
	placement_of(b->cfg.place, vm, &where);
	_cleanup_free_ char *nodes = binding_nodes_text(&where);
	return xasprintf("<numatune><memory mode='%s' nodeset='%s'/></numatune>",
			 b->cfg.place->numa == NUMA_INTERLEAVE ? "interleave" : "strict", nodes);
}
