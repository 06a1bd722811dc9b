/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"

#define BAR_WIDTH 10
#define BAR_WIDTH_NARROW 4
#define CLEAR_LINE "\r\033[K"

void progress_init(struct progress *p, FILE *out, bool quiet)
{
	*p = (struct progress){ .out = out, .quiet = quiet };
	p->terminal = text_terminal(out);
	p->colour = text_colour(out);
}

void progress_bar(char *buf, int width, double pct, double threshold_pct)
{
	int full = isnan(pct) ? 0 : (int)lround(pct / 100 * width);
	int mark = (int)lround(threshold_pct / 100 * width);

	buf[0] = '[';
	for (int i = 0; i < width; i++)
		buf[1 + i] = i < full ? '#' : i == mark ? '|' : '.';
	buf[1 + width] = ']';
	buf[2 + width] = '\0';
}

void progress_duration(char buf[40], double seconds)
{
	long s = isnan(seconds) ? -1 : lround(fmin(seconds, 3.6e8));

	if (s < 0)
		snprintf(buf, 40, "?");
	else if (s < 90)
		snprintf(buf, 40, "%ld s", s);
	else if (s < 5400)
		snprintf(buf, 40, "%ld min %02ld s", s / 60, s % 60);
	else
		snprintf(buf, 40, "%ld h %02ld min", s / 3600, s / 60 % 60);
}

static int columns(FILE *out)
{
	struct winsize w;

	return ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

/* What a narrow terminal has no room for goes first; each step leaves out one part more. */
enum thrift {
	THRIFT_NONE,
	THRIFT_SHORT_BARS,
	THRIFT_NO_FORECAST, /* a line of its own tells it after every interval */
	THRIFT_NO_BARS,
	THRIFT_NO_RATE,
	THRIFT_NO_ETA,
	THRIFT_NO_SWAP,
	THRIFT_NO_NAMES, /* of the stage and the VMs */
	THRIFT_NO_RAM,
	THRIFT_COUNT,
};

static void add_metric(FILE *f, const char *name, double pct, double threshold, enum thrift t, bool colour)
{
	char bar[BAR_WIDTH + 3];
	bool high = colour && pct >= threshold * 0.9;

	progress_bar(bar, t >= THRIFT_SHORT_BARS ? BAR_WIDTH_NARROW : BAR_WIDTH, pct, threshold);
	fprintf(f, "%s%s %s%s", t >= THRIFT_NO_BARS ? " " : "  ", name, high ? "\033[33m" : "",
		t >= THRIFT_NO_BARS ? "" : bar);
	if (isnan(pct))
		fprintf(f, "%s", t >= THRIFT_NO_BARS ? "?" : "   ?  ");
	else if (t >= THRIFT_NO_BARS)
		fprintf(f, "%.0f%%%s", pct, high ? "\033[0m" : "");
	else
		fprintf(f, "%s%5.1f%%", high ? "\033[0m" : "", pct);
}

/* Characters as they stand on the terminal; escape sequences take no room. */
static int visible(const char *text)
{
	int n = 0;

	for (; *text; text++) {
		if (*text == '\033')
			text += strcspn(text, "m");
		else
			n++;
		if (!*text)
			break;
	}
	return n;
}

/* Cuts the text at `width` visible characters. */
static void cut(char *text, int width)
{
	int n = 0;

	for (char *c = text; *c; c++) {
		if (*c == '\033') {
			c += strcspn(c, "m");
			if (!*c)
				return;
		} else if (++n > width) {
			*c = '\0';
			return;
		}
	}
}

static char *line_of(const struct run_status *s, enum thrift t, bool colour)
{
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);
	char eta[40];

	if (t < THRIFT_NO_NAMES)
		fprintf(f, t >= THRIFT_NO_BARS ? "%s " : "%-8s ", run_stage_names[s->stage]);
	fprintf(f, "%u/%u%s", s->ready, s->stage == STAGE_STOP ? 0 : s->target,
		t < THRIFT_NO_NAMES ? " VMs" : "");
	if (t < THRIFT_NO_RATE && s->unproven)
		fprintf(f, " (%u silent)", s->unproven);
	if (t < THRIFT_NO_RATE && s->stage == STAGE_LAUNCH && !isnan(s->rate_per_s))
		fprintf(f, " %.0f/s", s->rate_per_s);
	add_metric(f, "CPU", s->cpu_pct, s->threshold_pct, t, colour);
	if (t < THRIFT_NO_RAM)
		add_metric(f, "RAM", s->ram_pct, s->threshold_pct, t, colour);
	if (t < THRIFT_NO_SWAP && s->has_swap)
		add_metric(f, "swap", s->swap_pct, s->threshold_pct, t, colour);
	progress_duration(eta, s->eta_s);
	if (t < THRIFT_NO_ETA)
		fprintf(f, "%sETA %s", t >= THRIFT_NO_BARS ? " " : "  ", eta);
	if (t < THRIFT_NO_FORECAST && s->forecast.ok)
		fprintf(f, "  stop at %.0f (%.0f to %.0f) by %s", s->forecast.vms, s->forecast.lower,
			s->forecast.upper, s->forecast.resource);
	else if (t < THRIFT_NO_FORECAST && s->predicted_end && s->predicted_end < s->max)
		fprintf(f, "  stop near %u", s->predicted_end);
	return textbuf_close(&buf);
}

char *progress_line(const struct run_status *s, int width, bool colour)
{
	for (enum thrift t = THRIFT_NONE;; t++) {
		char *text = line_of(s, t, colour);

		if (visible(text) <= width)
			return text;
		if (t == THRIFT_COUNT - 1) {
			cut(text, width);
			return text;
		}
		free(text);
	}
}

/* The width is asked for each time: the window may have another size since. The last column stays free, for
   some terminals wrap when it is written. */
void progress_status(struct progress *p, const struct run_status *s)
{
	if (!p->terminal || p->quiet)
		return;
	_cleanup_free_ char *text = progress_line(s, MAX(columns(p->out) - 1, 1), p->colour);

	fprintf(p->out, CLEAR_LINE "%s%s", text, p->colour ? "\033[0m" : "");
	fflush(p->out);
	p->line_open = true;
}

void progress_clear(struct progress *p)
{
	if (p->line_open)
		fputs(CLEAR_LINE, p->out);
	p->line_open = false;
	fflush(p->out);
}

void progress_notice(struct progress *p, const char *text)
{
	if (p->quiet)
		return;
	progress_clear(p);
	fprintf(p->out, "%s\n", text);
	fflush(p->out);
}

static void print_row(struct progress *p, char *text)
{
	if (p->terminal)
		cut(text, MAX(columns(p->out) - 1, 1));
	fprintf(p->out, "%s\n", text);
	free(text);
}

void progress_interval(struct progress *p, const struct run_status *s, double mem_per_vm_kb, bool settled)
{
	if (p->quiet)
		return;
	progress_clear(p);
	if (!p->header_done)
		print_row(p, xasprintf("%9s  %9s  %8s %8s %8s  %12s  %s", "interval", "VMs", "CPU %", "RAM %",
				       "swap %", "kB per VM", "settled"));
	p->header_done = true;
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);
	fprintf(f, "%5u/%-3u  %9u  %8.2f %8.2f ", s->interval, s->intervals, s->ready, s->cpu_pct,
		s->ram_pct);
	if (s->has_swap)
		fprintf(f, "%8.2f  ", s->swap_pct);
	else
		fprintf(f, "%8s  ", "none");
	if (isnan(mem_per_vm_kb))
		fprintf(f, "%12s", "-");
	else
		fprintf(f, "%12.0f", mem_per_vm_kb);
	fprintf(f, "  %s", settled ? "yes" : "no");
	if (s->unproven)
		fprintf(f, "  %u of %u asked answered", s->answered, s->asked);
	if (s->forecast.ok)
		fprintf(f, "  stop at %.0f (%.0f to %.0f) by %s", s->forecast.vms, s->forecast.lower,
			s->forecast.upper, s->forecast.resource);
	print_row(p, textbuf_close(&buf));
	fflush(p->out);
}
