/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal of changed settings: what is taken as one has a list of entries. Nothing is undone here. */
#include "driver.h"
#include "host/journal.h"

static void run(const char *text, size_t len)
{
	json_t *doc = journal_parse(text, len), *entry;
	size_t i;

	if (!doc)
		return;
	fuzz_must(json_is_array(json_object_get(doc, "entries")), "it has no entries");
	fuzz_must(journal_number(doc, "format") == 1, "its format is another");
	journal_is_applied(doc);
	fuzz_must(!journal_same_boot(doc) || *journal_text(doc, "boot_id"),
		  "it is of no boot and of this one");
	json_array_foreach(json_object_get(doc, "entries"), i, entry)
	{
		fuzz_must(journal_text(entry, "kind") && journal_text(entry, "path"),
			  "an entry has no texts");
		journal_number(entry, "time");
	}
	json_decref(doc);
}

static const char *const words[] = {
	"\"format\":1", "\"entries\":[", "\"kind\":\"file\"", "\"path\":\"/\"", "null", "{}", "\\u0000", NULL
};
static const struct fuzz_shape shapes[] = {
	{ "{\"format\":1,\"entries\":[", "{},", "{}]}" },
	{ "", "[", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "journal", .run = run, .words = words, .shapes = shapes, .binary = true
};
