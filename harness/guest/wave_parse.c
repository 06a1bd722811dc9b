/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/util.h"
#include "guest/wave.h"

static const char SECTION[] = "wave";
#define TRACE_MAX_BYTES (64 << 20)
#define STEPS_MAX 10000

const char *const wave_spread_names[WAVE_SPREADS] = {
	[WAVE_SPREAD_PHASE] = "phase",
	[WAVE_SPREAD_SEED] = "seed",
	[WAVE_SPREAD_NONE] = "none",
};

static const struct ini_entry *find(const struct ini_file *f, const char *key)
{
	for (size_t i = 0; i < f->count; i++)
		if (str_eq(f->entries[i].section, SECTION) && str_eq(f->entries[i].key, key))
			return &f->entries[i];
	return NULL;
}

static error *bad(const struct ini_file *f, const struct ini_entry *en, const char *why)
{
	return err_new(EXIT_BAD_INPUT, "%s:%d: %s = %s: %s", f->path, en->line, en->key, en->value, why);
}

static bool split_number(const char *text, double *ret, const char **ret_unit)
{
	char number[64];
	size_t n = strspn(text, "0123456789.");

	if (n == 0 || n >= sizeof(number))
		return false;
	memcpy(number, text, n);
	number[n] = '\0';
	*ret_unit = text + n + strspn(text + n, " ");
	return parse_double(number, 0, 1e12, ret);
}

bool wave_read_duration(const char *text, double *ret_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60e3 }, { "min", 60e3 }, { "h", 3600e3 } };
	const char *unit;
	double v;

	if (!split_number(text, &v, &unit))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_eq(units[i].unit, unit)) {
			*ret_ms = v * units[i].ms;
			return true;
		}
	return false;
}

bool wave_read_load(const char *text, double *ret_pct)
{
	const char *unit;

	return split_number(text, ret_pct, &unit) && (!*unit || str_eq(unit, "%")) && *ret_pct <= 100;
}

static error *get_duration(const struct ini_file *f, const char *key, double least, double *v)
{
	const struct ini_entry *en = find(f, key);

	if (!en || (wave_read_duration(en->value, v) && *v >= least && *v <= WAVE_MAX_MS))
		return NULL;
	return bad(f, en, "needs a duration such as 250ms, 2s, 5m or 1h, at least 2ms and at most 24h");
}

static error *get_load(const struct ini_file *f, const char *key, double *v)
{
	const struct ini_entry *en = find(f, key);

	if (!en || wave_read_load(en->value, v))
		return NULL;
	return bad(f, en, "needs a share of a vCPU from 0% to 100%");
}

/* Keys that the chosen kind of waveform has no use for are refused, so that none is silently ignored. */
static error *check_keys(const struct ini_file *f, const char *kind, const char *keys)
{
	static const char common[] = " shape phases trace repeat jitter spread ";

	for (size_t i = 0; i < f->count; i++) {
		const struct ini_entry *en = &f->entries[i];
		_cleanup_free_ char *word = xasprintf(" %s ", en->key);

		if (!str_eq(en->section, SECTION) || strstr(common, word) || strstr(keys, word))
			continue;
		return err_new(EXIT_BAD_INPUT, "%s:%d: %s has no meaning for %s%s%s", f->path, en->line,
			       en->key, kind, *keys ? ", which takes" : "", keys);
	}
	return NULL;
}

static error *take_shape(const struct ini_file *f, const struct ini_entry *en, uint32_t seed, struct wave *w)
{
	const struct wave_shape *s = wave_shape_find(en->value);
	long steps;

	if (!s) {
		struct strlist names = { 0 };

		for (size_t i = 0; wave_shape_at(i); i++)
			strlist_add(&names, wave_shape_at(i)->name);
		_cleanup_free_ char *known = strlist_join(&names), *why = xasprintf("known are %s", known);
		strlist_clear(&names);
		return bad(f, en, why);
	}
	struct wave_shape_args a = s->fallback;
	_cleanup_free_ char *kind = xasprintf("shape %s", s->name);
	error *e = check_keys(f, kind, s->keys);
	if (!e)
		e = get_load(f, "low", &a.low);
	if (!e)
		e = get_load(f, "high", &a.high);
	if (!e)
		e = get_duration(f, "period", WAVE_MIN_MS, &a.period_ms);
	if (!e)
		e = get_duration(f, "width", WAVE_MIN_MS, &a.width_ms);
	if (!e)
		e = get_load(f, "duty", &a.duty_pct);
	if (!e)
		e = ini_get_long(f, SECTION, "steps", 2, STEPS_MAX, (long)a.steps, &steps);
	if (e)
		return e;
	if (a.low > a.high)
		return bad(f, find(f, "low") ? find(f, "low") : find(f, "high"), "low is above high");
	a.steps = (unsigned)steps;
	a.seed = seed;
	s->make(&a, w);
	w->shape = xstrdup(s->name);
	return NULL;
}

/* One line of "10%x500ms 80%x100ms". */
static error *take_phase_line(const struct ini_file *f, const struct ini_entry *en, struct wave *w)
{
	_cleanup_free_ char *copy = xstrdup(en->value);

	for (char *rest = copy, *word; (word = strsep(&rest, " \t,"));) {
		char *x = strchr(word, 'x');
		double load, ms;

		if (!*word)
			continue;
		if (x)
			*x = '\0';
		if (!x || !wave_read_load(word, &load) || !wave_read_duration(x + 1, &ms) ||
		    ms < WAVE_MIN_MS || ms > WAVE_MAX_MS) {
			if (x)
				*x = 'x';
			return err_new(
				EXIT_BAD_INPUT,
				"%s:%d: phases: '%.40s' is not LOADxDURATION, such as 80%%x100ms, with 0 to 100 %% and 2 ms or more",
				f->path, en->line, word);
		}
		wave_add(w, load, ms);
		if (w->count > MVM_WAVE_PHASES_MAX)
			return err_new(
				EXIT_BAD_INPUT,
				"%s:%d: phases: the guest has room for %d; a longer curve can be given as a trace, which is approximated",
				f->path, en->line, MVM_WAVE_PHASES_MAX);
	}
	return NULL;
}

bool wave_may_repeat(const struct ini_entry *en)
{
	return str_eq(en->section, SECTION) && str_eq(en->key, "phases");
}

static error *take_phases(const struct ini_file *f, const struct ini_entry *first, struct wave *w)
{
	error *e = check_keys(f, "phases", "");

	for (size_t i = 0; i < f->count && !e; i++)
		if (wave_may_repeat(&f->entries[i]))
			e = take_phase_line(f, &f->entries[i], w);
	w->shape = xstrdup("phases");
	return e || w->count ? e : bad(f, first, "needs phases such as 10%x500ms 80%x100ms");
}

static error *take_trace(const struct ini_file *f, const struct ini_entry *en, const char *text,
			 struct wave *w)
{
	double period = 0;
	error *e = check_keys(f, "a trace", " period ");

	if (!e)
		e = get_duration(f, "period", WAVE_MIN_MS, &period);
	if (!e && !text)
		e = bad(f, en, "a trace can only be given in a file");
	if (!e)
		e = wave_take_trace(text, en->value, period, w);
	w->shape = xstrdup("trace");
	return e;
}

static error *take_curve(const struct ini_file *f, uint32_t seed, const char *trace_text, struct wave *w)
{
	const struct ini_entry *shape = find(f, "shape"), *phases = find(f, "phases"),
			       *trace = find(f, "trace");

	if (!shape + !phases + !trace != 2)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: section [wave] needs exactly one of the lines 'shape = ...', 'phases = ...' and 'trace = ...'",
			f->path);
	return shape	? take_shape(f, shape, seed, w)
	       : phases ? take_phases(f, phases, w)
			: take_trace(f, trace, trace_text, w);
}

static double shortest_ms(const struct wave *w)
{
	double least = INFINITY;

	for (size_t i = 0; i < w->count; i++)
		least = fmin(least, w->steps[i].ms);
	return least;
}

/* "20ms", or "10%" of the shortest phase. */
static error *take_jitter(const struct ini_file *f, struct wave *w)
{
	const struct ini_entry *en = find(f, "jitter");
	double pct = 0, least = shortest_ms(w);

	if (!en)
		return NULL;
	if (strchr(en->value, '%')) {
		if (!wave_read_load(en->value, &pct))
			return bad(f, en, "needs a share of the shortest phase from 0% to 100%");
		w->jitter_ms = least * pct / 100;
	} else if (!wave_read_duration(en->value, &w->jitter_ms)) {
		return bad(f, en,
			   "needs a duration such as 20ms, or a share such as 10% of the shortest phase");
	}
	return w->jitter_ms <= least ? NULL : bad(f, en, "is longer than the shortest phase");
}

static error *take_repeat(const struct ini_file *f, struct wave *w)
{
	const struct ini_entry *en = find(f, "repeat");
	long n = 0;

	if (!en || str_eq(en->value, "forever"))
		return NULL;
	if (!parse_long(en->value, 1, INT32_MAX, &n))
		return bad(f, en, "needs 'forever' or a whole number from 1");
	w->repeat = (uint32_t)n;
	return NULL;
}

static error *take_spread(const struct ini_file *f, struct wave *w)
{
	const struct ini_entry *en = find(f, "spread");

	for (int i = 0; en && i < WAVE_SPREADS; i++)
		if (str_eq(en->value, wave_spread_names[i])) {
			w->spread = (enum wave_spread)i;
			if (i == WAVE_SPREAD_SEED && w->jitter_ms <= 0)
				return bad(f, en, "without jitter a seed changes nothing: add a jitter");
			return NULL;
		}
	return en ? bad(f, en, "must be phase, seed or none") : NULL;
}

bool wave_given(const struct ini_file *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (str_eq(f->entries[i].section, SECTION))
			return true;
	return false;
}

error *wave_parse(const struct ini_file *f, uint32_t seed, const char *trace_text, struct wave **ret)
{
	_cleanup_(wave_freep) struct wave *w = xcalloc(1, sizeof(*w));
	struct wave_code code;
	error *e = take_curve(f, seed, trace_text, w);

	if (!e)
		e = take_jitter(f, w);
	if (!e)
		e = take_repeat(f, w);
	if (!e)
		e = take_spread(f, w);
	if (!e && !(wave_asked_ms(w) <= WAVE_MAX_MS))
		e = err_new(EXIT_BAD_INPUT, "%s: the waveform's period is %.0f s, the longest is %.0f s",
			    f->path, wave_asked_ms(w) / 1000, WAVE_MAX_MS / 1000);
	if (!e && (e = wave_encode(w, &code)))
		e = err_wrap(e, "%s", f->path);
	if (e)
		return e;
	*ret = STEAL(w);
	return NULL;
}

/* Below the folder of the profile, unless it is absolute. */
static char *trace_path(const char *profile, const char *trace)
{
	const char *slash = strrchr(profile, '/');

	if (*trace == '/' || !slash)
		return xstrdup(trace);
	return xasprintf("%.*s/%s", (int)(slash - profile), profile, trace);
}

error *wave_load(const struct ini_file *f, uint32_t seed, struct wave **ret)
{
	const struct ini_entry *en = find(f, "trace");
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	error *e = NULL;

	if (en) {
		_cleanup_free_ char *path = trace_path(f->path, en->value);

		if (stat(path, &st) < 0)
			e = err_sys(EXIT_BAD_INPUT, errno, "%s:%d: trace %s", f->path, en->line, path);
		else if (!S_ISREG(st.st_mode) || st.st_size > TRACE_MAX_BYTES)
			e = bad(f, en, "is no file, or longer than 64 MiB");
		else
			e = fs_read(path, &text, &len);
		if (!e && text && strlen(text) != len)
			e = bad(f, en, "holds NUL bytes, so it is not a text file");
		if (e)
			return e;
	}
	e = wave_parse(f, seed, text, ret);
	return e && en && text ? err_wrap(e, "%s:%d", f->path, en->line) : e;
}

void wave_free(struct wave *w)
{
	if (!w)
		return;
	free(w->shape);
	free(w->steps);
	free(w);
}
