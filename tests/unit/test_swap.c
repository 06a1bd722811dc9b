/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/swap.h"

static void sizes_are_read(void **state)
{
	struct swap_spec s;

	(void)state;
	assert_null(swap_parse("4G", &s));
	assert_false(s.zram);
	assert_int_equal(s.bytes, 4ULL << 30);
	assert_null(swap_parse("zram:512M", &s));
	assert_true(s.zram);
	assert_int_equal(s.bytes, 512ULL << 20);
}

static void other_sizes_are_refused(void **state)
{
	static const char *const wrong[] = { "",      "4",    "G",	  "4X",	 "-1G", "zram",
					     "zram:", "512K", "9999999T", "17T", "4 G" };
	struct swap_spec s;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		error *e = swap_parse(wrong[i], &s);

		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		assert_non_null(strstr(e->msg, "needs a size"));
		err_free(e);
	}
}

/* What mkswap writes for 1 MiB of 4 KiB pages: version 1, last page 255, the magic at the page's end. */
static void header_is_as_the_kernel_reads_it(void **state)
{
	static const unsigned char uuid[16] = { 1, 2, 3, [15] = 16 };
	unsigned char page[4096];
	uint32_t version, last;

	(void)state;
	memset(page, 0xff, sizeof(page));
	swap_header(page, sizeof(page), 1 << 20, uuid);
	memcpy(&version, page + 1024, 4);
	memcpy(&last, page + 1028, 4);
	assert_int_equal(version, 1);
	assert_int_equal(last, 255);
	assert_memory_equal(page + 1036, uuid, 16);
	assert_memory_equal(page + 4086, "SWAPSPACE2", 10);
	assert_int_equal(page[0] | page[1032] | page[1100] | page[4085], 0);
	char label[SWAP_LABEL_SIZE];
	swap_label(page, sizeof(page), label);
	assert_string_equal(label, "01020300000000000000000000000010");
	page[4095] = 'x';
	swap_label(page, sizeof(page), label);
	assert_string_equal(label, "");
}

/* Names as a whole, with the kernel's octal escapes, and deleted files told from others. */
static void names_in_proc_swaps_are_matched_whole(void **state)
{
	static const char swaps[] = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
				    "/var/tmp/mvmscale-swap.123              file\t\t65532\t\t0\t\t-2\n"
				    "/var/tmp/with\\040blank\\134            file\t\t65532\t\t0\t\t-3\n"
				    "/var/tmp/gone\\040(deleted)             file\t\t65532\t\t0\t\t-4\n"
				    "/dev/zram10                             partition\t1\t0\t-5\n";
	static const struct {
		const char *path;
		enum swap_use use;
	} cases[] = {
		{ "/var/tmp/mvmscale-swap.123", SWAP_USED },
		{ "/var/tmp/mvmscale-swap.12", SWAP_UNUSED },
		{ "/var/tmp/mvmscale-swap.1234", SWAP_UNUSED },
		{ "/mvmscale-swap.123", SWAP_UNUSED },
		{ "/var/tmp/with blank\\", SWAP_USED },
		{ "/var/tmp/with", SWAP_UNUSED },
		{ "/var/tmp/gone", SWAP_DELETED },
		{ "/var/tmp/gon", SWAP_UNUSED },
		{ "/dev/zram1", SWAP_UNUSED },
		{ "/dev/zram10", SWAP_USED },
		{ "file", SWAP_UNUSED },
		{ "", SWAP_UNUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(swaps_list(swaps, cases[i].path), cases[i].use);
		assert_int_equal(swaps_list("", cases[i].path), SWAP_UNUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(other_sizes_are_refused),
		cmocka_unit_test(header_is_as_the_kernel_reads_it),
		cmocka_unit_test(names_in_proc_swaps_are_matched_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
