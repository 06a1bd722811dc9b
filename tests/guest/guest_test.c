/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Boots every guest on every machine, firmware and accelerator there is, QEMU's and our own, and has others
 * launched by exec, early fork and cloning; talks to each over its serial line, lets all of them sleep, and
 * talks again. Prints TAP. All guests run side by side, so that the whole takes little longer than the
 * slowest of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "backend/console.h"
#include "backend/kvm/runner.h"
#include "backend/qemu/trial.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "base/util.h"
#include "guest/image.h"

#define CONSOLE_FD 10
/* SeaBIOS under nested KVM takes 10 to 20 s, more when many start at once. */
#define READY_NS 120000000000ULL
#define PROBE_NS 20000000000ULL
#define ANSWER_NS 20000000000ULL
#define SLEEP_NS 5000000000ULL
/* Silence is believed after so long. */
#define QUIET_NS 300000000ULL
#define PINGS 1000

static const char *const guests[] = { "sleep", "idle" };
static const char *const accels[] = { "tcg,tb-size=1", "kvm" };
static const struct {
	const char *name, *args;
	bool has_disk;
} machines[] = {
	{ "isapc", "isapc", true },
	{ "pc", "pc,usb=off", true },
	{ "microvm", "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,x-option-roms=off", false },
};

struct machine {
	char *name;
	const char *guest;
	const struct trial_launch *launched; /* it is one of these VMs, or NULL */
	pid_t pid;
	int fd, log_fd;
	bool answers; /* it is a guest that does */
	bool ready;
	char seen[4096]; /* what came and was not yet looked at */
	size_t len;
};

#define LAUNCHES (ARRAY_LEN(guests) * ARRAY_LEN(accels) * LAUNCH_AUTO)
static struct machine all[ARRAY_LEN(guests) * ARRAY_LEN(accels) * ARRAY_LEN(machines) * 2 +
			  LAUNCHES * TRIAL_VMS + ARRAY_LEN(guests) + 1];
static size_t count;
static struct trial_launch *launches[LAUNCHES];
static size_t launch_count;
static unsigned tests, bad;
static char dir[] = "/tmp/mvm-guest-XXXXXX";
static int dir_fd = -1;
static char *qemu;

static void report(bool good, const char *what, const struct machine *m)
{
	char text[1024];

	printf("%s %u - %s: %s\n", good ? "ok" : "not ok", ++tests, m->name, what);
	if (!good) {
		ssize_t n = pread(m->log_fd, text, sizeof(text) - 1, 0);

		bad++;
		text[n > 0 ? n : 0] = '\0';
		printf("# it sent: '%.*s'\n", (int)MIN(m->len, 200U), m->seen);
		for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
			printf("# log: %s\n", line);
	}
	fflush(stdout);
}

static void must(error *e)
{
	if (!e)
		return;
	printf("Bail out! %s\n", e->msg);
	fs_remove_tree(dir);
	exit((int)e->code);
}

static void make_files(void)
{
	_cleanup_free_ char *template = NULL;

	must(firmware_find_template(&template));
	for (size_t i = 0; i < ARRAY_LEN(guests); i++) {
		_cleanup_free_ char *img = xasprintf("%s/%s.img", dir, guests[i]);
		_cleanup_free_ char *rom = xasprintf("%s/%s.rom", dir, guests[i]);
		struct guest_image g;

		must(image_load_guest(guests[i], &g));
		must(image_write(&g, img));
		must(firmware_write(&g, template, rom));
	}
}

/* Starts a guest; what becomes of it is seen on its console. */
static struct machine *power_on(size_t guest, size_t machine, bool seabios, size_t accel)
{
	struct machine *m = &all[count];
	struct strlist argv = { 0 };
	_cleanup_close_ int listener = -1;

	m->guest = guests[guest];
	m->answers = !str_eq(m->guest, "idle");
	m->name = xasprintf("%s on %s, %s, %s", m->guest, machines[machine].name,
			    seabios ? "SeaBIOS" : "own firmware", accel ? "KVM" : "TCG");
	m->log_fd = memfd_create("qemu-output", MFD_CLOEXEC);
	must(console_listen(dir_fd, (uint32_t)count, &listener));
	must(console_connect(dir_fd, (uint32_t)count, &m->fd));
	strlist_addf(&argv, "%s", qemu);
	strlist_addf(&argv, "-machine");
	strlist_addf(&argv, "%s", machines[machine].args);
	strlist_addf(&argv, "-accel");
	strlist_addf(&argv, "%s", accels[accel]);
	strlist_add_words(&argv, "-m 1 -nodefaults -no-user-config -display none");
	strlist_addf(&argv, seabios ? "-drive" : "-bios");
	if (seabios)
		strlist_addf(&argv, "file=%s/%s.img,format=raw,if=ide,file.locking=off", dir, m->guest);
	else
		strlist_addf(&argv, "%s/%s.rom", dir, m->guest);
	strlist_addf(&argv, "-chardev");
	strlist_addf(&argv, "socket,id=mvm,fd=%d,server=on,wait=on", CONSOLE_FD);
	strlist_add_words(&argv, "-serial chardev:mvm");
	struct spawn_fd fds[] = { { .from = listener, .to = CONSOLE_FD } };
	struct spawn_spec spec = { .path = qemu,
				   .argv = argv.items,
				   .envp = environ,
				   .stderr_fd = m->log_fd,
				   .cgroup_procs_fd = -1,
				   .fds = fds,
				   .fd_count = 1 };
	must(spawn_process(&spec, &m->pid));
	strlist_clear(&argv);
	count++;
	return m;
}

/* The same in the runner of the kvm backend: a process of its own here, COM1 is its end of a socket. */
static struct machine *power_on_runner(size_t guest)
{
	struct machine *m = &all[count];
	struct guest_image g;
	int pair[2];

	m->guest = guests[guest];
	m->answers = !str_eq(m->guest, "idle");
	m->name = xasprintf("%s in the KVM runner", m->guest);
	m->log_fd = memfd_create("runner-output", MFD_CLOEXEC);
	must(image_load_guest(m->guest, &g));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		must(err_sys(EXIT_CANNOT, errno, "socketpair"));
	m->pid = fork();
	if (m->pid < 0)
		must(err_sys(EXIT_CANNOT, errno, "fork"));
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		error *e = kvm_console_work(&g, 1, pair[1]);
		if (e)
			dprintf(m->log_fd, "%s", e->msg);
		_exit(e ? EXIT_CANNOT : EXIT_DONE);
	}
	close(pair[1]);
	m->fd = pair[0];
	fcntl(m->fd, F_SETFL, O_NONBLOCK);
	count++;
	return m;
}

/* As a run launches them. What is said of a VM from then on is the same for all. */
static void launch(size_t guest, size_t accel, enum launch_mode mode)
{
	struct guest_image g;
	const struct trial_launch_spec spec = { .image = &g,
						.preset = "dense",
						.accel = accel_names[accel ? ACCEL_KVM : ACCEL_TCG],
						.launch = mode,
						.vms = TRIAL_VMS,
						.vary = true,
						.lines = true };
	struct trial_launch *l = NULL;

	must(image_load_guest(guests[guest], &g));
	_cleanup_err_ error *e = trial_launch_start(&spec, &l);
	if (e) {
		bad++;
		printf("not ok %u - %s by %s, %s: is launched\n# %s\n", ++tests, guests[guest],
		       launch_names[mode], accel ? "KVM" : "TCG", e->msg);
		return;
	}
	launches[launch_count++] = l;
	for (unsigned i = 0; i < TRIAL_VMS; i++)
		all[count++] =
			(struct machine){ .name = xasprintf("%s by %s, %s, VM %u", guests[guest],
							    launch_names[mode], accel ? "KVM" : "TCG", i),
					  .guest = guests[guest],
					  .answers = !str_eq(guests[guest], "idle"),
					  .ready = true,
					  .launched = l,
					  .pid = l->vms[i].pid,
					  .fd = l->lines[i],
					  .log_fd = -1 };
}

static void launch_all(const char *no_kvm)
{
	for (size_t a = 0; a < ARRAY_LEN(accels); a++)
		for (enum launch_mode m = 0; m < LAUNCH_AUTO; m++)
			for (size_t g = 0; g < ARRAY_LEN(guests); g++)
				if (a && no_kvm)
					printf("ok %u - %s by %s, KVM # SKIP %s\n", ++tests, guests[g],
					       launch_names[m], no_kvm);
				else
					launch(g, a, m);
}

static void power_off(struct machine *m)
{
	if (!m->launched) {
		kill(m->pid, SIGKILL);
		while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
			;
		close(m->fd);
		close(m->log_fd);
	}
	free(m->name);
}

/* Takes what comes until `size` bytes are there or the time is over; false on the latter, or an end. */
static bool receive(struct machine *m, size_t size, uint64_t ns)
{
	uint64_t deadline = clock_ns() + ns;

	while (m->len < size && m->len < sizeof(m->seen)) {
		uint64_t now = clock_ns();
		struct pollfd p = { .fd = m->fd, .events = POLLIN };

		if (now >= deadline || poll(&p, 1, (int)((deadline - now) / 1000000) + 1) < 0)
			return false;
		if (!p.revents)
			continue;
		ssize_t n = read(m->fd, m->seen + m->len, sizeof(m->seen) - m->len);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		m->len += n > 0 ? (size_t)n : 0;
	}
	return m->len >= size;
}

/* The next bytes are these, and (when quiet) no others follow. */
static bool says(struct machine *m, const char *want, uint64_t ns)
{
	size_t n = strlen(want);

	if (!receive(m, n, ns) || memcmp(m->seen, want, n) != 0)
		return false;
	m->len -= n;
	memmove(m->seen, m->seen + n, m->len);
	return true;
}

static bool asks(struct machine *m, const char *request, const char *want)
{
	ssize_t n = send(m->fd, request, strlen(request), MSG_NOSIGNAL);

	return n == (ssize_t)strlen(request) && says(m, want, ANSWER_NS);
}

static bool is_ready(struct machine *m, uint64_t ns)
{
	_cleanup_free_ char *line = xasprintf("MVM %s ready\n", m->guest);

	m->ready = says(m, line, ns);
	return m->ready;
}

static bool silent(struct machine *m)
{
	return !receive(m, 1, QUIET_NS) && m->len == 0 && kill(m->pid, 0) == 0;
}

/* Sends all requests as fast as they are taken; exactly as many answers must come, and nothing else. */
static bool answers_all(struct machine *m)
{
	static const char request[] = "ping\n", answer[] = "pong\n";
	uint64_t deadline = clock_ns() + 4 * ANSWER_NS;
	size_t sent = 0, got = 0, total = PINGS * strlen(request);

	while (got < total) {
		struct pollfd p = { .fd = m->fd, .events = (short)(POLLIN | (sent < total ? POLLOUT : 0)) };
		char chunk[64];

		if (clock_ns() >= deadline || poll(&p, 1, 1000) < 0)
			return false;
		if (p.revents & POLLOUT) {
			size_t n = MIN(sizeof(chunk), total - sent);

			for (size_t i = 0; i < n; i++)
				chunk[i] = request[(sent + i) % strlen(request)];
			ssize_t done = send(m->fd, chunk, n, MSG_NOSIGNAL);
			sent += done > 0 ? (size_t)done : 0;
		}
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		ssize_t n = read(m->fd, chunk, sizeof(chunk));
		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n; i++, got++)
			if (got >= total || chunk[i] != answer[got % strlen(answer)])
				return false;
	}
	return silent(m);
}

/* /dev/kvm may open and yet carry no guest: a probe tells. NULL when KVM works, else why not. */
static const char *kvm_trouble(void)
{
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return "/dev/kvm cannot be opened";
	struct machine *m = power_on(0, 0, false, 1);
	bool works = is_ready(m, PROBE_NS);

	power_off(m);
	count--;
	*m = (struct machine){ 0 };
	return works ? NULL : "a probe guest does not boot under KVM here";
}

static void start_all(const char *no_kvm)
{
	for (size_t a = 0; a < ARRAY_LEN(accels); a++)
		for (size_t m = 0; m < ARRAY_LEN(machines); m++)
			for (size_t g = 0; g < ARRAY_LEN(guests); g++)
				for (int seabios = 0; seabios < 2; seabios++) {
					/* nothing there that SeaBIOS could read a boot sector from */
					if (seabios && !machines[m].has_disk)
						continue;
					if (a && no_kvm)
						printf("ok %u - %s on %s, %s, KVM # SKIP %s\n", ++tests,
						       guests[g], machines[m].name,
						       seabios ? "SeaBIOS" : "own firmware", no_kvm);
					else
						power_on(g, m, seabios, a);
				}
}

static void start_runners(void)
{
	bool works = access("/dev/kvm", R_OK | W_OK) == 0;

	if (works) {
		struct machine *m = power_on_runner(0);

		works = is_ready(m, PROBE_NS);
		power_off(m);
		*m = (struct machine){ 0 };
		count--;
	}
	for (size_t g = 0; g < ARRAY_LEN(guests); g++) {
		if (works)
			power_on_runner(g);
		else
			printf("ok %u - %s in the KVM runner # SKIP /dev/kvm carries no guest here\n",
			       ++tests, guests[g]);
	}
}

static void talk_to_all(void)
{
	uint64_t deadline = clock_ns() + READY_NS;

	for (size_t i = 0; i < count; i++) {
		struct machine *m = &all[i];

		if (!m->launched)
			report(is_ready(m, clock_left_ns(deadline)), "ready", m);
		else if (m->launched->launch != LAUNCH_CLONE) /* the backend read its line */
			report(m->launched->vms[0].state == VM_READY, "ready", m);
		else
			printf("ok %u - %s: ready # SKIP a clone does not boot: the VM that it is a copy of did\n",
			       ++tests, m->name);
	}
	for (size_t i = 0; i < count; i++) {
		struct machine *m = &all[i];

		if (!m->ready)
			continue;
		if (m->answers) {
			report(asks(m, "ping\n", "pong\n"), "ping is answered by pong", m);
			report(asks(m, "hello\n", "?\n"), "an unknown request by ?", m);
		} else {
			send(m->fd, "ping\n", 5, MSG_NOSIGNAL);
			report(silent(m), "runs, and says no more", m);
		}
	}
	clock_sleep_ns(SLEEP_NS);
	for (size_t i = 0; i < count; i++) {
		struct machine *m = &all[i];

		if (!m->ready || !m->answers)
			continue;
		report(asks(m, "ping\n", "pong\n"), "wakes after 5 s of sleep", m);
		report(answers_all(m), "1000 pings at once, 1000 pongs", m);
	}
}

int main(void)
{
	qemu = fs_find_program("qemu-system-x86_64");
	if (!mkdtemp(dir) || (dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return EXIT_CANNOT;
	}
	make_files();
	if (qemu) {
		const char *no_kvm = kvm_trouble();

		/* first: a backend that waits for its VMs takes note of any child that ends */
		launch_all(no_kvm);
		start_all(no_kvm);
	} else {
		printf("ok %u - guests boot in QEMU # SKIP qemu-system-x86_64 is not on PATH\n", ++tests);
	}
	start_runners();
	talk_to_all();
	for (size_t i = 0; i < count; i++)
		power_off(&all[i]);
	for (size_t i = 0; i < launch_count; i++)
		trial_launch_stop(launches[i]);
	close(dir_fd);
	fs_remove_tree(dir);
	free(qemu);
	puts("# microvm with SeaBIOS is no case: that machine has no disk a boot sector could come from");
	printf("1..%u\n", tests);
	return bad ? 1 : 0;
}
