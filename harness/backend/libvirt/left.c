/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/libvirt/left.h"
#include "backend/libvirt/libvirt.h"
#include "backend/libvirt/name.h"

static error *list_one(virDomainPtr dom, const char *host, bool remove, struct strlist *said, uint32_t *count)
{
	const char *name = virDomainGetName(dom);
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (!name || virDomainGetUUIDString(dom, uuid) < 0 || lv_name_owner(name, uuid) != LV_GONE)
		return NULL;
	(*count)++;
	if (remove && virDomainDestroy(dom) < 0)
		return lv_error(EXIT_CANNOT, "domain %s on %s cannot be destroyed", name, host);
	strlist_addf(said, "%s %s on %s%s", remove ? "destroyed domain" : "domain", name, host,
		     remove ? "" : ", left behind by a run that is gone");
	return NULL;
}

error *lv_leftovers(virConnectPtr conn, const char *host, bool remove, struct strlist *said,
		    uint32_t *ret_count)
{
	virDomainPtr *all = NULL;
	int n = virConnectListAllDomains(conn, &all, 0);
	error *e = NULL;

	*ret_count = 0;
	if (n < 0)
		return lv_error(EXIT_CANNOT, "cannot list the domains on %s", host);
	for (int i = 0; i < n; i++) {
		e = err_first(e, list_one(all[i], host, remove, said, ret_count));
		virDomainFree(all[i]);
	}
	free(all);
	return e ? e : lv_store_leftovers(conn, host, remove, said, ret_count);
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
