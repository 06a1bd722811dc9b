/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of the libvirt backend that need no libvirt: names, templates, hosts files, placing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "backend/libvirt/host_list.h"
#include "backend/libvirt/name.h"
#include "backend/libvirt/template.h"
#include "base/util.h"

/* The value was made with another implementation of RFC 4122: Python's uuid.uuid5(). */
static void uuid_is_version_5_of_the_name(void **state)
{
	char u[LV_UUID_SIZE];

	(void)state;
	lv_name_uuid("mvmscale-000000000000-1-2-3", u);
	assert_string_equal(u, "1ac81f3b-f9dd-5b41-b561-9e5696ded0ef");
}

static void own_domains_are_known_as_alive(void **state)
{
	_cleanup_free_ char *prefix = lv_name_prefix();
	_cleanup_free_ char *name = xasprintf("%s-12", prefix);
	char u[LV_UUID_SIZE];
	uint32_t number = 0;

	(void)state;
	lv_name_uuid(name, u);
	assert_int_equal(lv_name_owner(name, u), LV_ALIVE);
	assert_true(lv_name_number(prefix, name, &number));
	assert_int_equal(number, 12);
}

static void a_name_without_its_uuid_is_foreign(void **state)
{
	_cleanup_free_ char *prefix = lv_name_prefix();
	_cleanup_free_ char *name = xasprintf("%s-12", prefix);

	(void)state;
	assert_int_equal(lv_name_owner(name, "5d7f3c1a-0e0b-5f0e-9c52-6d766d736361"), LV_FOREIGN);
}

static enum lv_owner owner_of(const char *name)
{
	char u[LV_UUID_SIZE];

	lv_name_uuid(name, u);
	return lv_name_owner(name, u);
}

static void other_names_are_foreign(void **state)
{
	(void)state;
	assert_int_equal(owner_of("ubuntu"), LV_FOREIGN);
	assert_int_equal(owner_of(""), LV_FOREIGN);
	assert_int_equal(owner_of("mvmscale-"), LV_FOREIGN);
	assert_int_equal(owner_of("mvmscale-0000000000-1-2-3"), LV_FOREIGN);
	_cleanup_free_ char *prefix = lv_name_prefix();
	_cleanup_free_ char *longer = xasprintf("%s-12x", prefix);
	assert_int_equal(owner_of(longer), LV_FOREIGN);
}

static void another_machine_is_not_judged(void **state)
{
	_cleanup_free_ char *prefix = lv_name_prefix();
	_cleanup_free_ char *name = xasprintf("%s-12", prefix);

	(void)state;
	char *digit = name + strlen("mvmscale-");
	*digit = *digit == '0' ? '1' : '0';
	assert_int_equal(owner_of(name), LV_ELSEWHERE);
}

static void another_process_or_boot_is_gone(void **state)
{
	_cleanup_free_ char *prefix = lv_name_prefix();
	_cleanup_free_ char *later = xasprintf("%s1-12", prefix); /* another start time */
	_cleanup_free_ char *boot = xasprintf("%s-12", prefix);

	(void)state;
	assert_int_equal(owner_of(later), LV_GONE);
	char *digit = boot + strlen("mvmscale-") + 6;
	*digit = *digit == '0' ? '1' : '0';
	assert_int_equal(owner_of(boot), LV_GONE);
}

static void template_is_filled_and_escaped(void **state)
{
	_cleanup_(lv_template_freep) struct lv_template *t = NULL;
	error *e = lv_template_parse(
		"[template]\nready = running\nmem_kb = 77\n<a n='{name}' u='{uuid}' t='{type}'>{serial}{nothing here}{image}{init}</a>\n",
		"x.domain", &t);

	(void)state;
	assert_null(e);
	assert_false(t->console);
	assert_int_equal(t->mem_kb, 77);
	assert_true(t->uses_accel && t->uses_files && t->uses_init);
	_cleanup_free_ char *xml = lv_template_fill(t, &(struct lv_values){ .name = "n",
									    .uuid = "u",
									    .type = "kvm",
									    .serial = "<s/>",
									    .image = "/a&<'\"b",
									    .init = "/i" });
	assert_string_equal(xml, "<a n='n' u='u' t='kvm'><s/>{nothing here}/a&amp;&lt;&apos;&quot;b/i</a>\n");
}

static void all_that_is_special_in_xml_is_escaped(void **state)
{
	_cleanup_free_ char *text = lv_xml_escaped("/a &<>'\"\n]]>\tb");

	(void)state;
	assert_string_equal(text, "/a &amp;&lt;&gt;&apos;&quot;&#10;]]&gt;&#9;b");
}

static void bad_template(const char *text, const char *complaint)
{
	struct lv_template *t = NULL;
	error *e = lv_template_parse(text, "x.domain", &t);

	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, complaint))
		fail_msg("'%s' lacks '%s'", e->msg, complaint);
	err_free(e);
}

static void bad_templates_are_refused(void **state)
{
	(void)state;
	bad_template("", "no domain XML");
	bad_template("[template]\nready = soon\n<d>{name}{uuid}</d>", "must be console or running");
	bad_template("[template]\ncolour = red\n<d>{name}{uuid}</d>", "colour");
	bad_template("[template]\ntasks = many\n<d>{name}{uuid}</d>", "tasks");
	bad_template("<d>{name}</d>", "{uuid}");
	bad_template("<d>{name}{uuid}{disk}</d>", "{disk}");
}

static void hosts_get_names_from_their_uris(void **state)
{
	static const struct {
		const char *uri, *name;
	} cases[] = {
		{ "qemu+ssh://root@north/system", "north" },
		{ "qemu+tcp://10.0.0.7:16509/system", "10.0.0.7" },
		{ "qemu+tls://[fe80::1]/system", "[fe80::1]" },
		{ "qemu:///embed?root=/x", "qemu" },
		{ "qemu:///session", "qemu-2" },
		{ "test:///default", "test" },
	};
	struct host_list l = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_null(host_list_add(&l, cases[i].uri));
		assert_string_equal(l.items[i].name, cases[i].name);
		assert_int_equal(l.items[i].max, UINT32_MAX);
	}
	host_list_clear(&l);
}

static void hosts_file_is_read(void **state)
{
	struct host_list l = { 0 };

	(void)state;
	assert_null(host_list_parse(
		&l, "; two\n[a]\nuri = qemu+ssh://a/system\nmax = 5\nthreshold = 60\n[b]\nuri = test:///x\n",
		"hosts"));
	assert_int_equal(l.count, 2);
	assert_string_equal(l.items[0].name, "a");
	assert_int_equal(l.items[0].max, 5);
	assert_true(l.items[0].threshold_pct == 60 && l.items[1].threshold_pct == 0);
	assert_string_equal(l.items[1].uri, "test:///x");
	host_list_clear(&l);
}

static void bad_hosts(const char *text, const char *complaint)
{
	struct host_list l = { 0 };
	error *e = host_list_parse(&l, text, "hosts");

	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	if (!strstr(e->msg, complaint))
		fail_msg("'%s' lacks '%s'", e->msg, complaint);
	err_free(e);
	host_list_clear(&l);
}

static void bad_hosts_files_are_refused(void **state)
{
	(void)state;
	bad_hosts("", "names no host");
	bad_hosts("uri = qemu:///system\n", "before the first [host]");
	bad_hosts("[a]\nmax = 5\n", "has no uri");
	bad_hosts("[a]\nuri = qemu:///system\nmax = 0\n", "max");
	bad_hosts("[a]\nuri = qemu:///system\nthreshold = 101\n", "threshold");
	bad_hosts("[a]\nuri = system\n", "no libvirt URI");
	bad_hosts("[a b]\nuri = qemu:///system\n", "blanks");
	bad_hosts("[a]\nuri = qemu:///system\n[b]\nuri = test:///x\n[a]\nuri = qemu:///system\n", "twice");
}

/* Where n VMs go, as digits. */
static void place(enum spread_policy policy, struct spread_host *h, size_t hosts, size_t n, char *ret)
{
	for (size_t i = 0; i < n; i++) {
		int at = spread_next(policy, h, hosts);

		ret[i] = at < 0 ? '-' : (char)('0' + at);
		if (at >= 0)
			h[at].vms++;
	}
	ret[n] = '\0';
}

static void vms_are_placed_by_policy(void **state)
{
	char where[16];

	(void)state;
#define THREE                                   \
	(struct spread_host[])                  \
	{                                       \
		{ 0, 9, 1, 1 }, { 0, 2, 4, 1 }, \
		{                               \
			0, 9, 2, 1              \
		}                               \
	}
	place(SPREAD_EVEN, THREE, 3, 8, where);
	assert_string_equal(where, "01201202");
	place(SPREAD_CAPACITY, THREE, 3, 6, where);
	assert_string_equal(where, "112022");
	place(SPREAD_FILL, (struct spread_host[]){ { 0, 2, 1, 1 }, { 0, 9, 1, 0 }, { 0, 1, 1, 1 } }, 3, 5,
	      where);
	assert_string_equal(where, "002--");
#undef THREE
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuid_is_version_5_of_the_name),
		cmocka_unit_test(own_domains_are_known_as_alive),
		cmocka_unit_test(a_name_without_its_uuid_is_foreign),
		cmocka_unit_test(other_names_are_foreign),
		cmocka_unit_test(another_machine_is_not_judged),
		cmocka_unit_test(another_process_or_boot_is_gone),
		cmocka_unit_test(template_is_filled_and_escaped),
		cmocka_unit_test(all_that_is_special_in_xml_is_escaped),
		cmocka_unit_test(bad_templates_are_refused),
		cmocka_unit_test(hosts_get_names_from_their_uris),
		cmocka_unit_test(hosts_file_is_read),
		cmocka_unit_test(bad_hosts_files_are_refused),
		cmocka_unit_test(vms_are_placed_by_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
