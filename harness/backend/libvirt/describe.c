/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What run.json says of the libvirt backend and its hosts. */
#include "backend/libvirt/libvirt.h"

static char *version_text(unsigned long v)
{
	return xasprintf("%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
}

static json_t *describe_host(const struct lv_host *h)
{
	_cleanup_free_ char *hv = version_text(h->version), *lib = version_text(h->libvirt_version);
	bool paused = h->create_flags & VIR_DOMAIN_START_PAUSED;
	bool auto_destroy = h->create_flags & VIR_DOMAIN_START_AUTODESTROY;

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:f,s:f,s:b,s:b,s:b,s:i,s:b}", "name",
			 h->spec->name, "uri", h->spec->uri, "hostname", h->hostname, "hypervisor",
			 h->hypervisor, "hypervisor_version", hv, "libvirt_version", lib, "domain_type",
			 h->type, "accel_note", h->accel_note, "cores", h->cores > 0 ? h->cores : 0,
			 "mem_total_kb", h->mem_total_kb > 0 ? h->mem_total_kb : 0, "starts_paused", paused,
			 "dies_with_connection", auto_destroy, "remote", h->remote, "leftovers",
			 (int)h->leftovers, "starts_in_cgroup", h->wrapper != NULL);
}

void lv_identify(struct lv *b)
{
	b->version = version_text(b->hosts[0].version);
	for (size_t i = 0; i < b->host_count; i++)
		if (b->hosts[i].leftovers)
			strlist_addf(
				&b->notes,
				"%u domains and storage pools of runs that are gone are left on %s: 'mvmscale doctor --restore --connect %s' removes them",
				b->hosts[i].leftovers, b->hosts[i].spec->name, b->hosts[i].spec->uri);
}

struct backend_facts lv_facts(struct backend *base)
{
	const struct lv *b = (const struct lv *)base;
	const struct lv_host *h = &b->hosts[0];

	return (struct backend_facts){
		.version = b->version,
		.accel = str_eq(h->type, "kvm")	   ? "kvm"
			 : str_eq(h->type, "qemu") ? "tcg"
						   : "driver",
		.accel_note = h->accel_note,
		.machine = h->template->name,
		.proof = h->template->console
				 ? "each VM is a transient domain of libvirt that booted its guest"
				 : "libvirt says that the domain runs; its guest is not heard",
		.notes = &b->notes
	};
}

json_t *lv_details(const struct backend *base)
{
	const struct lv *b = (const struct lv *)base;
	_cleanup_free_ char *binding = NULL;
	json_t *hosts = json_array();
	unsigned long client = 0;

	virGetVersion(&client, NULL, NULL);
	binding = version_text(client);
	for (size_t i = 0; i < b->host_count; i++)
		json_array_append_new(hosts, describe_host(&b->hosts[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:o}", "libvirt", binding, "template", b->hosts[0].template->xml,
			 "place", spread_names[b->own.place], "domain_prefix", b->prefix, "hosts", hosts);
}
