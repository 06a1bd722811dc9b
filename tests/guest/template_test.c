/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The harness against templates that lie, break off or die in the midst of a batch. Each is a program that
 * speaks the protocol of the launch library instead of QEMU. Whatever one says, the harness answers with a
 * clear error, signals nobody but its own children, and leaves neither a process nor a descriptor. Prints
 * TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/qemu/qemu.h"
#include "base/fs.h"
#include "base/kin.h"
#include "base/util.h"

#define VMS 8
#define STRANGER_ENV "MVM_TEST_STRANGER"
#define HELPER_ENV "MVM_TEST_HELPER"
#define MANY_FDS 200

static char dir[] = "/tmp/mvm-template-XXXXXX";
static struct guest_image image = { .guest = "fake", .flags = MVM_PARAM_FLAG_SILENT };
static struct vm vms[VMS];
static pid_t stranger, helper;
static int bad_signals;
static int control; /* a template's */

/* Instead of libc's: a test that fails must not signal everybody either. */
int kill(pid_t pid, int sig)
{
	if (sig && (pid <= 1 || pid == getpid() || pid == stranger || pid == helper)) {
		printf("# signal %d for process %d\n", sig, (int)pid);
		bad_signals++;
		errno = EPERM;
		return -1;
	}
	return (int)syscall(SYS_kill, pid, sig);
}

/* What the fake templates do. */

static int32_t number_in(const char *name)
{
	const char *s = getenv(name);

	return s ? (int32_t)strtol(s, NULL, 10) : 0;
}

/* As the library makes them: children of the harness. */
static int32_t make_copy(void)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid != 0)
		return (int32_t)pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(control); /* or the template's end would not be seen */
	for (;;)
		pause();
}

static void be_honest(const struct zygote_request *q, struct zygote_reply *r)
{
	for (r->begun = 0; r->begun < q->count; r->begun++)
		r->pid[r->begun] = make_copy();
}

static void name_one(const struct zygote_request *q, struct zygote_reply *r, int32_t pid)
{
	be_honest(q, r);
	r->pid[q->count - 1] = pid;
}

static void send_descriptors(int fd, struct zygote_reply *r)
{
	int fds[MANY_FDS];
	char space[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct iovec io = { .iov_base = r, .iov_len = sizeof(*r) };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	for (size_t i = 0; i < MANY_FDS; i++)
		fds[i] = fd;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void reply_to_copy(const char *role, int fd, const struct zygote_request *q, struct zygote_reply *r)
{
	static unsigned copies;
	static int32_t before[ZYGOTE_BATCH];
	char large[sizeof(*r) + 64] = "";
	size_t size = sizeof(*r);

	copies++;
	if (str_eq(role, "everybody"))
		name_one(q, r, -1);
	else if (str_eq(role, "group"))
		name_one(q, r, 0);
	else if (str_eq(role, "init"))
		name_one(q, r, 1);
	else if (str_eq(role, "harness"))
		name_one(q, r, getppid());
	else if (str_eq(role, "itself"))
		name_one(q, r, getpid());
	else if (str_eq(role, "stranger"))
		name_one(q, r, number_in(STRANGER_ENV));
	else if (str_eq(role, "janitor"))
		name_one(q, r, number_in(HELPER_ENV));
	else
		be_honest(q, r);
	if (str_eq(role, "twice"))
		r->pid[1] = r->pid[0];
	if (str_eq(role, "again") && copies == 3)
		memcpy(r->pid, before, sizeof(before));
	if (str_eq(role, "more"))
		r->begun = 4000000000U;
	if (str_eq(role, "none"))
		r->begun = 0;
	if (str_eq(role, "elsewhere"))
		r->first = q->first + 1000000;
	if (str_eq(role, "other"))
		r->serial--;
	if (str_eq(role, "garbage"))
		memset(r, 0xA5, sizeof(*r));
	if (str_eq(role, "dies"))
		_exit(1);
	if (str_eq(role, "short"))
		size -= 1;
	if (str_eq(role, "long"))
		size = sizeof(large);
	memcpy(before, r->pid, sizeof(before));
	memcpy(large, r, sizeof(*r));
	if (str_eq(role, "descriptors"))
		send_descriptors(fd, r);
	else
		send(fd, large, size, MSG_NOSIGNAL);
}

static int be_a_template(const char *role)
{
	static struct zygote_request q;
	static struct zygote_reply r;
	const char *env = getenv(ZYGOTE_ENV);
	char mode[16];
	int console;

	if (!env || sscanf(env, "%15s %d %d", mode, &control, &console) != 3)
		return 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int line = accept(console, NULL, NULL);
	if (write(line, "MVM fake ready\n", 15) != 15)
		return 1;
	while (recv(control, &q, sizeof(q), 0) == (ssize_t)sizeof(q)) {
		r = (struct zygote_reply){ .serial = q.serial, .first = q.first };
		if (str_eq(role, "refuses"))
			memset(r.refusal, '\033', sizeof(r.refusal));
		if (q.op == ZYGOTE_COPY)
			reply_to_copy(role, control, &q, &r);
		else
			send(control, &r, sizeof(r), MSG_NOSIGNAL);
		if (str_eq(role, "unasked"))
			send(control, &r, sizeof(r), MSG_NOSIGNAL);
	}
	return 0;
}

/* The harness's side. */

static int report(bool good, const char *what, const char *note)
{
	static unsigned count;

	printf("%sok %u - %s\n", good ? "" : "not ", ++count, what);
	if (!good && note)
		printf("# %s\n", note);
	fflush(stdout);
	return !good;
}

/* A process of nobody's in this program. */
static pid_t make_stranger(void)
{
	int pair[2];
	pid_t pid = 0;

	if (pipe(pair) < 0)
		return 0;
	pid_t between = fork();
	if (between == 0) {
		pid = fork();
		if (pid == 0) {
			close(pair[0]);
			close(pair[1]);
			execlp("sleep", "sleep", "300", (char *)NULL);
			_exit(127);
		}
		_exit(write(pair[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	waitpid(between, NULL, 0);
	if (read(pair[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = 0;
	close(pair[0]);
	close(pair[1]);
	return pid;
}

/* As the janitor is one: a child that runs our own program. */
static pid_t make_helper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static bool knows_none(void *user, pid_t pid)
{
	(void)user;
	return pid == helper;
}

static void open_qemu(struct qemu *q, const char *program, const char *role)
{
	*q = (struct qemu){ .base.ops = &backend_qemu,
			    .cfg = { .image = &image,
				     .jobs = 2,
				     .ready_timeout_ns = 20000000000ULL,
				     .runtime_dir = dir,
				     .cgroup_procs_fd = -1 },
			    .sink_fd = -1,
			    .template = { .control_fd = -1, .console_fd = -1 },
			    .next = { .control_fd = -1, .console_fd = -1 } };
	memset(vms, 0, sizeof(vms));
	q->plan.binary = xstrdup("/bin/sh");
	strlist_add(&q->plan.argv, "sh");
	strlist_add(&q->plan.argv, "-c");
	strlist_add(&q->plan.argv, "unset LD_PRELOAD; exec \"$0\" \"$1\"");
	strlist_add(&q->plan.argv, program);
	strlist_add(&q->plan.argv, role);
	strlist_addf(&q->plan.envp, STRANGER_ENV "=%d", (int)stranger);
	strlist_addf(&q->plan.envp, HELPER_ENV "=%d", (int)helper);
	err_free(supervisor_open(&q->supervisor, &q->cfg, vms, VMS, "QEMU"));
}

static void close_qemu(struct qemu *q)
{
	qemu_zygote_stop(q);
	err_free(supervisor_stop_all(&q->supervisor, NULL, NULL));
	supervisor_close(&q->supervisor);
	qemu_plan_clear(&q->plan);
}

/* What is left of it: descriptors, children, and signals that went astray. */
static int leaves_nothing(const char *role, unsigned fds_before)
{
	unsigned strays = kin_kill_strays(dir, knows_none, NULL), fds = descriptors();
	_cleanup_free_ char *what =
		xasprintf("%s: nobody else is signalled, no process or descriptor is left", role);
	_cleanup_free_ char *note = xasprintf("%u processes, %u descriptors (%u before), %d signals", strays,
					      fds, fds_before, bad_signals);
	bool good = !strays && fds == fds_before && !bad_signals;

	bad_signals = 0;
	return report(good, what, note);
}

static int lies(const char *program, const char *role, const char *said)
{
	struct qemu q;
	unsigned before = descriptors();

	open_qemu(&q, program, role);
	error *e = qemu_zygote_open(&q, LAUNCH_CLONE);
	_cleanup_free_ char *what = xasprintf("%s: %s", role, said ? said : "its copies live");
	int bad = report(said ? e && strstr(e->msg, said) : !e, what, e ? e->msg : "no error");
	err_free(e);
	close_qemu(&q);
	return bad + leaves_nothing(role, before);
}

/* The third batch names the processes of the second: the template is replaced, and its successor is honest.
 */
static int names_those_of_before(const char *program)
{
	struct qemu q;
	uint32_t begun = 0;
	unsigned before = descriptors();

	open_qemu(&q, program, "again");
	error *e = qemu_zygote_open(&q, LAUNCH_CLONE);
	if (!e)
		e = qemu_clone_start(&q, 0, 2, &begun);
	if (!e)
		e = qemu_clone_start(&q, 2, 2, &begun);
	int bad = report(!e && begun == 2 && q.supervisor.living == 4 && vms[2].pid != vms[0].pid,
			 "again: a template that names VMs of before is replaced", e ? e->msg : NULL);
	err_free(e);
	close_qemu(&q);
	return bad + leaves_nothing("again", before);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *role, *said;
	} cases[] = {
		{ "honest", NULL },
		{ "everybody", "names process -1, which is no process's number" },
		{ "group", "names process 0, which is no process's number" },
		{ "init", "names process 1, which is no process's number" },
		{ "harness", "which is this program itself" },
		{ "itself", "which was known before" },
		{ "stranger", "which is somebody else's process" },
		{ "janitor", "which is no process of its making" },
		{ "twice", "which was known before" },
		{ "more", "tells of 4000000000 copies" },
		{ "none", "tells of 0 copies" },
		{ "elsewhere", "copies from VM 1000000 on" },
		{ "other", "answers what it was not asked" },
		{ "unasked", "answers what it was not asked" },
		{ "garbage", "answers what it was not asked" },
		{ "short", "gave an answer of" },
		{ "long", "gave an answer of" },
		{ "descriptors", NULL },
		{ "refuses", "QEMU cannot be copied: ????" },
		{ "dies", "the template QEMU is gone" },
	};
	int bad = 0;

	if (argc > 1)
		return be_a_template(argv[1]);
	if (!mkdtemp(dir))
		return 1;
	/* a file of its own: what runs our own program is taken for a helper of ours */
	_cleanup_free_ char *program = xasprintf("%s/fake", dir), *bytes = NULL;
	size_t len = 0;
	error *e = fs_read("/proc/self/exe", &bytes, &len);
	if (!e)
		e = fs_write_atomic(program, bytes, len);
	stranger = make_stranger();
	helper = make_helper();
	if (e || chmod(program, 0755) < 0 || stranger <= 0 || helper <= 0) {
		printf("Bail out! %s\n", e ? e->msg : "it cannot be set up");
		return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bad += lies(program, cases[i].role, cases[i].said);
	bad += names_those_of_before(program);
	bad += report(syscall(SYS_kill, stranger, 0) == 0 && waitpid(helper, NULL, WNOHANG) == 0,
		      "the stranger and the helper live", NULL);
	syscall(SYS_kill, stranger, SIGKILL);
	syscall(SYS_kill, helper, SIGKILL);
	waitpid(helper, NULL, 0);
	fs_remove_tree(dir);
	printf("1..%zu\n", 2 * ARRAY_LEN(cases) + 3);
	return bad != 0;
}
