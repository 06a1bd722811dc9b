/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "guest/profile.h"

static void expect_refused(const char *text, const char *message)
{
	struct profile *p = NULL;
	_cleanup_err_ error *e = profile_parse(text, "some.profile", &p);

	assert_null(p);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, message))
		fail_msg("'%s' is not in: %s", message, e->msg);
}

/* A value is checked where the guest is known: when the image is made. */
static void expect_no_image(const char *text, const char *message)
{
	_cleanup_(profile_freep) struct profile *p = NULL;
	struct guest_image img;

	assert_null(profile_parse(text, "some.profile", &p));
	_cleanup_err_ error *e = image_from_profile(p, &img);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, message))
		fail_msg("'%s' is not in: %s", message, e->msg);
}

static void test_parameters_refused(void **state)
{
	static const char head[] = "[profile]\nguest = burn\nsummary = x\n[parameters]\n";
	static const struct {
		const char *line, *message;
	} bad[] = {
		{ "iterations = -1\n", "some.profile:5: iterations = -1: must be a whole number" },
		{ "iterations = 4294967296\n", "0 to 4294967295 iterations" },
		{ "iterations =\n", "must be a whole number" },
		{ "iteration = 5\n", "some.profile:5: iteration: guest 'burn' has no such parameter" },
	};
	char damaged[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_free_ char *text = xasprintf("%s%s", head, bad[i].line);

		expect_no_image(text, bad[i].message);
	}
	expect_no_image("[profile]\nguest = sleep\nsummary = x\n[parameters]\nrate = 5\n",
			"guest 'sleep' has no parameters of its own");
	expect_no_image("[profile]\nguest = sleep\nsummary = x\nspread_ms = 5\n", "makes no use of a phase");
	expect_refused("[profile]\nguest = burn\nsummary = x\n[parameters]\na = 1\na = 2\n",
		       "some.profile:6: a is already given on line 5");
	expect_refused("[profile]\nguest = burn\nsummary = x\nmemory_mb = 0\n", "1 to 3072");
	expect_refused("[profile]\nguest = burn\nsummary = x\ndisk_mb = x\n", "some.profile:4: disk_mb = x");
	/* longer than any line should be */
	memset(damaged, 'x', sizeof(damaged) - 1);
	damaged[sizeof(damaged) - 1] = '\0';
	_cleanup_free_ char *oversized =
		xasprintf("[profile]\nguest = hello\nsummary = x\n[parameters]\ntext = %s\n", damaged);
	struct profile *p = NULL;
	struct guest_image img;
	error *e = profile_parse(oversized, "some.profile", &p);
	if (!e)
		e = image_from_profile(p, &img);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	err_free(e);
	profile_free(p);
}

static void test_parameters_set(void **state)
{
	_cleanup_(profile_freep) struct profile *p = NULL;
	struct guest_image img;
	const unsigned char *payload = img.bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PAYLOAD;

	(void)state;
	assert_null(profile_parse("[profile]\nguest = burn\nsummary = x\n[parameters]\niterations = 258\n",
				  "some.profile", &p));
	assert_null(image_from_profile(p, &img));
	assert_memory_equal(payload, "\2\1\0\0", 4);
}

static void test_devices(void **state)
{
	_cleanup_(profile_freep) struct profile *p = NULL;
	_cleanup_(strlist_clear) struct strlist words = { 0 };
	struct guest_image img;

	(void)state;
	assert_null(profile_parse("[profile]\nguest = disk\nsummary = x\ndevices = net\nmemory_mb = 4\n",
				  "some.profile", &p));
	assert_null(image_from_profile(p, &img));
	assert_null(profile_devices(p, &img, &words));
	assert_int_equal(words.count, 2);
	assert_string_equal(words.items[0], "disk");
	assert_string_equal(words.items[1], "net");
	assert_int_equal(p->memory_mb, 4);
	assert_int_equal(p->disk_mb, 1);
}

static void test_full(void **state)
{
	_cleanup_(profile_freep) struct profile *p = NULL;

	(void)state;
	assert_null(profile_parse("[profile]\nguest = sleep\nsummary = Two words\nseed = 4294967295\n"
				  "phase_ms=250\n",
				  "dir/some.profile", &p));
	assert_string_equal(p->name, "some");
	assert_string_equal(p->path, "dir/some.profile");
	assert_string_equal(p->guest, "sleep");
	assert_string_equal(p->summary, "Two words");
	assert_true(p->has_seed && p->has_phase);
	assert_int_equal(p->seed, UINT32_MAX);
	assert_int_equal(p->phase_ms, 250);
}

static void test_minimal(void **state)
{
	_cleanup_(profile_freep) struct profile *p = NULL;

	(void)state;
	assert_null(profile_parse("; a comment\n[profile]\nguest=idle\nsummary=s\n", "x", &p));
	assert_string_equal(p->name, "x");
	assert_false(p->has_seed || p->has_phase);
	assert_int_equal(p->seed, 0);
}

static void test_bad_lines(void **state)
{
	(void)state;
	expect_refused("", "some.profile: needs a line 'guest = ...'");
	expect_refused("[profile]\nguest = sleep\n", "some.profile: needs a line 'summary = ...'");
	expect_refused("[profile]\nguest =\nsummary = s\n", "needs a line 'guest = ...'");
	expect_refused("[profile]\nguest = sleep\nwhat is this\n", "line 3");
	expect_refused("[profile]\nguest = sleep\n\ncolour = red\n", "some.profile:4: unknown key 'colour'");
	expect_refused("guest = sleep\n", "some.profile:1: unknown key 'guest'");
	expect_refused("[profil]\nguest = sleep\n",
		       "some.profile:2: unknown key 'guest' in section [profil]");
	expect_refused("[profile]\nguest = a\nguest = b\nsummary = s\n",
		       "some.profile:3: guest is already given on line 2");
	expect_refused("[profile]\nguest = a\nsummary = s\nseed = 4294967296\n", "some.profile:4: seed");
	expect_refused("[profile]\nguest = a\nsummary = s\nseed = -1\n", "some.profile:4: seed");
	expect_refused("[profile]\nguest = a\nsummary = s\nphase_ms = 1s\n", "some.profile:4: phase_ms");
	expect_refused("[profile]\nguest = a\nsummary = s\nphase_ms =\n", "some.profile:4: phase_ms");
}

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	assert_null(fs_write_atomic(path, data, len));
}

static void write_text(const char *dir, const char *name, const char *text)
{
	write_file(dir, name, text, strlen(text));
}

/* A data folder of the test's own: guest "tiny", guest "alien" without a block, four profiles. */
static int make_data(void **state)
{
	char template[] = "/tmp/mvm-test-profile-XXXXXX";
	unsigned char b[MVM_IMAGE_SIZE] = { 0xFA, 0xF4, [510] = 0x55, [511] = 0xAA };
	static const unsigned char block[] = { 'M', 'V', 'M', 'P', MVM_PARAM_VERSION, MVM_PARAM_SIZE, 0, 0,
					       't', 'i', 'n', 'y' };

	if (!mkdtemp(template))
		return -1;
	_cleanup_free_ char *guests = xasprintf("%s/guests", template);
	_cleanup_free_ char *profiles = xasprintf("%s/profiles", template);
	assert_null(fs_mkdirs(guests));
	assert_null(fs_mkdirs(profiles));
	write_file(template, "guests/alien.img", b, sizeof(b));
	memcpy(b + MVM_PARAM_OFFSET, block, sizeof(block));
	b[MVM_PARAM_OFFSET + MVM_PARAM_OFF_SEED] = 9;
	write_file(template, "guests/tiny.img", b, sizeof(b));
	write_text(template, "profiles/b.profile", "[profile]\nguest=tiny\nsummary=the b\nphase_ms=300\n");
	write_text(template, "profiles/a.profile", "[profile]\nguest=tiny\nsummary=the a\nseed=5\n");
	write_text(template, "profiles/c.profile", "[profile]\nguest=nobody\nsummary=the c\n");
	write_text(template, "profiles/d.profile", "[profile]\nguest=alien\nsummary=the d\n");
	write_text(template, "profiles/notes.txt", "not a profile\n");
	setenv("MVMSCALE_DATA", template, 1);
	*state = xstrdup(template);
	return 0;
}

static int remove_data(void **state)
{
	unsetenv("MVMSCALE_DATA");
	fs_remove_tree(*state);
	free(*state);
	return 0;
}

static void test_load(void **state)
{
	_cleanup_(profile_freep) struct profile *by_name = NULL, *by_path = NULL, *none = NULL;
	_cleanup_free_ char *path = xasprintf("%s/profiles/b.profile", (char *)*state);

	assert_null(profile_load("a", &by_name));
	assert_string_equal(by_name->name, "a");
	assert_int_equal(by_name->seed, 5);
	assert_null(profile_load(path, &by_path));
	assert_string_equal(by_path->name, "b");
	assert_int_equal(by_path->phase_ms, 300);

	_cleanup_err_ error *e = profile_load("zzz", &none);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, "unknown profile 'zzz'"));
	assert_non_null(strstr(e->msg, "a b c d"));
	_cleanup_err_ error *e2 = profile_load("zzz.profile", &none);
	assert_non_null(e2);
	assert_non_null(strstr(e2->msg, "cannot read zzz.profile"));
	assert_null(none);
}

static void test_list(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	_cleanup_(profile_list_clear) struct profile_list l = { 0 }, bad = { 0 };

	assert_null(profile_list(&l));
	assert_int_equal(l.count, 4);
	for (size_t i = 0; i < l.count; i++)
		assert_string_equal(l.items[i]->name, names[i]);
	assert_string_equal(l.items[1]->summary, "the b");

	write_text(*state, "profiles/e.profile", "[profile]\nguest=tiny\nsummary=s\nx=1\n");
	_cleanup_err_ error *e = profile_list(&bad);
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "e.profile:4: unknown key 'x'"));
	assert_int_equal(bad.count, 0);
}

static void load_image(const char *profile, struct guest_image *img, error **ret)
{
	_cleanup_(profile_freep) struct profile *p = NULL;

	assert_null(profile_load(profile, &p));
	*ret = image_from_profile(p, img);
}

static void test_image_from_profile(void **state)
{
	_cleanup_err_ error *e = NULL, *unknown = NULL, *alien = NULL;
	struct guest_image img;

	(void)state;
	load_image("a", &img, &e);
	assert_null(e);
	assert_string_equal(img.guest, "tiny");
	assert_int_equal(img.seed, 5);
	assert_int_equal(img.phase_ms, 0);
	/* What the profile does not say stays as the guest was built. */
	load_image("b", &img, &e);
	assert_null(e);
	assert_int_equal(img.seed, 9);
	assert_int_equal(img.phase_ms, 300);

	load_image("c", &img, &unknown);
	assert_non_null(unknown);
	assert_int_equal(unknown->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(unknown->msg, "c.profile"));
	assert_non_null(strstr(unknown->msg, "unknown guest 'nobody'"));
	assert_non_null(strstr(unknown->msg, "alien tiny"));
	load_image("d", &img, &alien);
	assert_non_null(alien);
	assert_non_null(strstr(alien->msg, "no parameter block"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_parameters_refused),
		cmocka_unit_test(test_parameters_set),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test_setup_teardown(test_load, make_data, remove_data),
		cmocka_unit_test_setup_teardown(test_list, make_data, remove_data),
		cmocka_unit_test_setup_teardown(test_image_from_profile, make_data, remove_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
