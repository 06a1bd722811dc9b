/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening all hosts of a run. */
#include <string.h>

#include "backend/libvirt/libvirt.h"

#define FLEET_HOSTS_MAX 60000
#define OPEN_AT_ONCE 16

/* The server part of a URI: "driver+transport://[user@]host[:port]/path". */
static bool has_server(const char *uri)
{
	const char *s = strstr(uri, "://");

	return s && s[3] && s[3] != '/' && s[3] != '?';
}

struct opening {
	struct lv *b;
	size_t next;
	pthread_mutex_t lock;
	error *e; /* the first */
};

static void *open_some(void *user)
{
	struct opening *o = user;

	for (;;) {
		pthread_mutex_lock(&o->lock);
		size_t i = o->next++;
		bool failed = o->e;
		pthread_mutex_unlock(&o->lock);
		if (i >= o->b->host_count || failed)
			return NULL;
		struct lv_host *h = &o->b->hosts[i];
		error *e = lv_host_open(h);
		if (!e)
			continue;
		e = err_wrap(e, "host %s (%s)", h->spec->name, h->spec->uri);
		pthread_mutex_lock(&o->lock);
		o->e = err_first(o->e, e);
		pthread_mutex_unlock(&o->lock);
	}
}

/* Many at a time: a host needs seconds for it, most of them spent waiting. */
static error *open_all(struct lv *b)
{
	struct opening o = { .b = b, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[OPEN_AT_ONCE];
	size_t n = 0;

	while (n < MIN(b->host_count, (size_t)OPEN_AT_ONCE) &&
	       pthread_create(&threads[n], NULL, open_some, &o) == 0)
		n++;
	if (!n)
		open_some(&o);
	while (n)
		pthread_join(threads[--n], NULL);
	return o.e;
}

error *lv_open_hosts(struct lv *b, const struct host_list *list)
{
	bool embed = false;
	error *e;

	if (list->count > FLEET_HOSTS_MAX)
		return err_new(EXIT_BAD_INPUT, "%zu hosts: at most %d can be used", list->count,
			       FLEET_HOSTS_MAX);
	b->hosts = xcalloc(list->count, sizeof(*b->hosts));
	/* first what threads of this process inherit, then the threads */
	for (size_t i = 0; i < list->count; i++) {
		struct lv_host *h = &b->hosts[i];

		*h = (struct lv_host){ .lv = b, .spec = &list->items[i] };
		b->host_count++;
		h->remote = has_server(h->spec->uri);
		h->embed = str_starts(h->spec->uri, "qemu:///embed");
		if (h->embed && embed)
			return err_new(EXIT_BAD_INPUT, "qemu:///embed can be used once in a run, not twice");
		embed = embed || h->embed;
		if (h->embed && (e = lv_embed_prepare(h)))
			return e;
	}
	if ((e = lv_library(b->cfg.runtime_dir)) || (embed && (e = lv_reaper_start(b))))
		return e;
	for (size_t i = 0; i < b->host_count; i++)
		b->fleet = b->fleet || b->hosts[i].remote || b->host_count > 1;
	return open_all(b);
}
