/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runtime that makes containers, and what it makes them from (OCI Runtime Specification 1.0.2). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/oci/oci.h"
#include "base/child.h"
#include "base/fs.h"

#define VERSION_TIMEOUT_MS 10000

static const char *const usual_runtimes[] = { "runc", "crun", "youki" };

char *oci_runtime_path(const char *asked)
{
	char *path = asked ? fs_find_program(asked) : NULL;

	for (size_t i = 0; !asked && !path && i < ARRAY_LEN(usual_runtimes); i++)
		path = fs_find_program(usual_runtimes[i]);
	return path;
}

error *oci_probe(void)
{
	_cleanup_free_ char *path = oci_runtime_path(NULL);

	return path ? NULL
		    : err_new(EXIT_CANNOT,
			      "an OCI runtime is missing: neither runc, crun nor youki is on PATH; install one (Debian: apt-get install runc) or give one with --runtime PATH");
}

/* "runc version 1.1.5+ds1\n..." -> "runc 1.1.5+ds1"; the first line of one that says it otherwise */
static char *short_version(const char *text)
{
	_cleanup_free_ char *line = xasprintf("%.*s", (int)strcspn(text, "\n"), text);
	char *v = strstr(line, " version ");

	if (!v)
		return xstrdup(line);
	*v = '\0';
	return xasprintf("%s %s", line, v + strlen(" version "));
}

static error *ask_version(struct oci_runtime *r)
{
	char *argv[] = { r->path, (char *)"--version", NULL };
	_cleanup_free_ char *text = NULL;
	int status = 0;
	error *e = child_capture(argv, VERSION_TIMEOUT_MS, &text, &status);

	if (e)
		return e;
	r->version = short_version(text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && *r->version)
		return NULL;
	return err_new(EXIT_CANNOT, "%s is not a working OCI runtime: --version failed%s%s", r->path,
		       *r->version ? "; it said: " : "", r->version);
}

error *oci_runtime_find(const struct backend_config *cfg, struct oci_runtime *ret)
{
	const char *path = getenv("PATH");
	const struct oci_config *own = cfg->own;
	error *e;

	ret->path = oci_runtime_path(own->runtime);
	if (!ret->path && own->runtime)
		return err_new(EXIT_CANNOT,
			       "OCI runtime '%s' (--runtime): no such program, or not executable",
			       own->runtime);
	if ((!ret->path && (e = oci_probe())) || (e = ask_version(ret)) ||
	    (e = fs_sha256(ret->path, &ret->sha256)))
		return e;
	ret->root = xasprintf("%s/oci", cfg->runtime_dir);
	strlist_add(&ret->argv, ret->path);
	strlist_add(&ret->argv, "--root");
	strlist_add(&ret->argv, ret->root);
	strlist_addf(&ret->envp, "PATH=%s", path && *path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
	strlist_add(&ret->envp, "HOME=/");
	strlist_addf(&ret->envp, "XDG_RUNTIME_DIR=%s", cfg->runtime_dir);
	return fs_mkdirs(ret->root);
}

void oci_runtime_option(struct oci_runtime *r, const char *option)
{
	strlist_add(&r->argv, option);
}

void oci_runtime_clear(struct oci_runtime *r)
{
	if (r->root)
		fs_remove_tree(r->root);
	free(r->path);
	free(r->version);
	free(r->sha256);
	free(r->root);
	strlist_clear(&r->argv);
	strlist_clear(&r->envp);
}

/* Not a hard link: the program may lie on another file system. */
static error *copy_file(const char *from, const char *to, mode_t mode)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	error *e = fs_read(from, &data, &len);

	if (e || (e = fs_write_atomic(to, data, len)))
		return e;
	return chmod(to, mode) < 0 ? err_sys(EXIT_CANNOT, errno, "cannot make %s executable", to) : NULL;
}

error *oci_bundles_make(const struct backend_config *cfg, const struct init_program *init, unsigned slots,
			struct oci_bundles *ret)
{
	static const char *const mount_points[] = { "proc", "dev" };
	error *e = NULL;

	ret->rootfs = xasprintf("%s/rootfs", cfg->runtime_dir);
	ret->dir = xasprintf("%s/bundle", cfg->runtime_dir);
	ret->hostname = xstrdup("mvm");
	for (size_t i = 0; !e && i < ARRAY_LEN(mount_points); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", ret->rootfs, mount_points[i]);

		e = fs_mkdirs(path);
	}
	for (unsigned i = 0; !e && i < slots; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%u", ret->dir, i);

		e = fs_mkdirs(path);
	}
	_cleanup_free_ char *program = xasprintf("%s/init", ret->rootfs);
	_cleanup_free_ char *image = xasprintf("%s/guest.img", ret->rootfs);
	if (!e)
		e = copy_file(init->path, program, 0555);
	if (!e)
		e = copy_file(init->image, image, 0444);
	return e;
}

void oci_bundles_remove(struct oci_bundles *b)
{
	if (b->rootfs)
		fs_remove_tree(b->rootfs);
	if (b->dir)
		fs_remove_tree(b->dir);
	free(b->rootfs);
	free(b->dir);
	free(b->hostname);
}

json_t *oci_config(const char *rootfs, const char *hostname, const char *cgroup)
{
	/* What every container has that wants to be apart: its own pids, mounts, IPC, names, and a network
	 * with nothing in it. */
	json_t *process = json_pack("{s:b, s:{s:i, s:i}, s:[s, s], s:[], s:s, s:{}, s:b}", "terminal", 0,
				    "user", "uid", 0, "gid", 0, "args", "/init", "/guest.img", "env", "cwd",
				    "/", "capabilities", "noNewPrivileges", 1);
	json_t *mounts =
		json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:[s, s, s, s]}]", "destination", "/proc",
			  "type", "proc", "source", "proc", "destination", "/dev", "type", "tmpfs", "source",
			  "tmpfs", "options", "nosuid", "strictatime", "mode=755", "size=64k");
	json_t *namespaces = json_pack("[{s:s}, {s:s}, {s:s}, {s:s}, {s:s}]", "type", "pid", "type",
				       "network", "type", "ipc", "type", "uts", "type", "mount");

	return json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:{s:o, s:s*, s:{s:[{s:b, s:s}]}}}",
			 "ociVersion", "1.0.2", "process", process, "root", "path", rootfs, "readonly", 1,
			 "hostname", hostname, "mounts", mounts, "linux", "namespaces", namespaces,
			 "cgroupsPath", cgroup, "resources", "devices", "allow", 0, "access", "rwm");
}

error *oci_bundle_write(const struct oci_bundles *b, unsigned slot, const char *cgroup)
{
	_cleanup_free_ char *path = xasprintf("%s/%u/config.json", b->dir, slot);
	json_auto_t *config = oci_config(b->rootfs, b->hostname, cgroup);
	_cleanup_free_ char *text = json_dumps(config, JSON_INDENT(1));

	return fs_write_atomic(path, text, strlen(text));
}
