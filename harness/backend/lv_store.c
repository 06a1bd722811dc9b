/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Image and firmware must be files that the host's hypervisor can read. The embedded driver
 * reads ours. Everywhere else they are sent through libvirt itself: into a storage pool, a
 * folder of its own that is named after this run and removed at its end. Its name and UUID
 * belong together as those of our domains do.
 */
#include <libvirt/virterror.h>
#include <string.h>

#include "backend/libvirt.h"
#include "backend/lv_name.h"
#include "base/fs.h"

#define POOL_PARENT "/var/tmp"

static error *make_pool(struct lv_host *h)
{
	struct lv *b = h->lv;
	_cleanup_free_ char *name = xasprintf("%s-%zu", b->prefix, (size_t)(h - b->hosts));
	char uuid[LV_UUID_SIZE];

	lv_name_uuid(name, uuid);
	_cleanup_free_ char *xml = xasprintf("<pool type='dir'><name>%s</name><uuid>%s</uuid><target>"
					     "<path>" POOL_PARENT "/%s</path><permissions><mode>0755</mode>"
					     "</permissions></target></pool>",
					     name, uuid, name);

	h->pool = virStoragePoolCreateXML(h->conn, xml, VIR_STORAGE_POOL_CREATE_WITH_BUILD);
	if (h->pool)
		return NULL;
	return lv_error(EXIT_CANNOT, "libvirt on %s makes no storage pool for the guest's image",
			h->spec->name);
}

static error *send_bytes(struct lv_host *h, virStorageVolPtr vol, const char *data, size_t len)
{
	virStreamPtr st = virStreamNew(h->conn, 0);
	size_t done = 0;

	if (!st || virStorageVolUpload(vol, st, 0, len, 0) < 0)
		goto failed;
	while (done < len) {
		int n = virStreamSend(st, data + done, len - done);

		if (n < 0) {
			virStreamAbort(st);
			goto failed;
		}
		done += (size_t)n;
	}
	if (virStreamFinish(st) < 0)
		goto failed;
	virStreamFree(st);
	return NULL;
failed:;
	error *e = lv_error(EXIT_CANNOT, "cannot send a file to %s", h->spec->name);
	if (st)
		virStreamFree(st);
	return e;
}

/* *ret_path is where the host has it. */
static error *send_file(struct lv_host *h, const char *name, const char *mode, const char *from,
			char **ret_path)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	error *e = fs_read(from, &data, &len);

	if (e)
		return e;
	_cleanup_free_ char *xml = xasprintf("<volume><name>%s</name><capacity>%zu</capacity><target>"
					     "<format type='raw'/><permissions><mode>%s</mode></permissions>"
					     "</target></volume>",
					     name, len, mode);
	virStorageVolPtr vol = virStorageVolCreateXML(h->pool, xml, 0);
	if (!vol)
		return lv_error(EXIT_CANNOT, "libvirt on %s makes no file %s", h->spec->name, name);
	e = send_bytes(h, vol, data, len);
	char *path = e ? NULL : virStorageVolGetPath(vol);
	if (!e && !path)
		e = lv_error(EXIT_CANNOT, "libvirt on %s does not tell where %s is", h->spec->name, name);
	*ret_path = path;
	virStorageVolFree(vol);
	return e;
}

error *lv_store_files(struct lv_host *h)
{
	struct lv *b = h->lv;
	_cleanup_free_ char *init = h->template->uses_init ? fs_find_data("lib", "mvminit") : NULL;

	if (h->template->uses_init && !init)
		return err_new(EXIT_CANNOT,
			       "mvminit is missing beside the program: build or install it again");
	if (h->embed) {
		h->image = xstrdup(b->image_path);
		h->firmware = xstrdup(b->firmware_path);
		h->init = STEAL(init);
		return NULL;
	}
	error *e = make_pool(h);
	if (!e)
		e = send_file(h, "guest.img", "0666", b->image_path, &h->image);
	if (!e)
		e = send_file(h, "firmware.bin", "0666", b->firmware_path, &h->firmware);
	if (!e && init)
		e = send_file(h, "mvminit", "0755", init, &h->init);
	return e;
}

/* A transient pool is forgotten once it is stopped, and only one that libvirt knows loses its folder. */
static bool remove_folder(virConnectPtr conn, virStoragePoolPtr pool)
{
	char *xml = virStoragePoolGetXMLDesc(pool, 0);
	bool done = xml && virStoragePoolDestroy(pool) == 0;
	virStoragePoolPtr known = done ? virStoragePoolDefineXML(conn, xml, 0) : NULL;

	done = known && virStoragePoolDelete(known, 0) == 0;
	if (known) {
		virStoragePoolUndefine(known);
		virStoragePoolFree(known);
	}
	free(xml);
	return done;
}

static bool remove_pool(virConnectPtr conn, virStoragePoolPtr pool)
{
	static const char *const names[] = { "guest.img", "firmware.bin", "mvminit" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		virStorageVolPtr vol = virStorageVolLookupByName(pool, names[i]);

		if (!vol)
			continue;
		virStorageVolDelete(vol, 0);
		virStorageVolFree(vol);
	}
	return remove_folder(conn, pool);
}

void lv_store_remove(struct lv_host *h)
{
	if (h->pool)
		remove_pool(h->conn, h->pool);
	virResetLastError();
}

static error *leftover(virConnectPtr conn, virStoragePoolPtr pool, const char *host, bool remove,
		       struct strlist *said, uint32_t *count)
{
	const char *name = virStoragePoolGetName(pool);
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (!name || virStoragePoolGetUUIDString(pool, uuid) < 0 || lv_name_owner(name, uuid) != LV_GONE)
		return NULL;
	(*count)++;
	if (remove && !remove_pool(conn, pool))
		return lv_error(EXIT_CANNOT, "storage pool %s on %s cannot be removed", name, host);
	strlist_addf(said, "%s %s on %s%s", remove ? "removed storage pool" : "storage pool", name, host,
		     remove ? "" : ", left behind by a run that is gone");
	return NULL;
}

error *lv_store_leftovers(virConnectPtr conn, const char *host, bool remove, struct strlist *said,
			  uint32_t *count)
{
	virStoragePoolPtr *all = NULL;
	int n = virConnectListAllStoragePools(conn, &all, 0);
	error *e = NULL;

	virResetLastError(); /* a driver without storage has none of ours */
	for (int i = 0; i < n; i++) {
		error *one = leftover(conn, all[i], host, remove, said, count);

		if (e)
			err_free(one);
		else
			e = one;
		virStoragePoolFree(all[i]);
	}
	free(all);
	return e;
}
