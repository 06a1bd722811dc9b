/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Profiles and traces from anywhere: no input may crash the parser, and what it accepts must be encoded
 * into a payload that is read back as the same waveform. With clang this is a libFuzzer target; else a
 * driver of its own mutates the seeds at random:
 *	fuzz_profile [SECONDS [SEED]]	exits 0 after so long (default 2), and prints TAP
 * The first byte of an input says what it is: 't' a trace, anything else a profile.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ini.h"
#include "base/util.h"
#include "guest/profile.h"

#define INPUT_MAX 4096

static const char *input = ""; /* what is being tried */

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_profile: %s:\n%s\n", what, input);
	abort();
}

/* What is not too long can be played and read back. */
static void check(const struct wave *w)
{
	unsigned char payload[MVM_PARAM_PAYLOAD_SIZE];
	struct wave_code code, back;
	error *e = wave_encode(w, &code);

	must(!e || e->code == EXIT_BAD_INPUT, "a waveform is refused for another reason than itself");
	if (e) {
		err_free(e);
		return;
	}
	wave_code_put(&code, payload);
	e = wave_code_get(payload, "payload", &back);
	must(!e, "an encoded waveform cannot be read back");
	must(back.count == code.count && back.slice == code.slice && back.passes == code.passes,
	     "an encoded waveform is read back as another");
	struct wave_error off = wave_error_of(w, &code);
	must(isfinite(off.rms) && off.rms <= 100.0001 && wave_peak(&code) <= 100.0001,
	     "a load is out of range");
	double at = wave_load_at(&back, 1, 12345);
	must(at >= 0 && at <= 100.0001, "a predicted load is out of range");
}

static void try_trace(const char *text)
{
	struct wave *w = xcalloc(1, sizeof(*w));
	error *e = wave_take_trace(text, "trace", 0, w);

	must(!e || e->code == EXIT_BAD_INPUT, "a trace is refused for another reason than itself");
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
	must(!e || e->code == EXIT_BAD_INPUT, "a profile is refused for another reason than itself");
	if (w)
		check(w);
	err_free(e);
	wave_free(w);
	ini_free(f);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *text;

	if (!size || size > INPUT_MAX)
		return 0;
	text = xcalloc(size + 1, 1);
	memcpy(text, data, size);
	input = text;
	/* files with NUL bytes are refused before they are parsed */
	if (strlen(text) == size) {
		if (*text == 't')
			try_trace(text);
		else
			try_profile(text);
	}
	free(text);
	return 0;
}

#ifndef FUZZ_WITH_LIBFUZZER
static const char *const seeds[] = {
	"[wave]\nshape = sine\nlow = 1%\nhigh = 80%\nperiod = 20s\nsteps = 24\n",
	"[wave]\nshape = rare-spikes\nperiod = 1h\nwidth = 2ms\njitter = 10%\nrepeat = 3\n",
	"[wave]\nshape = random\nhigh = 0.3%\nsteps = 200\nperiod = 24h\nspread = seed\n",
	"[wave]\nphases = 10%x500ms 80%x100ms 0%x1h 100%x2ms\njitter = 1ms\n",
	"[wave]\ntrace = t.csv\nperiod = 2ms\nspread = none\n",
	"time_s,cpu_pct\n0,10\n0.5,80\n1,3.25\n",
	"t,c,x\n0,0,1\n1000,100,2\n1001,50,3\n",
};
static const char *const words[] = { "0", "1e9",    "-1",	"100%",	 "2ms",		"24h", "x",
				     "=", "\n",	    "[wave]\n", "nan",	 "inf",		",",   "%",
				     "h", "period", "steps",	"10000", "999999999999" };

/* Without an end, unlike a string function. */
static void copy(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

static size_t mutate(char *text, size_t len)
{
	size_t at = len ? (size_t)rand() % len : 0;
	const char *word = words[(size_t)rand() % ARRAY_LEN(words)];
	size_t n = strlen(word), some = (size_t)rand() % 64;

	switch (rand() % 5) {
	case 0:
		if (len)
			text[at] = (char)(rand() % 255 + 1);
		return len;
	case 1: /* leave something out */
		n = MIN(some % 8, len - at);
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 2: /* say it twice */
		n = MIN(some, len - at);
		break;
	case 3: /* overwrite by a word that means something */
		if (at + n < len)
			copy(text + at, word, n);
		return len;
	default: /* put one in */
		if (len + n >= INPUT_MAX)
			return len;
		memmove(text + at + n, text + at, len - at);
		copy(text + at, word, n);
		return len + n;
	}
	if (len + n >= INPUT_MAX)
		return len;
	memmove(text + at + n, text + at, len - at);
	return len + n;
}

int main(int argc, char **argv)
{
	double seconds = 2;
	long seed = 1;
	unsigned long tries = 0;
	uint64_t start = clock_ns();

	if ((argc > 1 && !parse_double(argv[1], 0, 1e6, &seconds)) ||
	    (argc > 2 && !parse_long(argv[2], 0, INT32_MAX, &seed))) {
		fprintf(stderr, "usage: fuzz_profile [SECONDS [SEED]]\n");
		return EXIT_BAD_INPUT;
	}
	srand((unsigned)seed);
	for (size_t i = 0; i < ARRAY_LEN(seeds); i++)
		LLVMFuzzerTestOneInput((const unsigned char *)seeds[i], strlen(seeds[i]));
	while ((double)(clock_ns() - start) < seconds * 1e9) {
		char text[INPUT_MAX + 1];
		const char *from = seeds[(size_t)rand() % ARRAY_LEN(seeds)];
		size_t len = strlen(from);

		copy(text, from, len);

		for (int k = rand() % 6; k >= 0; k--)
			len = mutate(text, len);
		LLVMFuzzerTestOneInput((const unsigned char *)text, len);
		tries++;
	}
	printf("ok 1 - %lu damaged profiles and traces, seed %ld\n1..1\n", tries, seed);
	return EXIT_DONE;
}
#endif
