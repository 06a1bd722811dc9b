/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "plan/journal.h"
#include "plan/settings.h"

/* Killed between writing a journal and giving it its name: it was not in force yet. */
static void half_written_journal_is_removed(void **state)
{
	char dir[] = "/tmp/mvm-test-journal-XXXXXX";
	struct strlist said = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *folder = xasprintf("%s/state", dir);
	_cleanup_free_ char *half = xasprintf("%s/restore-1.json.tmp", folder);
	_cleanup_free_ char *other = xasprintf("%s/restore-1.json.tmp.mine", folder);
	setenv("MVMSCALE_STATE", folder, 1);
	assert_null(journal_make_folder(folder));
	assert_null(fs_write_atomic(half, "{\"format\": 1, \"ent", 18));
	assert_null(fs_write_atomic(other, "x", 1));
	assert_null(settings_recover(&said));
	assert_int_equal(said.count, 0);
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	fs_remove_tree(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(half_written_journal_is_removed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
