/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_left_ns(uint64_t deadline)
{
	uint64_t now = clock_ns();

	return now < deadline ? deadline - now : 0;
}

uint64_t clock_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void clock_sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000U), .tv_nsec = (long)(ns % 1000000000U) };

	nanosleep(&ts, NULL);
}

static void format_now(const char *fmt, char *buf, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(buf, size, fmt, &tm);
}

void clock_utc_stamp(char buf[17])
{
	format_now("%Y%m%dT%H%M%SZ", buf, 17);
}

void clock_utc_iso(char buf[21])
{
	format_now("%Y-%m-%dT%H:%M:%SZ", buf, 21);
}
