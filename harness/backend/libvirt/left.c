/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/libvirt/left.h"

#include <libvirt/virterror.h>

#include "backend/libvirt/libvirt.h"
#include "backend/libvirt/name.h"

struct search {
	virConnectPtr conn;
	const char *host;
	bool remove;
	struct strlist *said;
	uint32_t count;
};

static bool is_left(const char *name, const char *uuid)
{
	return name && *uuid && lv_name_owner(name, uuid) == LV_GONE;
}

/* gone: it was to be removed, and was; done says so in a word. */
static error *tell(struct search *s, const char *what, const char *done, const char *name, bool gone)
{
	s->count++;
	if (s->remove && !gone)
		return lv_error(EXIT_CANNOT, "%s %s on %s cannot be %s", what, name, s->host, done);
	strlist_addf(s->said, "%s%s%s %s on %s%s", s->remove ? done : "", s->remove ? " " : "", what, name,
		     s->host, s->remove ? "" : ", left behind by a run that is gone");
	return NULL;
}

static error *search_domains(struct search *s)
{
	virDomainPtr *all = NULL;
	int n = virConnectListAllDomains(s->conn, &all, 0);
	error *e = NULL;

	if (n < 0)
		return lv_error(EXIT_CANNOT, "cannot list the domains on %s", s->host);
	for (int i = 0; i < n; i++) {
		const char *name = virDomainGetName(all[i]);
		char uuid[VIR_UUID_STRING_BUFLEN] = "";

		if (virDomainGetUUIDString(all[i], uuid) == 0 && is_left(name, uuid))
			e = err_first(e, tell(s, "domain", "destroyed", name,
					      s->remove && virDomainDestroy(all[i]) == 0));
		virDomainFree(all[i]);
	}
	free(all);
	return e;
}

static error *search_pools(struct search *s)
{
	virStoragePoolPtr *all = NULL;
	int n = virConnectListAllStoragePools(s->conn, &all, 0);
	error *e = NULL;

	virResetLastError(); /* a driver without storage has none of ours */
	for (int i = 0; i < n; i++) {
		const char *name = virStoragePoolGetName(all[i]);
		char uuid[VIR_UUID_STRING_BUFLEN] = "";

		if (virStoragePoolGetUUIDString(all[i], uuid) == 0 && is_left(name, uuid))
			e = err_first(e, tell(s, "storage pool", "removed", name,
					      s->remove && lv_store_remove_pool(s->conn, all[i])));
		virStoragePoolFree(all[i]);
	}
	free(all);
	return e;
}

error *lv_leftovers(virConnectPtr conn, const char *host, bool remove, struct strlist *said,
		    uint32_t *ret_count)
{
	struct search s = { .conn = conn, .host = host, .remove = remove, .said = said };
	error *e = search_domains(&s);

	e = e ? e : search_pools(&s);
	*ret_count = s.count;
	return e;
}

error *libvirt_leftovers(const char *uri, bool remove, struct strlist *said)
{
	uint32_t count;
	error *e = lv_library(NULL);

	if (e)
		return e;
	virConnectPtr conn = virConnectOpen(uri);
	if (!conn)
		return lv_error(EXIT_CANNOT, "cannot connect to %s", uri);
	e = lv_leftovers(conn, uri, remove, said, &count);
	virConnectClose(conn);
	return e;
}
