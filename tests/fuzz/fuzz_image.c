/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Guest images and what their sources declare: 'p' begins a .params file, 'l' a listing of ndisasm, anything
 * else is an image, whose bytes stand from MVM_PARAM_OFFSET on (the code before does not matter).
 */
#include <string.h>

#include "driver.h"
#include "guest/disasm.h"
#include "guest/schema.h"
#include "guest/wave.h"

static struct guest_image image_of(const char *data, size_t len)
{
	struct guest_image img = { 0 };

	memcpy(img.bytes + MVM_PARAM_OFFSET, data, MIN(len, (size_t)MVM_PARAM_SIZE));
	img.bytes[MVM_SIGNATURE_OFFSET] = 0x55;
	img.bytes[MVM_SIGNATURE_OFFSET + 1] = 0xaa;
	return img;
}

static void show(const struct guest_schema *s, const struct guest_image *img)
{
	for (size_t i = 0; i < s->count; i++) {
		_cleanup_free_ char *value = schema_get(&s->fields[i], img),
				    *range = schema_range(&s->fields[i]);
		struct guest_image copy = *img;

		for (const char *c = value; *c; c++)
			fuzz_must((unsigned char)*c >= ' ' && *c != 0x7f, "a value holds control characters");
		fuzz_must(*range, "a field without range");
		if (img->has_params && s->fields[i].type == FIELD_BYTES)
			/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): one is a copy of the other
			 */
			fuzz_must(!schema_set(s, &copy, s->fields[i].name, value) &&
					  memcmp(&copy, img, sizeof(copy)) == 0,
				  "%s = %s is another image", s->fields[i].name, value);
	}
}

static void try_image(const char *data, size_t len)
{
	struct guest_image raw = image_of(data, len), img;
	struct wave_code code;

	if (fuzz_refused(image_parse(raw.bytes, sizeof(raw.bytes), "x.img", &img), "x.img"))
		return;
	fuzz_must(!img.has_params ||
			  strspn(img.guest, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(img.guest),
		  "the guest is named '%s'", img.guest);
	fuzz_must(image_code_size(&img) <= image_code_limit(&img), "the code is longer than its room");
	for (size_t at = 0; at < MVM_IMAGE_SIZE; at++)
		fuzz_must(disasm_text_length(img.bytes + at, MVM_IMAGE_SIZE - at) <= MVM_IMAGE_SIZE - at,
			  "a text ends outside");
	if (img.has_params && wave_of_image(&img, &code)) {
		fuzz_must(wave_peak(&code) >= 0 && wave_mean(&code) >= 0, "a load is below 0");
		fuzz_must(wave_load_at(&code, 7, 1e6) >= 0, "a predicted load is below 0");
		fuzz_must(wave_period_ms(&code) >= 0, "a period is below 0");
	}
}

static void try_params(const char *text, size_t len)
{
	struct guest_image img = image_of("", 0);
	struct guest_schema *s = NULL;

	(void)len;
	if (fuzz_refused(schema_parse(text, "x.params", "x", &s), "x.params"))
		return;
	for (size_t i = 0; i < s->count; i++)
		fuzz_must(s->fields[i].size > 0 &&
				  s->fields[i].offset + s->fields[i].size <= MVM_PARAM_PAYLOAD_SIZE &&
				  s->fields[i].min <= s->fields[i].max,
			  "the field %s is out of place", s->fields[i].name);
	show(s, &img);
	for (size_t at = 0; at < MVM_PARAM_PAYLOAD_SIZE; at++)
		schema_field_at(s, at);
	schema_free(s);
}

static void try_listing(const char *text)
{
	static const char params[] =
		"[count]\ntype = u32\noffset = 0\n[text]\ntype = text\noffset = 8\nmax = 10\n";
	struct guest_image img = image_of("abc", 3);
	struct guest_schema *s = NULL;
	char *said = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&said, &size);

	error *e = schema_parse(params, "params", "x", &s);
	fuzz_must(!e && out, "the fixture does not parse");
	disasm_annotate(text, &img, s, out);
	fclose(out);
	free(said);
	schema_free(s);
}

static void run(const char *text, size_t len)
{
	bool is_text = !memchr(text, 0, len);

	if (*text == 'p' && is_text)
		try_params(text + 1, len - 1);
	else if (*text == 'l' && is_text)
		try_listing(text + 1);
	else
		try_image(text, len);
}

static const char *const seeds[] = {
	"p[guest]\nsummary = x\nneeds = disk\n[count]\ntype = u32\noffset = 0\nmin = 1\nmax = 9\ndefault = 3\n"
	"[word]\ntype = text\noffset = 4\nmax = 10\n[mac]\ntype = bytes\noffset = 20\nsize = 6\n",
	"l00007C12  B0FF              mov al,0xff\n00007D08  skipping 0x11 bytes\n00007C14  BAF803            mov dx,0x3f8\n"
	"00007C17  EE                out dx,al\n00007C18  A16E7D            mov ax,[0x7d6e]\n00007C1B  42                inc dx\n",
	NULL
};
static const char *const words[] = { "type = u8\n", "offset = ",  "max = ",    "size = ",
				     "[a]\n",	    "00007C12  ", "mov dx,0x", "[0x7d",
				     "in al,0x",    "skipping ",  "wave",      NULL };
static const struct fuzz_shape shapes[] = {
	{ "p", "[a]\ntype = u8\n[b]\ntype = u8\n", "" },
	{ "p[guest]\nneeds = a", "\n b", "\n" },
	{ "l", "00007C12  B0FF              mov al,0xff\n", "" },
	{ "l", "00007D08  skipping 0x11 bytes\n", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "image", .run = run, .seeds = seeds, .words = words, .shapes = shapes, .binary = true
};
