/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/console.h"

#include <string.h>

#include "base/text.h"
#include "base/util.h"

#define TAIL_LINES 12
#define PANIC "Kernel panic - not syncing: "

/* From the kernel's own messages; the first that the text holds counts. */
static const struct {
	const char *words, *advice;
} causes[] = {
	{ "Initramfs unpacking failed",
	  "the memory does not hold the initramfs, or the kernel does not know its format: raise --memory; it needs CONFIG_BLK_DEV_INITRD" },
	{ "System is deadlocked on memory", "the memory is too little: raise --memory" },
	{ "Out of memory",
	  "the memory is too little: raise --memory, or stop the run sooner (--max, --threshold)" },
	{ "Unable to mount root fs",
	  "the kernel did not take the initramfs: it needs CONFIG_BLK_DEV_INITRD, and no other rdinit in --append" },
	{ "No working init found",
	  "the kernel could not start a program: it needs CONFIG_BINFMT_ELF and CONFIG_64BIT" },
	{ "(error -8)", "the kernel could not start a program: it needs CONFIG_BINFMT_ELF and CONFIG_64BIT" },
};

static char *line_at(const char *at)
{
	return xasprintf("%.*s", (int)strcspn(at, "\r\n"), at);
}

char *console_cause(const char *text)
{
	const char *panic = strstr(text, PANIC);
	_cleanup_free_ char *words = panic ? line_at(panic + strlen(PANIC)) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		if (strstr(text, causes[i].words))
			return xasprintf("%s%s%s", panic ? words : "", panic ? "; " : "", causes[i].advice);
	return panic ? xasprintf("it panicked: %s", words) : NULL;
}

char *console_tail(const char *text)
{
	size_t len = strlen(text), lines = 0, from;
	char *tail, *to;

	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	for (from = len; from; from--)
		if (text[from - 1] == '\n' && ++lines == TAIL_LINES)
			break;
	to = tail = xasprintf("%.*s", (int)(len - from), text + from);
	for (const char *at = tail; *at; at++)
		if (*at == '\n' || *at == '\t' || ((unsigned char)*at >= ' ' && *at != 0x7f))
			*to++ = *at;
	*to = '\0';
	text_clean(tail);
	return tail;
}
