/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Devices that a guest needs. A VM's disk is a file of its own, unlinked at once and inherited by
 * descriptor, so that nothing is left of it whatever ends the run. The network of all VMs ends in one
 * UDP socket on the loopback interface, which nobody reads: each frame is one datagram there, which the
 * kernel counts, and an address without a socket would be answered by ICMP, which it would count too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/qemu/qemu.h"
#include "base/fs.h"

/* What O_DIRECT may ask for at most: memory and length in multiples of this. */
#define DIRECT_UNIT 4096

bool qemu_wants(const struct qemu *q, enum device d)
{
	return q->cfg.devices && (*q->cfg.devices & 1U << d);
}

error *qemu_disk_create(const struct qemu *q, int *ret_fd)
{
	const char *tmp = getenv("TMPDIR");

	*ret_fd = -1;
	if (!qemu_wants(q, DEVICE_DISK))
		return NULL;
	_cleanup_free_ char *path = xasprintf("%s/mvm-disk-XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
	_cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot create a VM's disk %s", path);
	unlink(path);
	if (ftruncate(fd, (off_t)q->cfg.disk_mb << 20) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot give a VM's disk %u MB in %s", q->cfg.disk_mb,
			       path);
	*ret_fd = steal_fd(&fd);
	return NULL;
}

/* Past the host's page cache where the file system can: otherwise what is measured is memory. */
static error *choose_cache(struct qemu *q)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ void *page = NULL;
	error *e = qemu_disk_create(q, &fd);

	if (e)
		return e;
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_close_ int direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	bool works = direct >= 0 && posix_memalign(&page, DIRECT_UNIT, DIRECT_UNIT) == 0 &&
		     pread(direct, page, DIRECT_UNIT, 0) == DIRECT_UNIT;
	q->disk_cache = works ? "none" : "writeback";
	return NULL;
}

static error *open_sink(struct qemu *q)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	q->sink_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (q->sink_fd < 0 || bind(q->sink_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(q->sink_fd, (struct sockaddr *)&a, &len) < 0)
		return err_sys(EXIT_CANNOT, errno,
			       "no socket on the loopback interface for the VMs' frames to go to");
	q->sink = xasprintf("127.0.0.1:%u", ntohs(a.sin_port));
	return NULL;
}

error *qemu_devices_open(struct qemu *q)
{
	error *e = NULL;

	if (qemu_wants(q, DEVICE_DISK))
		e = choose_cache(q);
	if (!e && qemu_wants(q, DEVICE_NET))
		e = open_sink(q);
	return e;
}

void qemu_devices_close(struct qemu *q)
{
	if (q->sink_fd >= 0)
		close(q->sink_fd);
	free(q->sink);
}

/* Adds what the preset says for each device, with its places filled in. */
error *qemu_devices_args(const struct qemu *q, enum accel a, struct strlist *argv)
{
	const struct preset_accel *pa = &q->own.preset->accel[a];
	_cleanup_free_ char *disk = xasprintf("/proc/self/fd/%d", QEMU_DISK_FD);
	const struct plan_place places[] = { { "{disk}", disk },
					     { "{disk_cache}", q->disk_cache ? q->disk_cache : "" },
					     { "{sink}", q->sink ? q->sink : "" } };

	for (enum device d = 0; d < DEVICE_COUNT; d++) {
		if (!qemu_wants(q, d))
			continue;
		if (!pa->device_args[d])
			return err_new(
				EXIT_CANNOT,
				"the guest needs a device '%s', and preset %s does not say how QEMU gets one: add '%s = ...' to its section [%s], or choose another preset",
				device_names[d], q->own.preset->name, device_names[d], accel_names[a]);
		qemu_plan_words(pa->device_args[d], places, ARRAY_LEN(places), argv);
	}
	return NULL;
}
