/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/options.h"

#include "backend/qemu/tune.h"
#include "base/fs.h"

#define AT(field) offsetof(struct qemu_config, field)

static error *take_machine(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	if (!*arg || *arg == ',')
		return err_new(
			EXIT_BAD_INPUT,
			"--machine '%s': name a machine type first; 'qemu-system-x86_64 -machine help' lists them",
			arg);
	((struct qemu_config *)config)->machine = arg;
	return NULL;
}

static error *take_launch(const struct option_row *o, const char *arg, void *config)
{
	struct qemu_config *c = config;

	(void)o;
	for (c->launch = 0; !str_eq(arg, launch_names[c->launch]);)
		c->launch++;
	return NULL;
}

static const struct option_row rows[] = {
	QEMU_ROW_QEMU(struct qemu_config),
	QEMU_ROW_ACCEL(struct qemu_config),
	{ "preset", 0, "NAME|FILE", RUN_GROUP_WHAT, OPT_TEXT, AT(preset_name),
	  .help = "How QEMU is run; see 'mvmscale list presets' (default dense)", .key = OPT_KEY,
	  .file = ".preset" },
	{ "machine", 0, "TYPE", RUN_GROUP_WHAT, OPT_ANY, AT(machine),
	  .help = "QEMU machine type to test instead of the preset's, such as isapc or pc,usb=off",
	  .take = take_machine, .why = "only --backend qemu has machine types" },
	{ "tune", 0, "+NAME,-NAME", RUN_GROUP_LAUNCH, OPT_ANY, AT(tune),
	  .help = "Add or leave out density techniques of the preset; see 'mvmscale list techniques'",
	  .key = OPT_KEY },
	{ "launch", 0, "MODE", RUN_GROUP_LAUNCH, OPT_WORD, AT(launch),
	  .help = "How a VM comes to be: exec, fork or clone (default auto: as the preset says)",
	  .words = "auto exec fork clone", .take = take_launch, .silent = "auto", .key = OPT_KEY },
};

/* Changes of techniques are checked before anything is tried. */
static error *finish(void *config, struct strlist *kept)
{
	struct qemu_config *c = config;
	struct tuning t;
	error *e = tuning_parse("", c->tune, &t);

	tuning_clear(&t);
	option_keep_program(&c->qemu, kept);
	return e;
}

static const struct qemu_config defaults = { .preset_name = "dense", .accel = "auto", .launch = LAUNCH_AUTO };

const struct option_table qemu_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.size = sizeof(struct qemu_config),
	.defaults = &defaults,
	.finish = finish,
};
