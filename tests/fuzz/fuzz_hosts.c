/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of hosts, and URIs as --connect has them: names are unique and fit for a table. */
#include <string.h>

#include "backend/libvirt/host_list.h"
#include "driver.h"

static void check(const struct host_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct fleet_host *h = &l->items[i];

		fuzz_must(*h->name && !strpbrk(h->name, ",\" \t\n"), "a host is named '%s'", h->name);
		fuzz_must(strstr(h->uri, "://") != NULL, "a URI is '%s'", h->uri);
		fuzz_must(h->max > 0 && h->threshold_pct >= 0 && h->threshold_pct <= 100,
			  "a limit is out of range");
		for (size_t k = 0; k < i && l->count < 100; k++)
			fuzz_must(!str_eq(l->items[k].name, h->name), "two hosts are named '%s'", h->name);
	}
}

static void run(const char *text, size_t len)
{
	struct host_list l = { 0 };

	if (!fuzz_refused(host_list_parse(&l, text, "x.hosts"), "x.hosts"))
		check(&l);
	host_list_clear(&l);
	if (len < FUZZ_INPUT_MAX && !strchr(text, '\n')) {
		if (!fuzz_refused(host_list_add(&l, text), "libvirt URI") &&
		    !fuzz_refused(host_list_add(&l, text), ""))
			check(&l);
		host_list_clear(&l);
	}
}

static const char *const seeds[] = { "qemu:///system", "qemu+ssh://root@north:22/system?no_tty=1",
				     "qemu+ssh://[fe80::1]:22/x", NULL };
static const char *const words[] = {
	"uri = ", "max = ", "threshold = ", "qemu:///system\n", "[north]\n", "+ssh://", "@", NULL
};
static const struct fuzz_shape shapes[] = {
	{ "[a]\nuri = qemu:///x\n", "max = 3\n", "" },
	{ "[a]\n", "[b]\nuri = q:///\n[c]\nuri = q:///\n", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "hosts", .run = run, .seeds = seeds, .words = words, .shapes = shapes
};
