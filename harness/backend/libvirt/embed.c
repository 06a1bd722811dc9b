/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libvirt's QEMU driver inside this process (qemu:///embed): no daemon, nothing shared
 * with the system's libvirt. Its QEMUs are daemons, so that what a daemon's parent does
 * falls to us: we adopt them (PR_SET_CHILD_SUBREAPER) and take in the dead ones. libvirt
 * waits up to 30 s for a dead QEMU to vanish, and a slow init makes it wait that long.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "backend/libvirt/libvirt.h"
#include "base/clock.h"
#include "base/fs.h"
#include "host/settings.h"

/* "/lib/qemu/domain-100000-mvmscale-0123456789a/monitor.sock" */
#define MONITOR_PATH_MAX 57
/* A short name: it is part of every monitor socket's path. */
#define OWN_ROOT "l"
/* Made by libvirt as root, whatever the driver's folder. */
#define RUN_LIBVIRT "/run/libvirt"

/* An ordinary user cannot give files to others, not even to itself by name. */
static const char as_root[] = "user = \"root\"\ngroup = \"root\"\n";
static const char qemu_conf[] = "# Written by mvmscale for a private libvirt; see docs/libvirt.md.\n"
				"dynamic_ownership = 0\n"
				"remember_owner = 0\n"
				"security_driver = \"none\"\n"
				"namespaces = []\n"
				"seccomp_sandbox = 0\n"
				"cgroup_controllers = []\n"
				"stdio_handler = \"file\"\n"
				"max_queued = 0\n";

/* The folder of "qemu:///embed?root=DIR"; NULL when the URI names none. */
static char *root_of(const char *uri)
{
	const char *at = strstr(uri, "root=");

	if (!at)
		return NULL;
	at += strlen("root=");
	return xasprintf("%.*s", (int)strcspn(at, "&"), at);
}

static error *add_line(const char *from, const char *line, const char *to)
{
	_cleanup_free_ char *text = NULL;
	error *e = fs_read(from, &text, NULL);

	if (e)
		return e;
	size_t n = strlen(text);
	_cleanup_free_ char *all = xasprintf("%s%s%s\n", text, n && text[n - 1] != '\n' ? "\n" : "", line);
	if ((e = fs_write_atomic(to, all, strlen(all))))
		return e;
	return mount(to, from, NULL, MS_BIND, NULL) < 0
		       ? err_sys(EXIT_CANNOT, errno, "cannot show this process its own %s", from)
		       : NULL;
}

/*
 * As root, Debian's libvirt starts only where the user and group libvirt-qemu exist, which the
 * package of the system's daemon makes. Without it, this process alone sees files that
 * name them, in a mount namespace of its own; nothing of the host is changed.
 */
static error *pretend_user(const char *folder)
{
	_cleanup_free_ char *passwd = xasprintf("%s/passwd", folder), *group = xasprintf("%s/group", folder);
	error *e;

	if (geteuid() != 0 || getpwnam("libvirt-qemu") || getpwnam("qemu"))
		return NULL;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(
			EXIT_CANNOT, errno,
			"libvirt needs the user libvirt-qemu, which this host lacks (Debian: package libvirt-daemon-system), and a mount namespace to stand in for it is refused");
	e = add_line("/etc/passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin", passwd);
	if (!e && !getgrnam("libvirt-qemu"))
		e = add_line("/etc/group", "libvirt-qemu:x:64055:", group);
	return e;
}

/* The last that is noted is the first to go. */
static error *note_run_folder(struct settings *s)
{
	error *e = settings_note_empty(s, RUN_LIBVIRT, NULL);

	if (!e)
		e = settings_note_empty(s, RUN_LIBVIRT "/hostdevmgr", NULL);
	return e ? e : settings_note_empty(s, RUN_LIBVIRT "/common", "system.token");
}

error *lv_embed_prepare(struct lv_host *h)
{
	struct lv *b = h->lv;
	error *e;

	if (geteuid() == 0 && access(RUN_LIBVIRT, F_OK) < 0 && (e = note_run_folder(b->cfg.settings)))
		return e;
	h->root = root_of(h->spec->uri);
	if (!h->root)
		h->root = xasprintf("%s/" OWN_ROOT, b->cfg.runtime_dir);
	if (*h->root != '/')
		return err_new(EXIT_BAD_INPUT, "%s: root must be an absolute path", h->spec->uri);
	if (strlen(h->root) + MONITOR_PATH_MAX >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_new(
			EXIT_CANNOT,
			"%s is too long a folder for libvirt: names of sockets in it would exceed the kernel's %zu bytes; set MVMSCALE_STATE to a shorter one",
			h->root, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	_cleanup_free_ char *etc = xasprintf("%s/etc", h->root), *conf = xasprintf("%s/qemu.conf", etc);
	_cleanup_free_ char *pids = xasprintf("%s/run/qemu", h->root);
	_cleanup_free_ char *word = xasprintf("guest=%s-", b->prefix);
	/* libvirt makes its folders when it starts in a process, not when it is opened there once more */
	if ((e = settings_note_pidfiles(b->cfg.settings, pids, word)) || (e = fs_mkdirs(etc)) ||
	    (e = fs_mkdirs(pids)))
		return e;
	_cleanup_free_ char *text = xasprintf("%s%s", qemu_conf, geteuid() == 0 ? as_root : "");
	if (access(conf, F_OK) < 0 && (e = fs_write_atomic(conf, text, strlen(text))))
		return e;
	return pretend_user(b->cfg.runtime_dir);
}

/* A session leader that nobody waited for during this time is no child that libvirt waits for. */
#define UNWANTED_NS 300000000ULL
/* Between two looks: briefly while children end, rarely while none does. */
#define REAP_MIN_NS 1000000ULL
#define REAP_MAX_NS 16000000ULL

/* A daemon that lost its parent: in a session that is neither ours nor its own. */
static bool adopted(pid_t pid)
{
	pid_t session = getsid(pid);

	return session > 0 && session != pid && session != getsid(0);
}

/*
 * libvirt itself waits for the children that it forks; taking one of them in would make it
 * fail. They are in our session, or lead one of their own and are waited for at once. What
 * leads a session and stays is the middle process of a QEMU that made itself a daemon.
 */
static void *reap(void *user)
{
	const struct lv *b = user;
	uint64_t since = 0, nap = REAP_MIN_NS;
	pid_t last = 0;

	while (!__atomic_load_n(&b->stop_reaping, __ATOMIC_ACQUIRE)) {
		siginfo_t si = { 0 };

		nap = MIN(2 * nap, REAP_MAX_NS);
		if (waitid(P_ALL, 0, &si, WEXITED | WNOWAIT | WNOHANG) == 0 && si.si_pid > 0) {
			bool leader = getsid(si.si_pid) == si.si_pid;

			nap = REAP_MIN_NS;

			if (si.si_pid != last) {
				last = si.si_pid;
				since = clock_ns();
			}
			if (adopted(last) || (leader && clock_ns() - since > UNWANTED_NS)) {
				waitpid(last, NULL, WNOHANG);
				last = 0;
				continue;
			}
		}
		clock_sleep_ns(nap);
	}
	return NULL;
}

error *lv_reaper_start(struct lv *b)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot adopt libvirt's QEMUs");
	__atomic_store_n(&b->stop_reaping, false, __ATOMIC_RELEASE);
	int sys = pthread_create(&b->reaper, NULL, reap, b);
	b->reaping = sys == 0;
	return sys ? err_sys(EXIT_CANNOT, sys, "cannot start a thread") : NULL;
}

void lv_reaper_stop(struct lv *b)
{
	if (!b->reaping)
		return;
	__atomic_store_n(&b->stop_reaping, true, __ATOMIC_RELEASE);
	pthread_join(b->reaper, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 0L, 0L, 0L, 0L);
	b->reaping = false;
}
