/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/libvirt/name.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "host/journal.h"

#define TAG 6 /* hexadecimal digits that stand for a machine or a boot */

/* 5d7f3c1a-0e0b-5f0e-9c52-6d766d736361: drawn once, never to change. */
static const unsigned char namespace_uuid[16] = { 0x5d, 0x7f, 0x3c, 0x1a, 0x0e, 0x0b, 0x5f, 0x0e,
						  0x9c, 0x52, 0x6d, 0x76, 0x6d, 0x73, 0x63, 0x61 };

static void tag_of(const char *text, char ret[TAG + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL);
	for (int i = 0; i < TAG / 2; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* Machine, with its hostname and our pid namespace: two containers are two machines. */
static void here(const json_t *me, char machine[TAG + 1], char boot[TAG + 1])
{
	_cleanup_free_ char *id = NULL;
	_cleanup_err_ error *e = fs_read("/etc/machine-id", &id, NULL);
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	_cleanup_free_ char *all = xasprintf("%s|%s|%s", id ? id : "", host, journal_text(me, "pid_ns"));
	tag_of(all, machine);
	tag_of(journal_text(me, "boot_id"), boot);
}

char *lv_name_prefix(void)
{
	json_auto_t *me = journal_new(false);
	char machine[TAG + 1], boot[TAG + 1];

	here(me, machine, boot);
	return xasprintf("mvmscale-%s%s-%lld-%lld", machine, boot, (long long)journal_number(me, "pid"),
			 (long long)journal_number(me, "start"));
}

void lv_name_uuid(const char *name, char ret[LV_UUID_SIZE])
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	unsigned char u[EVP_MAX_MD_SIZE] = { 0 };
	unsigned len = 0;

	EVP_DigestInit_ex(sha, EVP_sha1(), NULL);
	EVP_DigestUpdate(sha, namespace_uuid, sizeof(namespace_uuid));
	EVP_DigestUpdate(sha, name, strlen(name));
	EVP_DigestFinal_ex(sha, u, &len);
	EVP_MD_CTX_free(sha);
	u[6] = (unsigned char)((u[6] & 0x0f) | 0x50);
	u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
	snprintf(ret, LV_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
		 u[14], u[15]);
}

bool lv_name_number(const char *prefix, const char *name, uint32_t *ret)
{
	size_t n = strlen(prefix);
	long number = 0;

	if (!str_starts(name, prefix) || name[n] != '-' || !parse_long(name + n + 1, 0, UINT32_MAX, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

enum lv_owner lv_name_owner(const char *name, const char *uuid)
{
	char machine[TAG + 1], boot[TAG + 1], of_machine[TAG + 1], of_boot[TAG + 1], want[LV_UUID_SIZE];
	long long pid = 0, start = 0;
	unsigned number = 0;
	int end = 0;

	lv_name_uuid(name, want);
	if (sscanf(name, "mvmscale-%6[0-9a-f]%6[0-9a-f]-%lld-%lld-%u%n", of_machine, of_boot, &pid, &start,
		   &number, &end) != 5 ||
	    name[end] || strlen(of_boot) != TAG || !str_eq(uuid, want))
		return LV_FOREIGN;
	json_auto_t *doc = journal_new(false);
	here(doc, machine, boot);
	if (!str_eq(machine, of_machine))
		return LV_ELSEWHERE;
	if (!str_eq(boot, of_boot))
		return LV_GONE;
	json_object_set_new(doc, "pid", json_integer(pid));
	json_object_set_new(doc, "start", json_integer(start));
	return journal_owner_lives(doc) ? LV_ALIVE : LV_GONE;
}
