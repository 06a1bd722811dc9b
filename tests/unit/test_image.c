/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "guest/disasm.h"
#include "guest/image.h"

#define P(field) (MVM_PARAM_OFFSET + MVM_PARAM_OFF_##field)

static void put(unsigned char *p, const char *text)
{
	while (*text)
		*p++ = (unsigned char)*text++;
}

/* A boot sector with a block, from the contract alone: the tests need no built guest. */
static void make_image(unsigned char b[MVM_IMAGE_SIZE])
{
	memset(b, 0, MVM_IMAGE_SIZE);
	put(b, "\xFA\xF4");
	put(b + P(MAGIC), "MVMP");
	b[P(VERSION)] = MVM_PARAM_VERSION;
	b[P(LENGTH)] = MVM_PARAM_SIZE;
	put(b + P(GUEST), "sleep");
	b[510] = 0x55;
	b[511] = 0xAA;
}

/* The error names the file and holds every given text. */
static void expect_refused(const unsigned char *b, size_t len, const char *text, const char *text2)
{
	struct guest_image img = { .guest = "before" };
	_cleanup_err_ error *e = image_parse(b, len, "some.img", &img);

	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_true(str_starts(e->msg, "some.img: "));
	if (!strstr(e->msg, text) || !strstr(e->msg, text2))
		fail_msg("'%s' and '%s' are not both in: %s", text, text2, e->msg);
	/* A refused image leaves the caller's as it was. */
	assert_string_equal(img.guest, "before");
}

static void test_good_image(void **state)
{
	unsigned char b[MVM_IMAGE_SIZE];
	struct guest_image img;

	(void)state;
	make_image(b);
	b[P(FLAGS)] = 0x34;
	b[P(FLAGS) + 1] = 0x12;
	b[P(SEED)] = 7;
	b[P(PHASE) + 3] = 0x80;
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	assert_true(img.has_params);
	assert_int_equal(img.version, 1);
	assert_int_equal(img.flags, 0x1234);
	assert_int_equal(img.seed, 7);
	assert_int_equal(img.phase_ms, 0x80000000U);
	assert_string_equal(img.guest, "sleep");
	assert_memory_equal(img.bytes, b, sizeof(b));
	assert_int_equal(image_code_size(&img), 2);
	assert_int_equal(image_code_limit(&img), MVM_PARAM_OFFSET);
}

static void test_wrong_size(void **state)
{
	unsigned char b[MVM_IMAGE_SIZE + 1] = { 0 };
	_cleanup_free_ unsigned char *rom = xcalloc(MVM_FIRMWARE_SIZE, 1);

	(void)state;
	make_image(b);
	expect_refused(b, 0, "has 0 bytes", "exactly 512");
	expect_refused(b, 511, "has 511 bytes", "exactly 512");
	expect_refused(b, 513, "has 513 bytes", "mvm build");
	expect_refused(rom, MVM_FIRMWARE_SIZE, "65536 bytes", "firmware ROM");
}

static void test_no_signature(void **state)
{
	unsigned char b[MVM_IMAGE_SIZE];

	(void)state;
	make_image(b);
	b[511] = 0x55;
	expect_refused(b, sizeof(b), "no boot signature", "0x55 0x55");
	memset(b, 0, sizeof(b));
	expect_refused(b, sizeof(b), "no boot signature", "0x00 0x00");
}

static void test_damaged_block(void **state)
{
	unsigned char b[MVM_IMAGE_SIZE];

	(void)state;
	make_image(b);
	b[P(VERSION)] = 2;
	expect_refused(b, sizeof(b), "version 2", "version 1");
	make_image(b);
	b[P(VERSION)] = 0;
	expect_refused(b, sizeof(b), "version 0", "rebuild");
	make_image(b);
	b[P(LENGTH)] = 93;
	expect_refused(b, sizeof(b), "93 bytes instead of 94", "rebuild");
	make_image(b);
	memset(b + P(GUEST), 0, MVM_PARAM_GUEST_SIZE);
	expect_refused(b, sizeof(b), "no guest name", "rebuild");
	make_image(b);
	b[P(GUEST)] = '/';
	expect_refused(b, sizeof(b), "no guest name", "rebuild");
	make_image(b);
	b[P(GUEST) + 7] = 'x'; /* behind the padding */
	expect_refused(b, sizeof(b), "no guest name", "rebuild");
}

static void test_longest_guest_name(void **state)
{
	unsigned char b[MVM_IMAGE_SIZE];
	struct guest_image img;

	(void)state;
	make_image(b);
	put(b + P(GUEST), "abcdefg8");
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	assert_string_equal(img.guest, "abcdefg8");
}

static void test_no_block(void **state)
{
	unsigned char b[MVM_IMAGE_SIZE];
	struct guest_image img;

	(void)state;
	make_image(b);
	b[P(MAGIC)] = 'm';
	b[P(VERSION)] = 99;
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	assert_false(img.has_params);
	assert_string_equal(img.guest, "");
	assert_int_equal(img.version, 0);
	assert_int_equal(image_code_limit(&img), MVM_SIGNATURE_OFFSET);
}

static void test_patch_round_trip(void **state)
{
	static const uint32_t values[] = { 0, 1, 0x01020304, 0x7FFFFFFF, 0x80000000, UINT32_MAX };
	unsigned char b[MVM_IMAGE_SIZE];
	struct guest_image img, again;

	(void)state;
	make_image(b);
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		image_set_seed(&img, values[i]);
		image_set_phase(&img, ~values[i]);
		assert_null(image_parse(img.bytes, sizeof(img.bytes), "some.img", &again));
		assert_int_equal(again.seed, values[i]);
		assert_int_equal(again.phase_ms, ~values[i]);
		assert_int_equal(img.seed, again.seed);
	}
	/* Little-endian, and nothing else was touched. */
	image_set_seed(&img, 0x01020304);
	assert_memory_equal(img.bytes + P(SEED), "\x04\x03\x02\x01", 4);
	image_set_seed(&img, 0);
	image_set_phase(&img, 0);
	assert_memory_equal(img.bytes, b, sizeof(b));
}

static int make_dir(void **state)
{
	char template[] = "/tmp/mvm-test-image-XXXXXX";

	if (!mkdtemp(template))
		return -1;
	*state = xstrdup(template);
	return 0;
}

static int remove_dir(void **state)
{
	fs_remove_tree(*state);
	free(*state);
	return 0;
}

static void test_files(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/a.img", (char *)*state);
	unsigned char b[MVM_IMAGE_SIZE];
	struct guest_image img, again;

	make_image(b);
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	image_set_seed(&img, 42);
	assert_null(image_write(&img, path));
	assert_null(image_load(path, &again));
	assert_int_equal(again.seed, 42);

	_cleanup_free_ char *missing = xasprintf("%s/none.img", (char *)*state);
	_cleanup_err_ error *e = image_load(missing, &again);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, missing));
	assert_null(fs_write_atomic(path, b, 511));
	_cleanup_err_ error *e2 = image_load(path, &again);
	assert_non_null(e2);
	assert_non_null(strstr(e2->msg, path));
	assert_non_null(strstr(e2->msg, "has 511 bytes"));
}

static void test_firmware(void **state)
{
	_cleanup_free_ char *template = xasprintf("%s/template.bin", (char *)*state);
	_cleanup_free_ char *out = xasprintf("%s/out.bin", (char *)*state), *got = NULL;
	_cleanup_free_ char *rom = xcalloc(MVM_FIRMWARE_SIZE, 1);
	unsigned char b[MVM_IMAGE_SIZE];
	struct guest_image img;
	size_t len = 0;

	make_image(b);
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	memset(rom, 0x11, MVM_FIRMWARE_SIZE);
	rom[MVM_FIRMWARE_RESET] = (char)0xEA;
	assert_null(fs_write_atomic(template, rom, MVM_FIRMWARE_SIZE));
	assert_null(firmware_write(&img, template, out));
	assert_null(fs_read(out, &got, &len));
	assert_int_equal(len, MVM_FIRMWARE_SIZE);
	memcpy(rom + MVM_FIRMWARE_SLOT, b, sizeof(b));
	assert_memory_equal(got, rom, MVM_FIRMWARE_SIZE);

	assert_null(fs_write_atomic(template, rom, MVM_FIRMWARE_SIZE - 1));
	_cleanup_err_ error *e = firmware_write(&img, template, out);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "not the toolkit's firmware"));
	rom[MVM_FIRMWARE_RESET] = 0;
	assert_null(fs_write_atomic(template, rom, MVM_FIRMWARE_SIZE));
	_cleanup_err_ error *e2 = firmware_write(&img, template, out);
	assert_non_null(e2);
	assert_non_null(strstr(e2->msg, template));
}

static void test_disassembly_notes(void **state)
{
	static const char listing[] = "00007C00  E643              out 0x43,al\n"
				      "00007C02  BAF803            mov dx,0x3f8\n"
				      "00007C05  EE                out dx,al\n"
				      "00007C06  66A1B07D          mov eax,[0x7db0]\n"
				      "00007C0A  skipping 0x4 bytes\n"
				      "00007C0E  66A1BC7D          mov eax,[0x7dbc]\n"
				      "00007C12  B2FD              mov dl,0xfd\n"
				      "00007C14  EC                in al,dx\n"
				      "00007C0E  F4                hlt\n"
				      "         -67\n";
	unsigned char b[MVM_IMAGE_SIZE];
	_cleanup_free_ char *text = NULL;
	struct schema_field rate = { .name = (char *)"rate", .offset = 4, .size = 4 };
	struct guest_schema schema = { .fields = &rate, .count = 1 };
	struct guest_image img;
	size_t size = 0;

	(void)state;
	make_image(b);
	put(b + 10, "a\"\n");
	assert_null(image_parse(b, sizeof(b), "some.img", &img));
	FILE *f = open_memstream(&text, &size);
	disasm_annotate(listing, &img, &schema, f);
	fclose(f);
	assert_non_null(strstr(text, "; PIT: control\n"));
	assert_non_null(strstr(text, "out dx,al                      ; COM1: data"));
	assert_non_null(strstr(text, "; seed\n"));
	assert_non_null(strstr(text, "; rate\n"));
	assert_non_null(strstr(text, "in al,dx                       ; COM1: line status"));
	assert_non_null(strstr(text, "db \"a\\\"\\n\\0\"\n"));
	assert_non_null(strstr(text, "hlt\n"));
	assert_non_null(strstr(text, "\n         -67\n"));
	assert_int_equal(disasm_text_length((const unsigned char *)"pong\n", 6), 6);
	assert_int_equal(disasm_text_length((const unsigned char *)"pong\n", 5), 0);
	assert_int_equal(disasm_text_length((const unsigned char *)"?\n", 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_image),
		cmocka_unit_test(test_wrong_size),
		cmocka_unit_test(test_no_signature),
		cmocka_unit_test(test_damaged_block),
		cmocka_unit_test(test_longest_guest_name),
		cmocka_unit_test(test_no_block),
		cmocka_unit_test(test_patch_round_trip),
		cmocka_unit_test_setup_teardown(test_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_firmware, make_dir, remove_dir),
		cmocka_unit_test(test_disassembly_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
