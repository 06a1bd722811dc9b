/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/libvirt/options.h"

#include <string.h>

#include "backend/qemu/options.h"

#define AT(field) offsetof(struct libvirt_config, field)
#define GROUP "Only for --backend libvirt:"

static error *take_host(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	return host_list_add(&((struct libvirt_config *)config)->hosts, arg);
}

static error *take_hosts(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	return host_list_load(&((struct libvirt_config *)config)->hosts, arg);
}

static error *take_place(const struct option_row *o, const char *arg, void *config)
{
	struct libvirt_config *c = config;

	(void)o;
	for (c->place = 0; !str_eq(arg, spread_names[c->place]);)
		c->place++;
	c->place_given = true;
	return NULL;
}

static const struct option_row rows[] = {
	QEMU_ROW_QEMU(struct libvirt_config),
	QEMU_ROW_ACCEL(struct libvirt_config),
	{ "connect", 0, "URI", GROUP, OPT_ANY, AT(hosts),
	  .help = "Libvirt host; given several times, one ramp is spread over all (default: a private libvirt on this machine)",
	  .take = take_host },
	{ "hosts", 0, "FILE", GROUP, OPT_ANY, AT(hosts),
	  .help = "Libvirt hosts from a file: a section per host with uri and max", .take = take_hosts },
	{ "place", 0, "HOW", GROUP, OPT_WORD, AT(place),
	  .help = "How VMs are spread: even (as many on each), capacity (by memory) or fill (one host after another; default even)",
	  .words = "even capacity fill", .take = take_place },
	{ "template", 0, "NAME|FILE", GROUP, OPT_TEXT, AT(template),
	  .help = "How a domain looks instead of the driver's own template; see docs/libvirt.md" },
};

static error *finish(void *config, struct strlist *kept)
{
	struct libvirt_config *c = config;

	if (c->place_given && c->hosts.count < 2)
		return err_new(EXIT_BAD_INPUT,
			       "--place needs several hosts: --connect URI twice or --hosts FILE");
	/* a QEMU of other hosts is theirs to find */
	if (c->qemu && (!c->hosts.count || strchr(c->qemu, '/')))
		option_keep_program(&c->qemu, kept);
	return NULL;
}

static void clear(void *config)
{
	host_list_clear(&((struct libvirt_config *)config)->hosts);
}

static const struct libvirt_config defaults = { .accel = "auto" };

const struct option_table libvirt_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.size = sizeof(struct libvirt_config),
	.defaults = &defaults,
	.instead = "its domains are made from a --template",
	.finish = finish,
	.clear = clear,
};
