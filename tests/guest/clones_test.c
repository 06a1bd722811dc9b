/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clones of a running VM through the qemu backend itself: 1,000 of them answer ten pings each, every answer
 * from the VM's own process; a clone's death, a malformed request and the template's end hurt no other VM;
 * other machine types can be cloned as well. Prints TAP. MVM_OTHER_QEMU: a second QEMU binary (and
 * MVM_OTHER_QEMU_DATA its -L folder) to make the same clones with.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/console.h"
#include "backend/qemu/qemu.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/util.h"
#include "guest/profile.h"

#define CLONES 1000
#define ROUNDS 10
#define FEW 40
#define SLOTS (CLONES + 100)
#define ANSWER_MS 20000
#define START_NS 120000000000ULL

static unsigned tests, bad;
static char dir[] = "/tmp/mvm-clones-XXXXXX";
static struct guest_image image;
static struct vm vms[SLOTS];

static void report(bool good, const char *what, const char *note)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", ++tests, what);
	if (!good && note)
		printf("# %s\n", note);
	bad += !good;
	fflush(stdout);
}

static bool no_error(const char *what, error *e)
{
	bool good = !e;

	report(good, what, e ? e->msg : NULL);
	err_free(e);
	return good;
}

/* A preset of one section; machine is what -machine gets. */
static error *make_preset(const char *accel, const char *machine, const char *binary, const char *extra,
			  struct preset **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/test.preset", dir);
	_cleanup_free_ char *text = xasprintf(
		"[preset]\nsummary = a test\nlaunch = clone\nprefer = %s\n"
		"tune = noaslr one-arena no-tcache small-stacks late-threads lazy-libs\n"
		"[%s]\nbinary = %s\nboot = firmware\ntasks = 3\nfds = 9\nmem_kb = 180\n"
		"args = -machine %s\n -accel %s -m 1 -nodefaults -no-user-config\n"
		" -display none %s\n -bios {firmware}\n",
		accel, accel, binary, machine, str_eq(accel, "tcg") ? "tcg,tb-size=1" : accel, extra);
	error *e = fs_write_atomic(path, text, strlen(text));

	return e ? e : preset_load(path, ret);
}

static struct backend *open_backend(const struct preset *preset, const char *accel, uint32_t max,
				    error **ret_error)
{
	static struct qemu_config own;
	_cleanup_free_ char *runtime = xasprintf("%s/run-%u", dir, tests);
	struct backend_config cfg = { .image = &image,
				      .runtime_dir = xstrdup(runtime), /* lives as long as the program */
				      .jobs = 4,
				      .ready_timeout_ns = START_NS,
				      .cgroup_procs_fd = -1,
				      .own = &own,
				      .seed = 1 };
	struct backend *b = NULL;

	own = (struct qemu_config){ .preset = preset, .accel = accel, .launch = LAUNCH_CLONE };
	memset(vms, 0, sizeof(vms));
	*ret_error = fs_mkdirs(runtime);
	if (!*ret_error)
		*ret_error = backend_qemu.open(&cfg, vms, max, &b);
	return b;
}

/* Starts VMs first..first+n-1; the number of VMs that died is added to *ret_died. */
static error *launch(struct backend *b, uint32_t first, uint32_t n, uint32_t *ret_died)
{
	uint64_t give_up = clock_ns() + START_NS;
	uint32_t begun = 0, ready = 0;

	while (ready < n && clock_ns() < give_up) {
		struct backend_event ev[128];
		uint32_t more = 0;
		error *e = begun < n ? b->ops->start(b, first + begun, MIN(b->ops->room(b), n - begun), &more)
				     : NULL;

		begun += more;
		if (e)
			return e;
		size_t got = b->ops->poll(b, 10, ev, ARRAY_LEN(ev));
		for (size_t i = 0; i < got; i++) {
			ready += ev[i].kind == BACKEND_READY;
			if (ret_died)
				*ret_died += ev[i].kind == BACKEND_DIED;
			free(ev[i].reason);
		}
	}
	return ready == n ? NULL : err_new(EXIT_CANNOT, "%u of %u VMs came up", ready, n);
}

static error *ask(struct backend *b, uint32_t vm)
{
	char reply[64] = "";
	error *e = b->ops->ask(b, vm, "ping", ANSWER_MS, reply, sizeof(reply), NULL);

	if (!e && strcmp(reply, "pong") != 0)
		e = err_new(EXIT_CANNOT, "VM %u answered '%s'", vm, reply);
	return e;
}

static error *ask_all(struct backend *b, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		error *e = ask(b, i);

		if (e)
			return e;
	}
	return NULL;
}

/*
 * All requests are under way before the first answer is read, on as many connections as one process
 * may have: an answer that went astray would be seen. A VM listens in its own process (SO_PEERCRED).
 */
static error *ask_at_once(struct qemu *q, uint32_t from, uint32_t to)
{
	error *e = NULL;
	int fds[256];

	for (uint32_t i = from; i < to && !e; i++) {
		int *fd = &fds[i - from];

		*fd = -1;
		/* waits for a copy that has not come so far yet; another process's console is an error */
		e = console_reach(q->supervisor.console_dir_fd, i, q->supervisor.vms[i].pid, ANSWER_MS, fd);
		if (!e && send(*fd, "ping\n", 5, MSG_NOSIGNAL) != 5)
			e = err_sys(EXIT_CANNOT, errno, "VM %u", i);
		if (e)
			to = i + 1;
	}
	for (uint32_t i = from; i < to; i++) {
		char reply[64];

		if (!e)
			e = console_read_line(fds[i - from], i, clock_ns() + ANSWER_MS * 1000000ULL, reply,
					      sizeof(reply));
		if (!e && strcmp(reply, "pong") != 0)
			e = err_new(EXIT_CANNOT, "VM %u answered '%s'", i, reply);
		if (fds[i - from] >= 0)
			close(fds[i - from]);
	}
	return e;
}

static void many_pings(struct backend *b)
{
	uint64_t start = clock_ns();
	error *e = NULL;

	for (int round = 0; round < ROUNDS && !e; round++)
		for (uint32_t i = 0; i < CLONES && !e; i += 250)
			e = ask_at_once((struct qemu *)b, i, i + 250);
	no_error("1,000 clones answer ten pings each, every one in its own process", e);
	printf("# %d pings, %.0f a second\n", CLONES * ROUNDS,
	       CLONES * ROUNDS / ((double)(clock_ns() - start) / 1e9));
}

static void a_clone_dies(struct backend *b)
{
	uint32_t died = 0;

	kill(vms[7].pid, SIGKILL);
	no_error("one clone is killed: the template makes further ones", launch(b, CLONES, 5, &died));
	for (int i = 0; i < 200 && !died; i++) {
		struct backend_event ev[8];
		size_t got = b->ops->poll(b, 10, ev, ARRAY_LEN(ev));

		for (size_t k = 0; k < got; k++) {
			died += ev[k].kind == BACKEND_DIED && ev[k].vm == 7;
			free(ev[k].reason);
		}
	}
	report(died == 1, "its death is told, once", NULL);
	no_error("its neighbours answer", ask_all(b, 8, 12));
}

static void a_request_is_malformed(struct backend *b)
{
	static const struct zygote_request wrong[] = { { .op = 77, .count = 1 },
						       { .op = ZYGOTE_COPY, .count = 0 },
						       { .op = ZYGOTE_COPY, .count = 4000000000U } };
	struct qemu *q = (struct qemu *)b;
	struct zygote_reply r;
	bool refused = true;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		send(q->template.control_fd, &wrong[i], sizeof(wrong[i]), 0);
		refused &= recv(q->template.control_fd, &r, sizeof(r), 0) == sizeof(r) && *r.refusal &&
			   r.begun == 0;
	}
	/* and one that is no request at all */
	send(q->template.control_fd, "x", 1, 0);
	refused &= recv(q->template.control_fd, &r, sizeof(r), 0) == sizeof(r) && *r.refusal;
	report(refused, "malformed requests are refused", NULL);
	no_error("and the template makes further clones", launch(b, CLONES + 5, 5, NULL));
	no_error("which answer", ask_all(b, CLONES, CLONES + 10));
}

static void the_template_ends(struct backend *b)
{
	struct qemu *q = (struct qemu *)b;
	pid_t first = q->template.pid;

	kill(first, SIGKILL);
	clock_sleep_ns(200000000);
	no_error("the template is killed: its clones answer as before", ask_all(b, 100, 160));
	no_error("and a new template takes its place", launch(b, CLONES + 10, 5, NULL));
	report(q->template.pid != first, "which is another process", NULL);
	no_error("its clones answer", ask_all(b, CLONES + 10, CLONES + 15));
}

/* Children of this process that are no VM that is known. */
static uint32_t strays(const struct qemu *q)
{
	_cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", (int)getpid()), *text = NULL;
	error *e = fs_read(path, &text, NULL);
	uint32_t n = 0;
	char *rest = text;

	err_free(e);
	for (long pid; text && (pid = strtol(rest, &rest, 10)) > 0;) {
		bool known = pid == q->template.pid || pid == q->next.pid;

		for (uint32_t i = 0; i < SLOTS && !known; i++)
			known = vms[i].pid == pid;
		n += !known;
	}
	return n;
}

/* What it made of the batch is not told: those clones are nobody's. */
static void the_template_ends_half_way(struct backend *b)
{
	setenv("MVMSCALE_FAULT", "template-dies", 1);
	no_error("the template ends before it told what it made: a new one makes them",
		 launch(b, CLONES + 15, 20, NULL));
	unsetenv("MVMSCALE_FAULT");
	no_error("they answer, each in its own process",
		 ask_at_once((struct qemu *)b, CLONES + 15, CLONES + 35));
	report(strays((struct qemu *)b) == 0, "and no clone is left that nobody knows", NULL);
}

static uint32_t alive(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		n += vms[i].pid > 0 && kill(vms[i].pid, 0) == 0;
	return n;
}

static void the_large_population(void)
{
	_cleanup_(preset_freep) struct preset *p = NULL;
	error *e = make_preset("tcg", "isapc", "qemu-system-x86_64", "", &p);
	struct backend *b = e ? NULL : open_backend(p, "tcg", SLOTS, &e);

	if (!no_error("a template starts, and proves itself by probe clones", e))
		return;
	if (no_error("1,000 clones start", launch(b, 0, CLONES, NULL))) {
		many_pings(b);
		a_clone_dies(b);
		a_request_is_malformed(b);
		the_template_ends(b);
		the_template_ends_half_way(b);
	}
	no_error("all of them are stopped", b->ops->stop_all(b, NULL, NULL));
	report(alive() == 0, "none is alive", NULL);
	b->ops->close(b);
}

static error *try_machine(const char *accel, const char *machine, const char *binary, const char *extra)
{
	_cleanup_(preset_freep) struct preset *p = NULL;
	error *e = make_preset(accel, machine, binary, extra, &p);
	struct backend *b = e ? NULL : open_backend(p, accel, FEW, &e);

	if (!e)
		e = launch(b, 0, FEW, NULL);
	/* twice: the second finds them as a wake left them */
	for (int i = 0; i < 2 && !e; i++)
		e = ask_all(b, 0, FEW);
	if (b)
		b->ops->close(b);
	return e;
}

/* NULL when a VM can run with that accelerator; else why not. */
static const char *why_not(const char *accel, const char *binary)
{
	if (!binary)
		return "MVM_OTHER_QEMU names none";
	return str_eq(accel, "kvm") && access("/dev/kvm", R_OK | W_OK) < 0 ? "/dev/kvm cannot be used" : NULL;
}

static void other_machines(const char *accel, const char *binary, const char *extra, const char *what)
{
	static const struct {
		const char *name, *args;
	} machines[] = {
		{ "isapc", "isapc" },
		{ "pc", "pc,usb=off" },
		{ "microvm", "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,x-option-roms=off" },
	};
	const char *reason = why_not(accel, binary);

	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		_cleanup_free_ char *name = xasprintf("%s, %s, %s: clones start, and answer twice", what,
						      accel, machines[i].name);
		error *e = reason ? NULL : try_machine(accel, machines[i].args, binary, extra);

		/* a device that cannot run a guest is no fault of cloning; the accelerator's probe found it
		 */
		if (e && str_eq(accel, "kvm") && strstr(e->msg, "KVM cannot be used"))
			reason = "KVM boots no guest here";
		if (reason) {
			printf("ok %u - %s # SKIP %s\n", ++tests, name, reason);
			err_free(e);
		} else {
			no_error(name, e);
		}
	}
}

int main(void)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	error *e = mkdtemp(dir) ? NULL : err_sys(EXIT_CANNOT, errno, "%s", dir);

	signal(SIGPIPE, SIG_IGN);
	if (!e)
		e = profile_load("sleep", &profile);
	if (!e)
		e = image_from_profile(profile, &image);
	if (e) {
		printf("Bail out! %s\n", e->msg);
		return 1;
	}
	const char *other = getenv("MVM_OTHER_QEMU"), *data = getenv("MVM_OTHER_QEMU_DATA");
	_cleanup_free_ char *extra = data ? xasprintf("-L %s", data) : xstrdup("");

	the_large_population();
	other_machines("tcg", "qemu-system-x86_64", "", "QEMU");
	other_machines("kvm", "qemu-system-x86_64", "", "QEMU");
	other_machines("tcg", other, extra, "another QEMU");
	other_machines("kvm", other, extra, "another QEMU");
	fs_remove_tree(dir);
	printf("1..%u\n", tests);
	return bad ? 1 : 0;
}
