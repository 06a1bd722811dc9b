/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kernel/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "kernel/pack.h"

#define CONSOLE "/dev/ttyS0"
#define RESULT "/dev/ttyS1"

static const struct {
	const char *type, *at;
} mounts[] = {
	{ "devtmpfs", "/dev" },		 { "proc", "/proc" }, { "sysfs", "/sys" },
	{ "cgroup2", "/sys/fs/cgroup" }, { "tmpfs", "/tmp" }, { "tmpfs", "/run" },
};

/* What goes wrong before the console is there cannot be told to anybody. */
static void mount_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		mkdir(mounts[i].at, 0755);
		mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, NULL);
	}
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	int fd = open(CONSOLE, O_RDWR | O_NOCTTY);
	for (int i = 0; i < 3 && fd >= 0; i++)
		dup2(fd, i);
}

/* In the order of their names; one for another processor does not load, and that is all right. */
static void load_modules(void)
{
	for (int i = 0; i < 100; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%02d.ko", INSIDE_MODULES, i);
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			break;
		syscall(SYS_finit_module, fd, "", 0);
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

static int run_inside(void)
{
	char *envp[] = { (char *)"PATH=/usr/local/bin:/usr/bin:/bin", (char *)"HOME=/",
			 (char *)"MVMSCALE_DATA=/share", NULL };
	struct strlist argv = { 0 };
	_cleanup_free_ char *options = NULL;
	int status = 0;
	pid_t pid;

	err_free(fs_read(INSIDE_OPTIONS, &options, NULL));
	strlist_add(&argv, "mvmscale");
	strlist_add(&argv, "run");
	add_lines(options ? options : "", &argv);
	strlist_addf(&argv, "--out=%s", INSIDE_RUN);
	int sys = posix_spawn(&pid, INSIDE_PROGRAM, NULL, NULL, argv.items, envp);
	strlist_clear(&argv);
	if (sys)
		return EXIT_CANNOT;
	/* as first process it inherits orphans: they are waited for as well */
	for (pid_t gone = 0; gone != pid;)
		if ((gone = wait(&status)) < 0 && errno != EINTR)
			break;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CANNOT;
}

static void send_result(int status)
{
	struct pack p = { 0 };
	struct termios raw;
	_cleanup_free_ char *text = xasprintf("%d\n", status);
	int fd = open(RESULT, O_WRONLY | O_NOCTTY);

	if (fd < 0)
		return;
	/* a terminal would turn line feeds into two characters */
	if (tcgetattr(fd, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(fd, TCSANOW, &raw);
	}
	p.archive.out = fdopen(fd, "w");
	if (!p.archive.out)
		return;
	err_free(pack_folder(&p, INSIDE_RUN, INSIDE_RUN));
	pack_text(&p, INSIDE_STATUS, text);
	cpio_end(&p.archive);
	fflush(p.archive.out);
	tcdrain(fd);
	fclose(p.archive.out);
	pack_clear(&p);
}

void inside_main(void)
{
	mount_all();
	load_modules();
	send_result(run_inside());
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
