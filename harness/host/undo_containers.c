/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Containers outlive the harness that made them: whoever cleans up after it asks their runtime. */
#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "host/undo.h"

#define DELETE_LIMIT_NS 20000000000ULL

/* Waits for `runtime --root ROOT [option] delete --force ID`; whether it worked is seen in its folder. False
   when it gave no answer: then the next ones would not either. */
static bool delete_one(const char *runtime, const char *root, const char *option, const char *id)
{
	const char *argv[8] = { runtime, "--root", root };
	size_t n = 3;
	int status;
	pid_t pid;

	if (option)
		argv[n++] = option;
	argv[n++] = "delete";
	argv[n++] = "--force";
	argv[n] = id;
	struct spawn_spec spec = { .path = runtime,
				   .argv = (char *const *)argv,
				   .envp = environ,
				   .stderr_fd = -1,
				   .cgroup_procs_fd = -1,
				   .keep_umask = true };
	error *e = spawn_process(&spec, &pid);
	if (!e)
		return child_wait_until(pid, clock_ns() + DELETE_LIMIT_NS, &status);
	err_free(e);
	return false;
}

static error *ours(const char *root, struct strlist *ret)
{
	strlist_clear(ret);
	return fs_list(root, CONTAINER_ID_PREFIX, ret);
}

enum undo_result undo_containers(const char *root, const char *runtime, char **said)
{
	/* crun before 1.9 cannot delete under a hybrid cgroup hierarchy unless told so */
	const char *const options[] = { NULL, "--cgroup-manager=disabled" };
	struct strlist ids = { 0 };
	error *e = ours(root, &ids);
	size_t found = ids.count;
	bool answers = true;

	for (size_t k = 0; !e && ids.count && answers && k < ARRAY_LEN(options); k++) {
		for (size_t i = 0; i < ids.count && answers; i++)
			answers = delete_one(runtime, root, options[k], ids.items[i]);
		e = ours(root, &ids);
	}
	size_t left = ids.count;
	strlist_clear(&ids);
	if (e || left) {
		*said = e ? xasprintf("not restored: %s", e->msg)
			  : xasprintf("not restored: %s does not delete %zu containers in %s", runtime, left,
				      root);
		err_free(e);
		return UNDO_FAILED;
	}
	if (found)
		*said = xasprintf("deleted %zu containers of %s", found, runtime);
	return found ? UNDO_DONE : UNDO_NOTHING;
}
