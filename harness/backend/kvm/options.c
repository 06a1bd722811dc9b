/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/options.h"

#include "backend/qemu/options.h"

#define AT(field) offsetof(struct kvm_config, field)
#define GROUP "Only for --backend kvm:"

static const struct option_row rows[] = {
	QEMU_ROW_ACCEL(struct kvm_config),
	{ "shard", 0, "N", GROUP, OPT_WHOLE, AT(shard), .help = "VMs in one runner process (default 250)",
	  .min = 1, .max = 1000000 },
	{ "no-kvm-debugfs", 0, NULL, GROUP, OPT_FLAG, AT(no_debugfs),
	  .help = "Spare the kernel its statistics files for each VM" },
};

static error *finish(void *config, struct strlist *kept)
{
	const struct kvm_config *c = config;

	(void)kept;
	if (!c->accel || str_eq(c->accel, "kvm"))
		return NULL;
	return err_new(EXIT_BAD_INPUT, "backend kvm is always under KVM: --accel %s cannot be used",
		       c->accel);
}

const struct option_table kvm_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.size = sizeof(struct kvm_config),
	.finish = finish,
};
