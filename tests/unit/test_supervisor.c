/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/console.h"
#include "backend/supervisor.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "base/util.h"

#define VMS 4

static char dir[] = "/tmp/mvm-crew-XXXXXX";
static struct guest_image image;
static struct vm vms[VMS];

/* A VM that never says that it is ready; user: what its shell does. */
static error *be_silent(void *user, const struct supervisor_slot *s, int listen_fd, pid_t *ret_pid)
{
	char *argv[] = { (char *)"sh", (char *)"-c", user, NULL };
	struct spawn_spec spec = { .path = "/bin/sh",
				   .argv = argv,
				   .envp = environ,
				   .stderr_fd = s->stderr_fd,
				   .cgroup_procs_fd = -1 };

	(void)listen_fd;
	return spawn_process(&spec, ret_pid);
}

static void open_crew(struct supervisor *c, uint64_t ready_timeout_ns)
{
	struct backend_config cfg = {
		.image = &image, .jobs = 2, .ready_timeout_ns = ready_timeout_ns, .runtime_dir = dir
	};

	memset(vms, 0, sizeof(vms));
	assert_null(supervisor_open(c, &cfg, vms, VMS, "sh"));
}

/* Events of so much time; the last one's reason goes to *ret_reason, which the caller frees. */
static size_t listen_for(struct supervisor *c, uint64_t ns, char **ret_reason)
{
	uint64_t end = clock_ns() + ns;
	size_t count = 0;

	*ret_reason = NULL;
	while (clock_ns() < end) {
		struct backend_event ev;

		if (!supervisor_poll(c, 5, &ev, 1))
			continue;
		free(*ret_reason);
		*ret_reason = ev.reason;
		count++;
	}
	return count;
}

/* A probe guest that is too slow is followed by another one of the same number. */
static void the_end_of_one_that_failed_is_not_the_next_ones(void **state)
{
	char *reason, forever[] = "exec sleep 60";
	uint32_t begun;
	struct supervisor c;

	(void)state;
	open_crew(&c, 20000000);
	assert_null(supervisor_start(&c, 0, 1, &begun, be_silent, forever));
	struct backend_event ev;
	while (!supervisor_poll(&c, 5, &ev, 1))
		;
	assert_int_equal(ev.kind, BACKEND_FAILED);
	assert_non_null(strstr(ev.reason, "did not become ready"));
	free(ev.reason);
	assert_null(supervisor_stop_all(&c, NULL, NULL));
	assert_int_equal(c.living, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	memset(vms, 0, sizeof(vms));
	c.ready_timeout_ns = 60000000000U;
	assert_null(supervisor_start(&c, 0, 1, &begun, be_silent, forever));
	assert_int_equal(listen_for(&c, 300000000, &reason), 0);
	assert_int_equal(vms[0].state, VM_STARTING);
	assert_null(supervisor_stop_all(&c, NULL, NULL));
	supervisor_close(&c);
}

static void what_it_said_is_told(void **state)
{
	char *reason, talks[] = "echo first; echo last >&2; exit 3";
	uint32_t begun;
	struct supervisor c;

	(void)state;
	open_crew(&c, 60000000000U);
	assert_null(supervisor_start(&c, 0, 1, &begun, be_silent, talks));
	for (int i = 0; i < 100 && !listen_for(&c, 50000000, &reason); i++)
		;
	assert_non_null(reason);
	assert_string_equal(reason, "sh exited with status 3 before its guest was ready; it said: last");
	free(reason);
	assert_null(supervisor_stop_all(&c, NULL, NULL));
	supervisor_close(&c);
}

static void the_ready_line_is_the_guests_own(void **state)
{
	(void)state;
	assert_true(console_is_ready("MVM sleep ready", "sleep"));
	assert_true(console_is_ready("MVM any ready", ""));
	assert_false(console_is_ready("MVM other ready", "sleep"));
	assert_false(console_is_ready("MVM sleeper ready", "sleep"));
	assert_false(console_is_ready("MVM slee ready", "sleep"));
	assert_false(console_is_ready("MVM sleep ready more", "sleep"));
	assert_false(console_is_ready("xMVM sleep ready", "sleep"));
	assert_false(console_is_ready("MVM  ready", ""));
	assert_false(console_is_ready("MVM two words ready", ""));
	assert_false(console_is_ready("MVM ready", ""));
	assert_false(console_is_ready("", "sleep"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_one_that_failed_is_not_the_next_ones),
		cmocka_unit_test(what_it_said_is_told),
		cmocka_unit_test(the_ready_line_is_the_guests_own),
	};

	if (!mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	fs_remove_tree(dir);
	return failed;
}
