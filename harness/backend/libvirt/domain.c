/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One domain: its XML, its start, the proof that its guest is ready, questions to it, its end. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/console.h"
#include "backend/libvirt/libvirt.h"
#include "backend/libvirt/name.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/kin.h"

/* A probe guest that needs longer than this would make a ramp under KVM slower than under TCG. */
#define KVM_GOOD_TIME_NS 3000000000ULL
/* A guest that ran before we listened is asked, so often. */
#define ASK_PERIOD_NS 300000000ULL
/* A guest that sends without end is looked at by the clock after so many bytes. */
#define LOOK_BYTES 64

/* A console: a unix socket of the embedded driver's QEMU, or a stream through libvirt. */
struct channel {
	int fd;
	virStreamPtr st;
};

static void channel_close(struct channel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->st) {
		virStreamAbort(c->st);
		virStreamFree(c->st);
	}
	virResetLastError();
}

static error *channel_open(const struct lv_host *h, virDomainPtr dom, uint32_t number, struct channel *ret)
{
	*ret = (struct channel){ .fd = -1 };
	if (h->embed)
		return console_connect(h->lv->console_dir_fd, number, &ret->fd);
	ret->st = virStreamNew(virDomainGetConnect(dom), VIR_STREAM_NONBLOCK);
	if (!ret->st || virDomainOpenConsole(dom, NULL, ret->st, 0) < 0)
		return lv_error(EXIT_CANNOT, "console of VM %u", number);
	return NULL;
}

/* Waits at most until `deadline` for one byte: 1, 0 at the end of the console, -1 when the time is over. */
static int channel_read(const struct channel *c, char *ret, uint64_t deadline)
{
	uint64_t nap = 200000;

	for (;;) {
		ssize_t n;

		if (c->st)
			n = virStreamRecv(c->st, ret, 1); /* -2: nothing there */
		else
			n = recv(c->fd, ret, 1, MSG_DONTWAIT);
		if (n == 1)
			return 1;
		if (n == 0 || (c->st && n == -1) || (!c->st && errno != EAGAIN && errno != EINTR))
			return 0;
		uint64_t now = clock_ns();
		if (now >= deadline)
			return -1;
		if (c->st) {
			clock_sleep_ns(MIN(nap, deadline - now));
			nap = MIN(nap * 2, 4000000U);
		} else {
			poll(&(struct pollfd){ .fd = c->fd, .events = POLLIN }, 1,
			     (int)MIN((deadline - now + 999999) / 1000000, 1000U));
		}
	}
}

static bool channel_send(const struct channel *c, const char *text)
{
	size_t len = strlen(text), done = 0;

	for (int tries = 0; done < len && tries < 1000; tries++) {
		ssize_t n = c->st ? virStreamSend(c->st, text + done, len - done)
				  : send(c->fd, text + done, len - done, MSG_NOSIGNAL);

		if (n == -1)
			return false;
		if (n > 0)
			done += (size_t)n;
		else
			clock_sleep_ns(1000000);
	}
	return done == len;
}

/* One line without its end; results as channel_read(). What does not fit is dropped, but not for ever. */
static int channel_line(const struct channel *c, char *line, size_t size, uint64_t deadline)
{
	size_t len = 0, came = 0;
	char b;

	for (;;) {
		int n = channel_read(c, &b, deadline);

		if (n <= 0 || b == '\n') {
			line[len] = '\0';
			return n;
		}
		if (b != '\r' && len + 1 < size)
			line[len++] = b ? b : '?';
		if (++came % LOOK_BYTES == 0 && clock_ns() >= deadline)
			return -1;
	}
}

/* Until the ready line; a guest that started before we listened may answer a ping instead. */
static error *wait_ready(const struct channel *c, uint32_t number, const char *guest, bool may_be_late,
			 uint64_t deadline)
{
	char line[96];

	for (;;) {
		uint64_t until = may_be_late ? MIN(deadline, clock_ns() + ASK_PERIOD_NS) : deadline;
		int n = channel_line(c, line, sizeof(line), until);

		if (n == 0)
			return err_new(EXIT_CANNOT, "VM %u closed its console before it was ready", number);
		if (clock_ns() >= deadline)
			return err_new(EXIT_CANNOT, "VM %u was not ready in time", number);
		if (n == 1 && (console_is_ready(line, guest) || (may_be_late && str_eq(line, "pong"))))
			return NULL;
		if (n < 0 && may_be_late)
			channel_send(c, "ping\n");
	}
}

static char *domain_xml(const struct lv_host *h, uint32_t number, char **ret_name)
{
	const struct lv *b = h->lv;
	_cleanup_free_ char *serial = NULL, *consoles = lv_xml_escaped(b->console_dir),
			    *emulator = lv_emulator_xml(h);
	_cleanup_free_ char *cpuset = lv_cpuset_xml(b, number), *numatune = lv_numatune_xml(b, number);
	char uuid[LV_UUID_SIZE];

	*ret_name = xasprintf("%s-%u", b->prefix, number);
	lv_name_uuid(*ret_name, uuid);
	serial = h->embed ? xasprintf("<serial type='unix'><source mode='bind' path='%s/%u'/></serial>",
				      consoles, number)
			  : xstrdup("<serial type='pty'/>");
	struct lv_values v = { .name = *ret_name,
			       .uuid = uuid,
			       .image = h->image,
			       .firmware = h->firmware,
			       .init = h->init,
			       .type = h->type,
			       .guest = *b->cfg.image->guest ? b->cfg.image->guest : "foreign",
			       .serial = serial,
			       .emulator = emulator,
			       .cpuset = cpuset,
			       .numatune = numatune,
			       .tcg = str_eq(h->type, "qemu") ? "<tcg><tb-cache unit='MiB'>1</tb-cache></tcg>"
							      : "" };
	return lv_template_fill(h->template, &v);
}

static error *prove(struct lv_host *h, virDomainPtr dom, uint32_t number, uint64_t deadline)
{
	bool paused = h->create_flags & VIR_DOMAIN_START_PAUSED;
	struct channel c = { .fd = -1 };
	error *e = h->template->console ? channel_open(h, dom, number, &c) : NULL;

	if (!e && paused && virDomainResume(dom) < 0)
		e = lv_error(EXIT_CANNOT, "VM %u cannot be set going", number);
	if (!e && h->template->console)
		e = wait_ready(&c, number, h->lv->cfg.image->guest, !paused, deadline);
	else if (!e && virDomainIsActive(dom) != 1)
		e = err_new(EXIT_CANNOT, "VM %u does not run", number);
	channel_close(&c);
	return e;
}

/* The embedded driver's QEMU is a process of this machine, and can be accounted for as such. That QEMU can
   write to the file: a number in it that was not checked would put any process into our cgroup, and have it
   killed with it. */
static error *take_process(const struct lv_host *h, const char *name, pid_t *ret_pid)
{
	_cleanup_free_ char *path = xasprintf("%s/run/qemu/%s.pid", h->root ? h->root : "", name);
	long long told = 0;

	*ret_pid = 0;
	if (!h->embed || !fs_read_number(path, &told))
		return NULL;
	error *e = kin_check(told, KIN_DESCENDANT, path, ret_pid);
	/* moved there late, for its CPU time alone */
	if (!e && h->lv->cfg.cgroup_procs_fd >= 0 && !h->wrapper)
		dprintf(h->lv->cfg.cgroup_procs_fd, "%d", (int)*ret_pid);
	return e;
}

static error *create(struct lv_host *h, uint32_t number, uint64_t spawn_ns, uint64_t timeout_ns,
		     struct lv_news *ret)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_free_ char *xml = domain_xml(h, number, &name);
	virDomainPtr dom = virDomainCreateXML(h->conn, xml, h->create_flags);

	if (!dom)
		return lv_error(EXIT_CANNOT, "VM %u on %s", number, h->spec->name);
	ret->up_us = (uint32_t)((clock_ns() - spawn_ns) / 1000);
	error *e = take_process(h, name, &ret->pid);
	if (!e)
		e = prove(h, dom, number, spawn_ns + timeout_ns);
	if (e) {
		error *e2 = lv_domain_destroy(dom);

		err_free(e2);
		return err_wrap(e, "%s", h->spec->name);
	}
	ret->ready_us = (uint32_t)MAX((clock_ns() - spawn_ns) / 1000, 1U);
	ret->dom = dom;
	return NULL;
}

void lv_domain_create(struct lv *b, struct lv_host *h, uint32_t number, uint64_t spawn_ns,
		      struct lv_news *ret)
{
	error *e;

	*ret = (struct lv_news){ .kind = LV_READY, .vm = number };
	e = create(h, number, spawn_ns, b->cfg.ready_timeout_ns, ret);
	if (!e)
		return;
	ret->kind = LV_FAILED;
	ret->reason = STEAL(e->msg);
	ret->sys = e->sys;
	err_free(e);
}

error *lv_domain_destroy(virDomainPtr dom)
{
	error *e = NULL;

	if (virDomainDestroy(dom) < 0) {
		const virError *v = virGetLastError();

		/* it went by itself: what was wanted */
		if (v && v->code != VIR_ERR_NO_DOMAIN && v->code != VIR_ERR_OPERATION_INVALID)
			e = lv_error(EXIT_CANNOT, "domain %s cannot be destroyed", virDomainGetName(dom));
	}
	virDomainFree(dom);
	return e;
}

error *lv_console_ask(virDomainPtr dom, uint32_t vm, const char *request, int timeout_ms, char *reply,
		      size_t size, double *ret_ms)
{
	uint64_t start = clock_ns(), deadline = start + (uint64_t)timeout_ms * 1000000U;
	_cleanup_free_ char *line = xasprintf("%s\n", request);
	struct channel c = { .fd = -1, .st = virStreamNew(virDomainGetConnect(dom), VIR_STREAM_NONBLOCK) };
	error *e = NULL;
	int n = -1;

	if (!c.st || virDomainOpenConsole(dom, NULL, c.st, 0) < 0)
		e = lv_error(EXIT_CANNOT, "console of VM %u", vm);
	else if (!channel_send(&c, line))
		e = lv_error(EXIT_CANNOT, "console of VM %u: cannot send", vm);
	else if ((n = channel_line(&c, reply, size, deadline)) == 1)
		*ret_ms = (double)(clock_ns() - start) / 1e6;
	else
		e = err_new(EXIT_CANNOT, n ? "VM %u gave no answer in time" : "VM %u closed its console", vm);
	channel_close(&c);
	return e;
}

/* Whether the driver refused how we asked, and not the domain. */
static bool flags_refused(void)
{
	const virError *v = virGetLastError();

	return v && (v->code == VIR_ERR_INVALID_ARG || v->code == VIR_ERR_NO_SUPPORT ||
		     v->code == VIR_ERR_OPERATION_UNSUPPORTED || v->code == VIR_ERR_ARGUMENT_UNSUPPORTED);
}

static error *try_type(struct lv_host *h, const char *type, uint64_t timeout_ns)
{
	/* domains die with our connection where the driver can do that, and begin paused so that no
	   line is lost */
	static const unsigned ways[] = { VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY,
					 VIR_DOMAIN_START_PAUSED, VIR_DOMAIN_START_AUTODESTROY, 0 };
	error *e = NULL;

	h->type = type;
	/* not every driver says that it is the flag which it refuses, so each failure is tried without */
	for (size_t i = h->embed ? 1 : 0; i < ARRAY_LEN(ways); i++) {
		struct lv_news news = { 0 };
		uint64_t start = clock_ns();

		err_free(e);
		virResetLastError();
		h->create_flags = ways[i];
		e = create(h, h->lv->max, start, timeout_ns, &news);
		if (!e) {
			h->accel_note = xasprintf("probe guest ready in %.0f ms", news.ready_us / 1e3);
			return lv_domain_destroy(news.dom);
		}
		if (!flags_refused())
			break;
	}
	return e;
}

static bool offers_kvm(struct lv_host *h)
{
	char *caps = virConnectGetCapabilities(h->conn);
	bool has = caps && strstr(caps, "<domain type='kvm'");

	free(caps);
	virResetLastError();
	return has;
}

error *lv_domain_probe(struct lv_host *h)
{
	uint64_t normal = h->lv->cfg.ready_timeout_ns;
	const char *accel = h->lv->own.accel;

	if (!h->template->uses_accel) {
		if (!str_eq(accel, "auto"))
			return err_new(EXIT_BAD_INPUT,
				       "--accel %s: template %s has no {type}, so it would be ignored", accel,
				       h->template->path);
		return try_type(h, "", normal);
	}
	if (str_eq(accel, "kvm"))
		return try_type(h, "kvm", normal);
	if (str_eq(accel, "auto") && offers_kvm(h)) {
		error *e = try_type(h, "kvm", MIN(normal, KVM_GOOD_TIME_NS));

		if (!e)
			return NULL;
		error *e2 = try_type(h, "qemu", normal);
		if (!e2) {
			_cleanup_free_ char *note = h->accel_note;
			h->accel_note = xasprintf("not KVM: %s; %s", e->msg, note);
		}
		err_free(e);
		return e2;
	}
	return try_type(h, "qemu", normal);
}
