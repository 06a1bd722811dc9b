/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/oci/options.h"

static const struct option_row rows[] = {
	{ "runtime", 0, "PROGRAM", RUN_GROUP_WHAT, OPT_TEXT, offsetof(struct oci_config, runtime),
	  .help = "OCI runtime of --backend oci: runc, crun or a path (default: the first that is installed)" },
};

static error *finish(void *config, struct strlist *kept)
{
	option_keep_program(&((struct oci_config *)config)->runtime, kept);
	return NULL;
}

const struct option_table oci_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.size = sizeof(struct oci_config),
	.finish = finish,
};
