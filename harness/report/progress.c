/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"

#define BAR_WIDTH 10
/* Of a terminal too narrow for long bars: what is left of them must not cost the time that remains. */
#define BAR_WIDTH_NARROW 4
#define NARROW_COLUMNS 100
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

	return ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void add_metric(FILE *f, const struct progress *p, const char *name, double pct, double threshold)
{
	char bar[BAR_WIDTH + 3];
	bool high = pct >= threshold * 0.9;

	progress_bar(bar, columns(p->out) < NARROW_COLUMNS ? BAR_WIDTH_NARROW : BAR_WIDTH, pct, threshold);
	if (isnan(pct))
		fprintf(f, "  %s %s   ?  ", name, bar);
	else
		fprintf(f, "  %s %s%s%s%5.1f%%", name, p->colour && high ? "\033[33m" : "", bar,
			p->colour && high ? "\033[0m" : "", pct);
}

/* Cuts the text at `width` visible characters; escape sequences take no room. */
static void cut(char *text, int width)
{
	int visible = 0;

	for (char *c = text; *c; c++) {
		if (*c == '\033') {
			while (*c && *c != 'm')
				c++;
			if (!*c)
				return;
			continue;
		}
		if (++visible > width) {
			*c = '\0';
			return;
		}
	}
}

void progress_status(struct progress *p, const struct run_status *s)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	char eta[40];

	if (!p->terminal || p->quiet)
		return;
	FILE *f = open_memstream(&text, &size);
	if (!f)
		return;
	fprintf(f, "%-8s %u/%u VMs", run_stage_names[s->stage], s->ready,
		s->stage == STAGE_STOP ? 0 : s->target);
	if (s->stage == STAGE_LAUNCH && !isnan(s->rate_per_s))
		fprintf(f, " %.0f/s", s->rate_per_s);
	add_metric(f, p, "CPU", s->cpu_pct, s->threshold_pct);
	add_metric(f, p, "RAM", s->ram_pct, s->threshold_pct);
	if (s->has_swap)
		add_metric(f, p, "swap", s->swap_pct, s->threshold_pct);
	progress_duration(eta, s->eta_s);
	fprintf(f, "  ETA %s", eta);
	/* last, for a narrow terminal cuts it off; a line of its own tells it after every interval */
	if (s->forecast.ok)
		fprintf(f, "  stop at %.0f (%.0f to %.0f) by %s", s->forecast.vms, s->forecast.lower,
			s->forecast.upper, s->forecast.resource);
	else if (s->predicted_end && s->predicted_end < s->max)
		fprintf(f, "  stop near %u", s->predicted_end);
	fclose(f);
	cut(text, columns(p->out) - 1);
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

void progress_interval(struct progress *p, const struct run_status *s, double mem_per_vm_kb, bool settled)
{
	if (p->quiet)
		return;
	progress_clear(p);
	if (!p->header_done)
		fprintf(p->out, "%9s  %9s  %8s %8s %8s  %12s  %s\n", "interval", "VMs", "CPU %", "RAM %",
			"swap %", "kB per VM", "settled");
	p->header_done = true;
	fprintf(p->out, "%5u/%-3u  %9u  %8.2f %8.2f ", s->interval, s->intervals, s->ready, s->cpu_pct,
		s->ram_pct);
	if (s->has_swap)
		fprintf(p->out, "%8.2f  ", s->swap_pct);
	else
		fprintf(p->out, "%8s  ", "none");
	if (isnan(mem_per_vm_kb))
		fprintf(p->out, "%12s", "-");
	else
		fprintf(p->out, "%12.0f", mem_per_vm_kb);
	fprintf(p->out, "  %s", settled ? "yes" : "no");
	if (s->forecast.ok)
		fprintf(p->out, "  stop at %.0f (%.0f to %.0f) by %s", s->forecast.vms, s->forecast.lower,
			s->forecast.upper, s->forecast.resource);
	fputc('\n', p->out);
	fflush(p->out);
}
