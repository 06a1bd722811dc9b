/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "guest/profile.h"
#include "guest/schema.h"

static const char text[] =
	"[guest]\nsummary = some guest\nneeds = disk net\n"
	"[rate]\ntype = u32\noffset = 0\ndefault = 5\nmin = 1\nmax = 1000\nunit = 1/s\nhelp = h\n"
	"[few]\ntype = u8\noffset = 4\ndefault = 5\nmin = 0\nmax = 255\nunit =\nhelp = h\n"
	"[words]\ntype = text\noffset = 5\ndefault = Hi\nmax = 10\nhelp = h\n"
	"[raw]\ntype = bytes\noffset = 16\nsize = 3\nhelp = h\n";

static struct guest_schema *schema(void)
{
	struct guest_schema *s = NULL;

	assert_null(schema_parse(text, "some.params", "some", &s));
	return s;
}

static void test_read(void **state)
{
	_cleanup_(schema_freep) struct guest_schema *s = schema();
	_cleanup_free_ char *range = schema_range(schema_find(s, "rate"));
	_cleanup_free_ char *words = schema_range(schema_find(s, "words"));

	(void)state;
	assert_string_equal(s->summary, "some guest");
	assert_int_equal(s->needs.count, 2);
	assert_int_equal(s->count, 4);
	assert_string_equal(range, "1 to 1000 1/s");
	assert_string_equal(words, "up to 10 characters");
	assert_null(schema_find(s, "guest"));
	assert_string_equal(schema_field_at(s, 3), "rate");
	assert_string_equal(schema_field_at(s, 4), "few");
	assert_string_equal(schema_field_at(s, 15), "words");
	assert_null(schema_field_at(s, 19));
}

static void test_set_and_get(void **state)
{
	static const struct {
		const char *name, *value, *back;
	} good[] = { { "rate", "1000", "1000" },      { "rate", "1", "1" }, { "few", "255", "255" },
		     { "words", "0123456789", NULL }, { "words", "", "" },  { "words", "Hi there", NULL },
		     { "raw", "00FFa1", "00ffa1" } };
	_cleanup_(schema_freep) struct guest_schema *s = schema();
	struct guest_image img = { .has_params = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_null(schema_set(s, &img, good[i].name, good[i].value));
		_cleanup_free_ char *v = schema_get(schema_find(s, good[i].name), &img);
		assert_string_equal(v, good[i].back ? good[i].back : good[i].value);
	}
	/* each in its place, and nothing beside */
	const unsigned char *p = img.bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PAYLOAD;
	assert_memory_equal(p, "\1\0\0\0\377Hi there\0\0\0\0\377\241\0", 20);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *value, *message;
	} bad[] = {
		{ "rate", "0", "rate = 0: must be a whole number, 1 to 1000 1/s" },
		{ "rate", "1001", "1 to 1000" },
		{ "rate", "", "must be a whole number" },
		{ "rate", "1e2", "must be a whole number" },
		{ "rate", "99999999999999999999", "must be a whole number" },
		{ "few", "256", "0 to 255" },
		{ "few", "-1", "0 to 255" },
		{ "words", "01234567890", "is 11 bytes long, there is room for 10" },
		{ "raw", "00", "6 hexadecimal digits" },
		{ "raw", "00ff0g", "6 hexadecimal digits" },
		{ "speed", "1", "guest 'some' has no such parameter; it has rate few words raw" },
	};
	_cleanup_(schema_freep) struct guest_schema *s = schema(), *none = NULL;
	struct guest_image img = { .has_params = true };
	static const struct guest_image untouched = { .has_params = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_err_ error *e = schema_set(s, &img, bad[i].name, bad[i].value);

		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		if (!strstr(e->msg, bad[i].message))
			fail_msg("'%s' is not in: %s", bad[i].message, e->msg);
	}
	assert_memory_equal(&img, &untouched, sizeof(img));
	assert_null(schema_parse("", "x", "foreign", &none));
	_cleanup_err_ error *e = schema_set(none, &img, "rate", "1");
	assert_non_null(strstr(e->msg, "guest 'foreign' has no parameters of its own"));
}

/* A file that was edited by hand must not make the programs write outside the payload. */
static void test_damaged(void **state)
{
	static const char *const bad[] = {
		"[a]\ntype = u64\n",
		"[a]\nhelp = no type\n",
		"[a]\ntype = u32\noffset = 67\n",
		"[a]\ntype = u8\noffset = 70\n",
		"[a]\ntype = u8\noffset = -1\n",
		"[a]\ntype = u8\nmax = 256\n",
		"[a]\ntype = u16\nmin = 5\nmax = 4\n",
		"[a]\ntype = text\nmax = 70\n",
		"[a]\ntype = text\noffset = 1\nmax = 69\n",
		"[a]\ntype = bytes\nsize = 0\n",
		"[a]\ntype = bytes\noffset = 69\nsize = 2\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct guest_schema *s = NULL;
		_cleanup_err_ error *e = schema_parse(bad[i], "some.params", "some", &s);

		assert_null(s);
		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
	}
}

/* What a terminal would obey is not handed on from an image. */
static void test_text_is_cleaned(void **state)
{
	_cleanup_(schema_freep) struct guest_schema *s = schema();
	struct guest_image img = { .has_params = true };

	(void)state;
	memcpy(img.bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PAYLOAD + 5, "a\033[2Jbbbbbbbbb", 11);
	_cleanup_free_ char *v = schema_get(schema_find(s, "words"), &img);
	assert_string_equal(v, "a?[2Jbbbbbb");
}

/* Every shipped profile can be built, and every default in a source's declaration is what its image has. */
static void test_shipped(void **state)
{
	_cleanup_(strlist_clear) struct strlist guests = { 0 };
	_cleanup_(profile_list_clear) struct profile_list profiles = { 0 };

	(void)state;
	guest_names(&guests);
	for (size_t i = 0; i < guests.count; i++) {
		_cleanup_(schema_freep) struct guest_schema *s = NULL;
		struct guest_image img;

		assert_null(schema_load(guests.items[i], &s));
		assert_null(image_load_guest(guests.items[i], &img));
		assert_true(*s->summary);
		for (size_t k = 0; k < s->count; k++) {
			_cleanup_free_ char *v = schema_get(&s->fields[k], &img);

			if (s->fields[k].type != FIELD_BYTES)
				assert_string_equal(v, s->fields[k].fallback);
		}
	}
	assert_null(profile_list(&profiles));
	for (size_t i = 0; i < profiles.count; i++) {
		struct guest_image img;
		_cleanup_err_ error *e = image_from_profile(profiles.items[i], &img);

		if (e)
			fail_msg("%s", e->msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	cmocka_unit_test(test_set_and_get),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_shipped), cmocka_unit_test(test_text_is_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
