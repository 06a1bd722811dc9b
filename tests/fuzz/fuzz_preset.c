/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Presets: what is accepted can be launched as far as its words go. */
#include "backend/qemu/preset.h"
#include "driver.h"

static void run(const char *text, size_t len)
{
	struct preset *p = NULL;

	(void)len;
	if (fuzz_refused(preset_parse(text, "dir/x.preset", &p), "dir/x.preset"))
		return;
	fuzz_must(str_eq(p->name, "x"), "the name is '%s'", p->name);
	fuzz_must(str_eq(p->prefer, "kvm") || str_eq(p->prefer, "tcg"), "prefer is '%s'", p->prefer);
	fuzz_must(p->accel[ACCEL_TCG].present || p->accel[ACCEL_KVM].present, "it has no accelerator");
	for (enum accel a = 0; a < ACCEL_COUNT; a++) {
		const struct preset_accel *x = &p->accel[a];

		fuzz_must(!x->present ||
				  (x->binary && x->args && x->tasks > 0 && x->fds > 0 && x->mem_kb > 0),
			  "[%s] lacks something", accel_names[a]);
	}
	preset_free(p);
}

static const char *const words[] = {
	"[preset]\n",	    "[tcg]\n",	  "[kvm]\n",	   "launch = clone\n", "binary = q\n",
	"args = {image}\n", "{firmware}", "boot = disk\n", "mem_kb",	       NULL
};
static const struct fuzz_shape shapes[] = {
	{ "[tcg]\nargs = {image}", "\n -x", "\nbinary = q\nboot = disk\n" },
	{ "[tcg]\nargs = {image}\nboot = disk\n", "binary = q\n", "" },
	{ "", "[a]\nb = c\n", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = { .name = "preset", .run = run, .words = words, .shapes = shapes };
