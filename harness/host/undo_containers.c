/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Containers outlive the harness that made them: whoever cleans up after it asks their runtime. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "host/undo.h"

#define DELETE_LIMIT_NS 20000000000ULL

/* Waits for `runtime --root ROOT [option] delete --force ID`; whether it worked is seen in its folder. False
   when it gave no answer: then the next ones would not either. */
static bool delete_one(const char *runtime, const char *root, const char *option, const char *id)
{
	const char *argv[8] = { runtime, "--root", root };
	uint64_t give_up = clock_ns() + DELETE_LIMIT_NS;
	posix_spawn_file_actions_t quiet;
	size_t n = 3;
	bool in_time = true;
	pid_t pid;

	if (option)
		argv[n++] = option;
	argv[n++] = "delete";
	argv[n++] = "--force";
	argv[n] = id;
	posix_spawn_file_actions_init(&quiet);
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_RDWR, 0);
	int sys = posix_spawn(&pid, runtime, &quiet, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&quiet);
	if (sys != 0)
		return false;
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_ns() > give_up) {
			in_time = false;
			kill(pid, SIGKILL);
		}
		clock_sleep_ns(1000000);
	}
	return in_time;
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
