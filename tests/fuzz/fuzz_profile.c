/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Profiles and traces from anywhere: what the parser accepts must be encoded into a payload that is read back
 * as the same waveform. An input that begins with 't' is a trace, anything else a profile.
 */
#include <math.h>

#include "base/ini.h"
#include "driver.h"
#include "guest/profile.h"

/* What is not too long can be played and read back. */
static void check(const struct wave *w)
{
	unsigned char payload[MVM_PARAM_PAYLOAD_SIZE];
	struct wave_code code, back;
	error *e = wave_encode(w, &code);

	fuzz_must(!e || e->code == EXIT_BAD_INPUT, "a waveform is refused for another reason than itself");
	if (e) {
		err_free(e);
		return;
	}
	wave_code_put(&code, payload);
	e = wave_code_get(payload, "payload", &back);
	fuzz_must(!e, "an encoded waveform cannot be read back");
	fuzz_must(back.count == code.count && back.slice == code.slice && back.passes == code.passes,
		  "an encoded waveform is read back as another");
	struct wave_error off = wave_error_of(w, &code);
	fuzz_must(isfinite(off.rms) && off.rms <= 100.0001 && wave_peak(&code) <= 100.0001,
		  "a load is out of range");
	double at = wave_load_at(&back, 1, 12345);
	fuzz_must(at >= 0 && at <= 100.0001, "a predicted load is out of range");
}

static void try_trace(const char *text)
{
	struct wave *w = xcalloc(1, sizeof(*w));
	error *e = wave_take_trace(text, "trace", 0, w);

	fuzz_must(!e || e->code == EXIT_BAD_INPUT, "a trace is refused for another reason than itself");
	if (!e && wave_asked_ms(w) <= WAVE_MAX_MS)
		check(w);
	err_free(e);
	wave_free(w);
}

static void try_profile(const char *text)
{
	struct ini_file *f = NULL;
	struct wave *w = NULL;
	error *e = ini_parse_text(text, "profile", &f);

	/* not profile_parse(): the name of a trace would be opened */
	if (!e && wave_given(f))
		e = wave_parse(f, 1, "time_s,cpu_pct\n0,1\n1,2\n", &w);
	fuzz_must(!e || e->code == EXIT_BAD_INPUT, "a profile is refused for another reason than itself");
	if (w)
		check(w);
	err_free(e);
	wave_free(w);
	ini_free(f);
}

static void run(const char *text, size_t len)
{
	(void)len;
	if (*text == 't')
		try_trace(text);
	else
		try_profile(text);
}

static const char *const words[] = { "100%",   "2ms",	"24h",	 "[wave]\n",	 "h",
				     "period", "steps", "10000", "999999999999", NULL };
static const struct fuzz_shape shapes[] = {
	{ "time_s,cpu_pct\n", "1,1\n", "" },
	{ "time_s,cpu_pct\n", "1000,100\n", "" },
	{ "[wave]\nphases = 1%x1ms", "\n 1%x1ms", "\n" },
	{ "[wave]\n", "period = 1s\n", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = { .name = "profile", .run = run, .words = words, .shapes = shapes };
