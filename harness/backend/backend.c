/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/backend.h"

#include <string.h>

#include "base/util.h"

const char *const launch_names[LAUNCH_AUTO + 1] = {
	[LAUNCH_EXEC] = "exec", [LAUNCH_FORK] = "fork", [LAUNCH_CLONE] = "clone", [LAUNCH_AUTO] = "auto"
};

const char *const backend_capability_names[BACKEND_CAPABILITY_COUNT] = {
#define CAPABILITY_NAME(sym, name, meaning) name,
	BACKEND_CAPABILITIES(CAPABILITY_NAME)
#undef CAPABILITY_NAME
};

const char *const host_state_names[HOST_LOST + 1] = {
	[HOST_UP] = "up", [HOST_FULL] = "full", [HOST_LOST] = "lost"
};

const struct backend_ops *const backends[] = {
	&backend_qemu, &backend_kvm, &backend_libvirt, &backend_process, &backend_oci, &backend_null, NULL
};

const struct backend_ops *backend_find(const char *name)
{
	for (size_t i = 0; backends[i]; i++)
		if (str_eq(backends[i]->name, name))
			return backends[i];
	return NULL;
}

error *backend_choose(const char *name, const struct backend_ops **ret)
{
	_cleanup_(strlist_clear) struct strlist names = { 0 };

	*ret = backend_find(name);
	if (*ret)
		return NULL;
	for (size_t i = 0; backends[i]; i++)
		strlist_add(&names, backends[i]->name);
	_cleanup_free_ char *known = strlist_join(&names);
	return err_new(EXIT_BAD_INPUT, "--backend %s: unknown; known are %s", name, known);
}

json_t *backend_strings(const struct strlist *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(a, json_string(l->items[i]));
	return a;
}

json_t *backend_describe(struct backend *b)
{
	struct backend_facts f = b->ops->facts(b);
	json_t *j = json_pack("{s:s,s:s*,s:s,s:s*,s:s,s:s*,s:s,s:{s:s,s:s},s:o*,s:o*}", "name", b->ops->name,
			      "binary", f.binary, "version", f.version, "sha256", f.sha256, "accel", f.accel,
			      "accel_note", f.accel_note, "machine", f.machine, "launch", "mode",
			      launch_names[f.launch], "note", f.proof, "tuning",
			      f.tuning ? tuning_json(f.tuning) : NULL, "notes",
			      f.notes ? backend_strings(f.notes) : NULL);
	json_t *details = b->ops->details ? b->ops->details(b) : NULL;

	if (details)
		json_object_update(j, details);
	json_decref(details);
	return j;
}

error *backend_check_table(void)
{
	for (size_t i = 0; backends[i]; i++) {
		const struct backend_ops *o = backends[i];

		if (!o->name || !o->summary || !o->needs || !o->open || !o->start || !o->room || !o->poll ||
		    !o->stop_all || !o->close || !o->cost || !o->facts ||
		    (!o->ask && (o->flags & BACKEND_WAKE)) ||
		    (!o->synthetic && (o->flags & BACKEND_SYNTHETIC)))
			return err_new(EXIT_CANNOT,
				       "backend number %zu (%s) is incomplete in the table of backends", i,
				       o->name ? o->name : "no name");
		if (backend_find(o->name) != o)
			return err_new(EXIT_CANNOT, "two backends are called '%s'", o->name);
	}
	return NULL;
}
