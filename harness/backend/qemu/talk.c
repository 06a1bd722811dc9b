/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The talk with a template QEMU: nothing of what it says is believed before it was looked at. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/qemu/qemu.h"
#include "base/clock.h"
#include "base/kin.h"
#include "base/text.h"

#define REPLY_TIMEOUT_MS 60000

/* A signal for the harness is no answer. False when the time is over. */
static bool await_answer(int fd)
{
	uint64_t deadline = clock_ns() + REPLY_TIMEOUT_MS * 1000000ULL;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (uint64_t now; (now = clock_ns()) < deadline;)
		if (poll(&p, 1, (int)((deadline - now) / 1000000) + 1) > 0)
			return true;
	return false;
}

/* A number that could be a copy's: a new child of ours, which no VM has, and no other copy of this batch. */
static error *check_pid(const struct qemu *q, uint32_t i)
{
	const struct zygote_reply *r = &q->reply;
	int32_t told = r->pid[i];
	bool taken = told == q->template.pid || told == q->next.pid || pidmap_has(&q->supervisor.pids, told);
	pid_t pid;
	error *e = kin_check(told, KIN_CHILD, "the template QEMU", &pid);

	for (uint32_t k = 0; k < i && !taken; k++)
		taken = r->pid[k] == told;
	return e || !taken ? e
			   : err_new(EXIT_CANNOT,
				     "the template QEMU names process %d, which was known before", (int)told);
}

/* A template runs somebody's QEMU: any number may stand there. */
static error *check_reply(const struct qemu *q, const struct zygote_request *req)
{
	const struct zygote_reply *r = &q->reply;
	uint32_t most = req->op == ZYGOTE_COPY ? req->count : 0;
	error *e = NULL;

	if (r->serial != req->serial)
		return err_new(EXIT_CANNOT, "the template QEMU answers what it was not asked (%u, not %u)",
			       r->serial, req->serial);
	if (*r->refusal)
		return NULL;
	if (r->first != req->first || r->begun > most || r->error < 0 || (most && !r->begun && !r->error))
		return err_new(
			EXIT_CANNOT,
			"the template QEMU tells of %u copies from VM %u on, where %u from VM %u on were asked for",
			r->begun, r->first, most, req->first);
	for (uint32_t i = 0; i < r->begun && !e; i++)
		e = check_pid(q, i);
	return e;
}

static error *take_reply(struct qemu *q, const struct zygote_request *req)
{
	struct zygote_reply *r = &q->reply;
	/* with room for no descriptors, the kernel drops those that come along */
	ssize_t n = recv(q->template.control_fd, r, sizeof(*r), MSG_TRUNC);
	error *e = n == (ssize_t)sizeof(*r) ? check_reply(q, req)
		   : n > 0 ? err_new(EXIT_CANNOT, "the template QEMU gave an answer of %zd bytes, not %zu", n,
				     sizeof(*r))
			   : err_new(EXIT_CANNOT, "the template QEMU is gone");

	if (e) { /* which is no refusal */
		*r = (struct zygote_reply){ 0 };
		return e;
	}
	r->refusal[sizeof(r->refusal) - 1] = '\0';
	text_clean(r->refusal);
	return *r->refusal ? err_new(EXIT_CANNOT, "QEMU cannot be copied: %s", r->refusal) : NULL;
}

error *qemu_template_ask(struct qemu *q, struct zygote_request *req, const int *pass)
{
	size_t fds_size = pass ? req->fd_count * sizeof(int) : 0;
	char space[CMSG_SPACE(ZYGOTE_FDS * sizeof(int))] = { 0 };
	struct iovec io = { .iov_base = req, .iov_len = sizeof(*req) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	if (fds_size) {
		m.msg_control = space;
		m.msg_controllen = CMSG_SPACE(fds_size);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds_size);
		memcpy(CMSG_DATA(c), pass, fds_size);
	}
	q->reply = (struct zygote_reply){ 0 };
	req->serial = ++q->serial;
	if (sendmsg(q->template.control_fd, &m, MSG_NOSIGNAL) < 0)
		return err_sys(EXIT_CANNOT, errno, "the template QEMU does not listen");
	if (!await_answer(q->template.control_fd))
		return err_new(EXIT_CANNOT, "the template QEMU gave no answer within %d s",
			       REPLY_TIMEOUT_MS / 1000);
	return take_reply(q, req);
}
