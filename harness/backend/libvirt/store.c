/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Image and firmware must be files that the host's hypervisor can read. The embedded driver
 * reads ours. Everywhere else they are sent through libvirt itself: into a storage pool, a
 * folder of its own that is named after this run and removed at its end. Its name and UUID
 * belong together as those of our domains do.
 */
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <sys/random.h>

#include "backend/libvirt/libvirt.h"
#include "backend/libvirt/name.h"
#include "base/fs.h"

#define POOL_PARENT "/var/tmp"
#define PAGE 4096

/* Whom QEMU runs as there: what libvirt tells of its DAC labels ("+64055:+64055"). A daemon that has no such
 * label runs it as itself: that of an ordinary user, or of containers. */
static void learn_owner(struct lv_host *h)
{
	char *caps = virConnectGetCapabilities(h->conn);
	const char *dac = caps ? strstr(caps, "<model>dac</model>") : NULL;
	const char *label = dac ? strstr(dac, "<baselabel") : NULL;

	h->has_owner = label && (label = strchr(label, '>')) &&
		       sscanf(label + 1, "+%u:+%u", &h->owner_uid, &h->owner_gid) == 2;
	free(caps);
	virResetLastError();
}

/* Nobody else on that host is to read it, and not even QEMU to change what it need not. */
static char *permissions(const struct lv_host *h, const char *mode)
{
	return h->has_owner
		       ? xasprintf(
				 "<permissions><mode>%s</mode><owner>%u</owner><group>%u</group></permissions>",
				 mode, h->owner_uid, h->owner_gid)
		       : xasprintf("<permissions><mode>%s</mode></permissions>", mode);
}

/* Others may write in its parent, and libvirt follows a link that is there already: so its name cannot be
 * known. */
static error *pool_path(const char *name, char **ret)
{
	unsigned long long random = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(EXIT_CANNOT, errno, "no random number for the name of a storage pool");
	*ret = xasprintf(POOL_PARENT "/%s-%016llx", name, random);
	return NULL;
}

static error *make_pool(struct lv_host *h)
{
	struct lv *b = h->lv;
	_cleanup_free_ char *name = xasprintf("%s-%zu", b->prefix, (size_t)(h - b->hosts)), *path = NULL;
	char uuid[LV_UUID_SIZE];
	error *e = pool_path(name, &path);

	if (e)
		return e;
	learn_owner(h);
	lv_name_uuid(name, uuid);
	_cleanup_free_ char *rights = permissions(h, "0700");
	_cleanup_free_ char *xml = xasprintf(
		"<pool type='dir'><name>%s</name><uuid>%s</uuid><target><path>%s</path>%s</target></pool>",
		name, uuid, path, rights);

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

/* Disks of large sectors, and file systems in memory, let QEMU write to whole pages only. */
static void fill_page(char **data, size_t *len)
{
	size_t whole = (*len + PAGE - 1) / PAGE * PAGE;

	*data = xrealloc(*data, whole, 1);
	memset(*data + *len, 0, whole - *len);
	*len = whole;
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
	fill_page(&data, &len);
	_cleanup_free_ char *rights = permissions(h, mode);
	_cleanup_free_ char *xml = xasprintf(
		"<volume><name>%s</name><capacity>%zu</capacity><target><format type='raw'/>%s</target></volume>",
		name, len, rights);
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
	/* a disk is opened for writing, shared or not; so is what libvirt itself is to fill, where it is no
	 * root */
	if (!e)
		e = send_file(h, "guest.img", "0600", b->image_path, &h->image);
	if (!e)
		e = send_file(h, "firmware.bin", "0600", b->firmware_path, &h->firmware);
	if (!e && init)
		e = send_file(h, "mvminit", "0700", init, &h->init);
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

bool lv_store_remove_pool(virConnectPtr conn, virStoragePoolPtr pool)
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
		lv_store_remove_pool(h->conn, h->pool);
	virResetLastError();
}
