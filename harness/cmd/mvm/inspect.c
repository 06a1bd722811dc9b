/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <jansson.h>
#include <stdio.h>

#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/disasm.h"
#include "guest/image.h"
#include "guest/schema.h"
#include "guest/wave.h"

struct inspect {
	struct strlist path;
	bool json;
};

static void inspect_clear(struct inspect *in)
{
	strlist_clear(&in->path);
}

#define AT(field) offsetof(struct inspect, field)

static const struct option_row options[] = {
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json), .help = "Print JSON, without the disassembly" },
	{ 0 },
};

static void print_wave(const struct guest_image *img)
{
	struct wave_code c;

	if (!wave_of_image(img, &c))
		return;
	printf("waveform   mean %.2f %%, peak %.2f %%, period %.1f ms, %s\n", wave_mean(&c), wave_peak(&c),
	       wave_period_ms(&c), c.passes ? "then asleep" : "without end");
	for (size_t i = 0; i < c.count; i++)
		printf("  %6.2f %% for %.1f ms\n", wave_phase_load(&c, i), wave_phase_ms(&c, i));
}

/* Numbers as numbers, the rest as text. */
static json_t *values_json(const struct guest_schema *s, const struct guest_image *img)
{
	json_t *values = json_object();

	for (size_t i = 0; i < s->count; i++) {
		const struct schema_field *f = &s->fields[i];
		_cleanup_free_ char *v = schema_get(f, img);
		long number;
		bool is_number = f->type != FIELD_TEXT && f->type != FIELD_BYTES &&
				 parse_long(v, 0, UINT32_MAX, &number);
		json_t *text = is_number ? json_integer(number) : json_string(v);

		/* a text in an image need not be UTF-8 */
		json_object_set_new(values, f->name, text ? text : json_null());
	}
	return values;
}

static void print_json(const struct inspect *in, const struct guest_image *img,
		       const struct guest_schema *schema)
{
	/* A file name need not be UTF-8, a JSON text has to be. */
	json_t *path = json_string(in->path.items[0]);
	json_t *j = json_pack("{s:o, s:i, s:b}", "image", path ? path : json_null(), "bytes", MVM_IMAGE_SIZE,
			      "has_parameters", img->has_params);

	if (img->has_params) {
		json_object_set_new(j, "guest", json_string(img->guest));
		json_object_set_new(j, "version", json_integer(img->version));
		json_object_set_new(j, "flags", json_integer(img->flags));
		json_object_set_new(j, "seed", json_integer(img->seed));
		json_object_set_new(j, "phase_ms", json_integer(img->phase_ms));
		json_object_set_new(j, "parameters", values_json(schema, img));
	}
	json_object_set_new(j, "code_bytes", json_integer((json_int_t)image_code_size(img)));
	json_object_set_new(j, "free_bytes",
			    json_integer((json_int_t)(image_code_limit(img) - image_code_size(img))));
	cmd_print_json(j, 0);
}

static void print_text(const struct inspect *in, const struct guest_image *img,
		       const struct guest_schema *schema)
{
	size_t used = image_code_size(img), limit = image_code_limit(img);

	printf("image      %s, %d bytes, boot signature present\n", in->path.items[0], MVM_IMAGE_SIZE);
	if (img->has_params) {
		printf("guest      %s%s%s\n", img->guest, *schema->summary ? ": " : "", schema->summary);
		printf("parameters version %u, %d bytes at %d\n", img->version, MVM_PARAM_SIZE,
		       MVM_PARAM_OFFSET);
		printf("  flags    0x%04x%s%s\n", img->flags,
		       img->flags & MVM_PARAM_FLAG_SEED ? ", uses the seed" : "",
		       img->flags & MVM_PARAM_FLAG_PHASE ? ", uses the phase" : "");
		printf("  seed     %u\n", img->seed);
		printf("  phase    %u ms\n", img->phase_ms);
		for (size_t i = 0; i < schema->count; i++) {
			const struct schema_field *f = &schema->fields[i];
			_cleanup_free_ char *v = schema_get(f, img);

			printf("  %-8s %s%s%s\n", f->name, v, *f->unit ? " " : "", f->unit);
		}
	} else {
		printf("parameters none: not built by this toolkit, a profile cannot be put into it\n");
	}
	print_wave(img);
	printf("code       %zu of %zu bytes used, %zu free\n", used, limit, limit - used);
}

static error *print_disassembly(const struct guest_image *img, const struct guest_schema *schema)
{
	_cleanup_free_ char *text = NULL;
	error *e = disasm_image(img, schema, &text);

	if (e)
		return e;
	if (text)
		printf("\n%s", text);
	else
		printf("\nNo disassembly: ndisasm is not installed (it comes with nasm).\n");
	return NULL;
}

static int run(int argc, char **argv)
{
	_cleanup_(inspect_clear) struct inspect in = { 0 };
	_cleanup_(schema_freep) struct guest_schema *schema = NULL;
	struct guest_image img;

	cmd_parse(&mvm_inspect, argc, argv, &in);
	error *e = image_load(in.path.items[0], &img);
	if (!e)
		e = schema_load(img.guest, &schema);
	if (e)
		return cmd_fail(e);
	if (in.json) {
		print_json(&in, &img, schema);
		return EXIT_DONE;
	}
	print_text(&in, &img, schema);
	e = print_disassembly(&img, schema);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command mvm_inspect = {
	.name = "inspect",
	.summary = "show what an image is: guest, parameters, space, disassembly",
	.usage = "IMG",
	.doc = "Shows what a 512-byte image is: its guest and parameters, how much of it is code and how much is free, and its code as assembly text with the ports named (where ndisasm is installed). A "
	       "boot sector of somebody else's is shown without parameters.",
	.options = options,
	.words = AT(path),
	.most = 1,
	.too_many = "one image at a time: '%s' is too many",
	.none = "which image? Give a 512-byte file, such as one made by 'mvm build'",
	.run = run,
};
