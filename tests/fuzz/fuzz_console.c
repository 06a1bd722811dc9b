/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What guests say: however the bytes of a console come apart, the same is heard; and an answer is a line that
 * fits. Its first bytes say where it is cut.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/console.h"
#include "base/clock.h"
#include "driver.h"

static unsigned hear(struct ready_line *s, const char *guest, const char *bytes, size_t n)
{
	unsigned heard = 0;

	for (size_t i = 0; i < n; i++) {
		heard += console_hear(s, guest, bytes[i]);
		fuzz_must(s->len < sizeof(s->text), "the line is full");
	}
	return heard;
}

static void ready_lines(const char *bytes, size_t len, size_t cut)
{
	static const char *const guests[] = { "", "sleep" };
	unsigned any = 0;

	for (size_t g = 0; g < ARRAY_LEN(guests); g++) {
		struct ready_line whole = { 0 }, parts = { 0 };
		unsigned heard = hear(&whole, guests[g], bytes, len), again = 0;

		for (size_t at = 0; at < len; at += cut)
			again += hear(&parts, guests[g], bytes + at, MIN(cut, len - at));
		fuzz_must(heard == again, "heard %u times in one piece, %u in pieces of %zu", heard, again,
			  cut);
		fuzz_must(whole.len == parts.len && memcmp(whole.text, parts.text, whole.len) == 0,
			  "what is left differs");
		fuzz_must(!g || heard <= any, "one guest is heard more often than any");
		any = heard;
	}
}

/* The answer, if there is one, is the first line. */
static void answers(const char *bytes, size_t len)
{
	char reply[64];
	int ends[2];

	if (len > 1000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	fuzz_must(write(ends[0], bytes, len) == (ssize_t)len, "a socket does not take %zu bytes", len);
	close(ends[0]);
	memset(reply, 'x', sizeof(reply));
	error *e = console_read_line(ends[1], 3, clock_ns() + 1000000000, reply, sizeof(reply));
	const char *end = memchr(bytes, '\n', len);
	size_t n = end ? (size_t)(end - bytes) : len;

	fuzz_must(!e == (end && n < sizeof(reply)), "a line of %zu bytes: %s", n, e ? e->msg : "taken");
	/* bytes of 0 become '?': nothing hides behind the end of a string */
	for (size_t i = 0; i < n && !e; i++)
		fuzz_must(reply[i] == (bytes[i] ? bytes[i] : '?'), "byte %zu of the answer is another", i);
	fuzz_must(e || !reply[n], "the answer is longer");
	fuzz_must(!e || strstr(e->msg, "VM 3"), "it does not name the VM: %s", e ? e->msg : "");
	err_free(e);
	close(ends[1]);
}

static void run(const char *text, size_t len)
{
	if (!len)
		return;
	ready_lines(text + 1, len - 1, 1 + (unsigned char)*text % 32);
	answers(text + 1, len - 1);
}

static const char *const seeds[] = { "\003SeaBIOS (version 1.16)\r\nMVM sleep ready\r\n",
				     "\001MVM spin ready\nMVM sleep ready\n", "\007pong\n",
				     "\002MVM  sleep\tready x\n", NULL };
static const char *const words[] = { "MVM ", "sleep", " ready", "\r\n", "MVM sleep ready\n", "pong\n", NULL };
static const struct fuzz_shape shapes[] = {
	{ "\003", "MVM sleep ready\n", "" },
	{ "\003", "x", "\nMVM sleep ready\n" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "console", .run = run, .seeds = seeds, .words = words, .shapes = shapes, .binary = true
};
