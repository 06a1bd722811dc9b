/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "base/util.h"
#include "host/procfs.h"
#include "nested/pack.h"

#define CONSOLE "/dev/ttyS0"
#define RESULT "/dev/ttyS1"
#define POLL_MS 200
#define QUIET_KB 512
#define QUIET_MOST_S 20
#define SEND_AT_LEAST_NS 30000000000ULL

static const struct {
	const char *type, *at;
} mounts[] = {
	{ "devtmpfs", "/dev" },		 { "proc", "/proc" }, { "sysfs", "/sys" },
	{ "cgroup2", "/sys/fs/cgroup" }, { "tmpfs", "/tmp" }, { "tmpfs", "/run" },
};

/* pivot_root() refuses the root file system that an initramfs is; container runtimes need it. Bound onto a
   folder of itself and moved, it is a mount like any other. */
static void make_root_a_mount(void)
{
	if (mount("/", "/root", NULL, MS_BIND, NULL) < 0 || chdir("/root") < 0 ||
	    mount("/root", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		printf("mvmscale: the root cannot be made a mount: %s\n", strerror(errno));
}

/* What goes wrong before the console is there cannot be told to anybody. */
static void mount_all(void)
{
	make_root_a_mount();
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		/* files that options name may have come along in /tmp or /run: they must not be covered */
		if (str_eq(mounts[i].type, "tmpfs") && rmdir(mounts[i].at) < 0 && errno == ENOTEMPTY)
			continue;
		mkdir(mounts[i].at, 0755);
		mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, NULL);
	}
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	int fd = open(CONSOLE, O_RDWR | O_NOCTTY);
	for (int i = 0; i < 3 && fd >= 0; i++)
		dup2(fd, i);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static void bring_loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		printf("mvmscale: no loopback interface: %s\n", strerror(errno));
}

/* One for another processor does not load: that stands on the console, and is all right. */
static void load_modules(void)
{
	_cleanup_free_ char *list = NULL;

	err_free(fs_read(INSIDE_MODULES "/order", &list, NULL));
	for (char *rest = list, *name; (name = strsep(&rest, "\n"));) {
		_cleanup_free_ char *path = xasprintf("%s/%s", INSIDE_MODULES, name);
		_cleanup_close_ int fd = *name ? open(path, O_RDONLY | O_CLOEXEC) : -1;

		if (fd >= 0)
			printf("mvmscale: module %s: %s\n", name,
			       syscall(SYS_finit_module, fd, "", 0) == 0 ? "loaded" : strerror(errno));
	}
}

static void add_lines(const char *text, struct strlist *ret)
{
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");

		if (len)
			strlist_addf(ret, "%.*s", (int)len, at);
		at += len + (at[len] == '\n');
	}
}

static error *start_run(pid_t *ret_pid)
{
	char *envp[] = { (char *)"PATH=/usr/local/bin:/usr/bin:/bin", (char *)"HOME=/",
			 (char *)"MVMSCALE_DATA=/share", NULL };
	struct strlist argv = { 0 };
	_cleanup_free_ char *options = NULL;
	error *e = fs_read(INSIDE_OPTIONS, &options, NULL);

	if (e)
		return e;
	strlist_add(&argv, "mvmscale");
	strlist_add(&argv, "run");
	add_lines(options, &argv);
	strlist_addf(&argv, "--out=%s", INSIDE_RUN);
	struct spawn_spec spec = { .path = INSIDE_PROGRAM,
				   .argv = argv.items,
				   .envp = envp,
				   .stderr_fd = STDERR_FILENO,
				   .cgroup_procs_fd = -1,
				   .keep_umask = true };
	e = spawn_process(&spec, ret_pid);
	strlist_clear(&argv);
	return e;
}

/* The line to the host. */
struct line {
	int fd;
	FILE *out;
	uint64_t sent_ns;     /* when anything was sent last */
	struct timespec sent; /* files changed later are new; realtime, as their times are */
};

static void open_line(struct line *l)
{
	struct termios raw;

	*l = (struct line){ .fd = open(RESULT, O_RDWR | O_NOCTTY | O_CLOEXEC), .sent_ns = clock_ns() };
	if (l->fd < 0) {
		printf("mvmscale: no second serial port (%s): %s; the kernel needs CONFIG_SERIAL_8250_RUNTIME_UARTS of at least 2\n",
		       RESULT, strerror(errno));
		return;
	}
	/* a terminal would turn line feeds into two characters */
	if (tcgetattr(l->fd, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(l->fd, TCSANOW, &raw);
	}
	l->out = fdopen(l->fd, "r+");
}

static bool changed_after(const char *path, const struct timespec *when)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return st.st_mtim.tv_sec > when->tv_sec ||
	       (st.st_mtim.tv_sec == when->tv_sec && st.st_mtim.tv_nsec >= when->tv_nsec);
}

/* What is new in the run folder; with a status >= 0 this is the end. */
static void send_result(struct line *l, int status)
{
	struct pack p = { .archive.out = l->out };
	struct strlist names = { 0 };
	struct timespec now;

	if (!l->out)
		return;
	/* times of files are those of the last tick: one that is written meanwhile is sent again */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	err_free(fs_list(INSIDE_RUN, "", &names));
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", INSIDE_RUN, names.items[i]);

		if (changed_after(path, &l->sent))
			err_free(pack_file(&p, path, NULL));
	}
	if (status >= 0) {
		_cleanup_free_ char *text = xasprintf("%d\n", status);

		pack_text(&p, INSIDE_STATUS, text);
	}
	cpio_end(&p.archive);
	fflush(l->out);
	l->sent = now;
	l->sent_ns = clock_ns();
	strlist_clear(&names);
	pack_clear(&p);
}

/* Between intervals the guests start, and nothing is measured: the time to send. */
static bool is_time_to_send(const struct line *l)
{
	return changed_after(l->sent.tv_sec ? INSIDE_RUN "/intervals.csv" : INSIDE_RUN "/run.json",
			     &l->sent) ||
	       clock_ns() - l->sent_ns > SEND_AT_LEAST_NS;
}

static bool is_asked_to_end(const struct line *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	char byte;

	if (l->fd < 0)
		return clock_sleep_ns(POLL_MS * 1000000ULL), false;
	return poll(&p, 1, POLL_MS) > 0 && read(l->fd, &byte, 1) == 1;
}

/* The exit status of the run. As first process this one inherits orphans: they are waited for as well. */
static int wait_for_run(struct line *l, pid_t pid)
{
	int status = 0;

	for (;;) {
		int any = 0;
		pid_t gone = waitpid(-1, &any, WNOHANG);

		if (gone == pid) {
			status = any;
			break;
		}
		if (gone > 0)
			continue;
		if (is_asked_to_end(l))
			kill(pid, SIGINT);
		if (is_time_to_send(l))
			send_result(l, -1);
	}
	if (WIFSIGNALED(status))
		printf("mvmscale: the run was killed by signal %d (%s)\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	return child_exit_status(status);
}

static long long free_kb(void)
{
	_cleanup_free_ char *text = proc_text("", "/proc/meminfo");
	struct meminfo mem;

	parse_meminfo(text, &mem);
	return MAX(mem.free, 0LL);
}

/* What was freed while booting, the initramfs above all, stands in lists of the processors that no counter
   shows. Since 6.7 they are long, and give it back over some seconds: to the run that would look as if VMs
   brought memory along. */
static void wait_for_memory(void)
{
	long long now = free_kb(), before;

	for (int s = 0; s < QUIET_MOST_S; s++) {
		before = now;
		clock_sleep_ns(1000000000);
		now = free_kb();
		if (now - before < QUIET_KB)
			return;
	}
}

void inside_main(void)
{
	struct line line;
	pid_t pid;
	int status = EXIT_CANNOT;

	mount_all();
	load_modules();
	bring_loopback_up();
	open_line(&line);
	wait_for_memory();
	error *e = start_run(&pid);
	if (e)
		printf("mvmscale: %s\n", e->msg);
	else
		status = wait_for_run(&line, pid);
	err_free(e);
	fflush(stdout);
	send_result(&line, status);
	if (line.fd >= 0)
		tcdrain(line.fd);
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
