/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <numaif.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/affinity.h"

static void bad(error *e, enum exit_code code, const char *part)
{
	assert_non_null(e);
	assert_int_equal(e->code, code);
	if (!strstr(e->msg, part))
		fail_msg("'%s' lacks '%s'", e->msg, part);
	err_free(e);
}

static void lists_parse_and_print(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "0", "0" }, { "0-3", "0-3" }, { "3,1,2", "1-3" }, { "0-6:2,9", "0,2,4,6,9" }, { "15", "15" }
	};
	unsigned char set[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_null(cpulist_parse(cases[i].in, "list", sizeof(set), set));
		_cleanup_free_ char *text = cpulist_text(set, sizeof(set));
		assert_string_equal(text, cases[i].out);
	}
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const cases[] = { "",    "a",  "1,",	   ",1",   "3-1",
					     "0-",  "-3", "16",	   "0-16", "1 2",
					     "0x1", "1-", "0-3:0", "0-3:", "99999999999999999999" };
	unsigned char set[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bad(cpulist_parse(cases[i], "list", sizeof(set), set), EXIT_BAD_INPUT, "list '");
}

/* Two nodes with CPUs 0-3 and 4-7, the fifth of which we may not use. */
static struct affinity_map two_nodes(void)
{
	struct affinity_map h = { .numa = true, .node = { 1, 1 } };

	for (int cpu = 0; cpu < 8; cpu++) {
		h.node_of[cpu] = (short)(cpu / 4);
		if (cpu != 5)
			CPU_SET((size_t)cpu, &h.cpus);
	}
	return h;
}

static int only_cpu(const struct placement *p, uint32_t vm)
{
	struct binding b;

	placement_of(p, vm, &b);
	assert_true(b.pinned);
	assert_int_equal(CPU_COUNT(&b.cpus), 1);
	for (int cpu = 0;; cpu++)
		if (CPU_ISSET((size_t)cpu, &b.cpus))
			return cpu;
}

static void spread_goes_round_the_nodes(void **state)
{
	static const int wanted[] = { 0, 4, 1, 6, 2, 7, 3, 0, 4 };
	struct affinity_map h = two_nodes();
	struct placement p;

	(void)state;
	assert_null(placement_make("spread", NULL, &h, 100, &p));
	for (uint32_t i = 0; i < ARRAY_LEN(wanted); i++)
		assert_int_equal(only_cpu(&p, i), wanted[i]);
	placement_clear(&p);
}

static void pack_fills_one_after_the_other(void **state)
{
	struct affinity_map h = two_nodes();
	unsigned count[8] = { 0 };
	struct placement p;
	int last = 0;

	(void)state;
	assert_null(placement_make("pack", NULL, &h, 70, &p));
	for (uint32_t i = 0; i < 70; i++) {
		int cpu = only_cpu(&p, i);

		assert_true(cpu >= last);
		last = cpu;
		count[cpu]++;
	}
	for (int cpu = 0; cpu < 8; cpu++)
		assert_int_equal(count[cpu], cpu == 5 ? 0 : 10);
	/* a replacement beyond the population goes round again */
	assert_int_equal(only_cpu(&p, 70), 0);
	placement_clear(&p);
}

static void a_list_of_cpus_is_for_all(void **state)
{
	struct affinity_map h = two_nodes();
	struct placement p;
	struct binding b;

	(void)state;
	assert_null(placement_make("2,6-7", "local", &h, 10, &p));
	placement_of(&p, 9, &b);
	assert_int_equal(CPU_COUNT(&b.cpus), 3);
	assert_true(b.policy_set);
	placement_clear(&p);
	bad(placement_make("4-5", NULL, &h, 10, &p), EXIT_CANNOT, "CPU 5");
	placement_clear(&p);
	bad(placement_make("some", NULL, &h, 10, &p), EXIT_BAD_INPUT, "spread, pack");
	placement_clear(&p);
}

static void memory_follows_the_policy(void **state)
{
	struct affinity_map h = two_nodes();
	struct placement p;
	struct binding b;

	(void)state;
	assert_null(placement_make(NULL, "interleave", &h, 10, &p));
	placement_of(&p, 3, &b);
	assert_false(b.pinned);
	assert_int_equal(b.policy, MPOL_INTERLEAVE);
	assert_int_equal(b.nodes[0], 3);
	_cleanup_free_ char *nodes = binding_nodes_text(&b), *cpus = binding_cpus_text(&b);
	assert_string_equal(nodes, "0-1");
	assert_string_equal(cpus, "");
	placement_clear(&p);
	assert_null(placement_make("none", "1", &h, 10, &p));
	placement_of(&p, 3, &b);
	assert_int_equal(b.policy, MPOL_BIND);
	assert_int_equal(b.nodes[0], 2);
	placement_clear(&p);
	bad(placement_make(NULL, "0-2", &h, 10, &p), EXIT_CANNOT, "node 2");
	placement_clear(&p);
	bad(placement_make(NULL, "near", &h, 10, &p), EXIT_BAD_INPUT, "interleave, local");
	placement_clear(&p);
	h.numa = false;
	bad(placement_make(NULL, "local", &h, 10, &p), EXIT_CANNOT, "no memory policies");
	placement_clear(&p);
	assert_null(placement_make("spread", "none", &h, 10, &p));
	placement_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_parse_and_print),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(spread_goes_round_the_nodes),
		cmocka_unit_test(pack_fills_one_after_the_other),
		cmocka_unit_test(a_list_of_cpus_is_for_all),
		cmocka_unit_test(memory_follows_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
