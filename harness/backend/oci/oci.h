/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_OCI_OCI_H
#define MVM_BACKEND_OCI_OCI_H

/* Private to the oci backend, but for oci_runtime_path(). */

#include "backend/init_program.h"
#include "backend/oci/options.h"
#include "backend/supervisor.h"
#include "base/util.h"

/* The runtime, settled before any container starts. */
struct oci_runtime {
	char *path, *version, *sha256;
	char *root;	     /* its private state folder (--root): it knows no containers but ours */
	struct strlist argv; /* path and options that go before every verb */
	struct strlist envp;
};

/* The program that was asked for, or the first of the usual ones (NULL); NULL when there is none. */
/* Whether one of the usual runtimes is there. */
error *oci_probe(void) ERR_MUST_CHECK;
char *oci_runtime_path(const char *asked);
/* Finds it and asks its version; EXIT_CANNOT with the reason. */
error *oci_runtime_find(const struct backend_config *cfg, struct oci_runtime *ret) ERR_MUST_CHECK;
void oci_runtime_clear(struct oci_runtime *r);
/* An option before the verb, from now on. */
void oci_runtime_option(struct oci_runtime *r, const char *option);

/* What a container is made from: a root file system that all share, read-only, and a bundle for each slot. */
struct oci_bundles {
	char *rootfs;	/* holds init and image only */
	char *dir;	/* bundles are <dir>/<slot> */
	char *hostname; /* of every container */
};
error *oci_bundles_make(const struct backend_config *cfg, const struct init_program *init, unsigned slots,
			struct oci_bundles *ret) ERR_MUST_CHECK;
void oci_bundles_remove(struct oci_bundles *b);
/* The bundle's config.json for one container; cgroup is its cgroupsPath, or NULL for the runtime's own
 * choice. */
error *oci_bundle_write(const struct oci_bundles *b, unsigned slot, const char *cgroup) ERR_MUST_CHECK;
/* The OCI runtime configuration itself; pure. A new reference. */
json_t *oci_config(const char *rootfs, const char *hostname, const char *cgroup);

#endif
