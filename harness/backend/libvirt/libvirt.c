/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The libvirt backend: transient domains on one or many libvirt hosts. */
#include "backend/libvirt/libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <math.h>
#include <string.h>

#include "backend/console.h"
#include "backend/libvirt/name.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"

#define NEWS_AT_ONCE 64
/* Nothing but a hung host takes longer to destroy a domain. */
#define DESTROY_LIMIT_NS 60000000000ULL

static struct lv *self(struct backend *b)
{
	return (struct lv *)b;
}

static struct lv_host *host_of(struct lv *b, uint32_t vm)
{
	return &b->hosts[b->v[vm].host];
}

static void take_ready(struct lv *b, struct lv_news *n)
{
	struct lv_host *h = host_of(b, n->vm);
	struct vm *vm = &b->vms[n->vm];

	b->in_flight--;
	b->v[n->vm].dom = n->dom;
	vm->pid = n->pid;
	vm->up_us = n->up_us;
	vm->ready_us = n->ready_us;
	if (h->lost) {
		vm->state = VM_GONE;
		events_add(&b->events, BACKEND_VM_LOST, n->vm, xstrdup("its host disappeared"), 0);
		return;
	}
	vm->state = VM_READY;
	h->ready++;
	events_add(&b->events, BACKEND_READY, n->vm, NULL, 0);
	if (b->v[n->vm].died)
		lv_queue_news(b, &(struct lv_news){ .kind = LV_DEATH,
						    .vm = n->vm,
						    .reason = xstrdup("it died as it became ready") });
}

static void take_failure(struct lv *b, struct lv_news *n)
{
	struct lv_host *h = host_of(b, n->vm);

	b->in_flight--;
	h->vms -= h->lost ? 0 : 1;
	b->vms[n->vm].state = VM_GONE;
	events_add(&b->events, h->lost ? BACKEND_VM_LOST : BACKEND_FAILED, n->vm, STEAL(n->reason), n->sys);
}

static void take_death(struct lv *b, struct lv_news *n)
{
	struct vm *vm = n->vm < b->max ? &b->vms[n->vm] : NULL;

	if (vm && vm->state == VM_STARTING)
		b->v[n->vm].died = true;
	if (!vm || vm->state != VM_READY)
		return; /* a probe, or one that we destroy */
	vm->state = VM_GONE;
	host_of(b, n->vm)->vms--;
	host_of(b, n->vm)->ready--;
	events_add(&b->events, BACKEND_DIED, n->vm, STEAL(n->reason), 0);
}

static void take_host_loss(struct lv *b, struct lv_news *n)
{
	uint32_t index = n->vm, count = 0;
	struct lv_host *h = &b->hosts[index];

	if (h->lost)
		return;
	h->lost = true;
	for (uint32_t i = 0; i < b->max; i++) {
		if (b->v[i].host != index || b->vms[i].state != VM_READY)
			continue;
		b->vms[i].state = VM_GONE;
		count++;
	}
	h->vms = h->ready = 0;
	events_add(&b->events, BACKEND_HOST_LOST, count, STEAL(n->reason), (int)index);
}

static void take_news(struct lv *b, struct lv_news *n)
{
	switch (n->kind) {
	case LV_READY:
		take_ready(b, n);
		break;
	case LV_FAILED:
		take_failure(b, n);
		break;
	case LV_DEATH:
		take_death(b, n);
		break;
	case LV_HOST_LOST:
		take_host_loss(b, n);
		break;
	case LV_DESTROYED:
		b->destroying--;
		if (n->reason && !b->complaint && !host_of(b, n->vm)->lost)
			b->complaint = STEAL(n->reason);
		break;
	}
	free(n->reason);
}

static size_t lv_poll(struct backend *base, int timeout_ms, struct backend_event *events, size_t max)
{
	struct lv *b = self(base);
	struct lv_news news[NEWS_AT_ONCE];
	size_t n = lv_take_news(b, b->events.count ? 0 : timeout_ms, news, ARRAY_LEN(news));

	for (size_t i = 0; i < n; i++)
		take_news(b, &news[i]);
	return events_take(&b->events, events, max);
}

static int next_host(const struct lv *b)
{
	struct spread_host *p = xcalloc(b->host_count, sizeof(*p));

	for (size_t i = 0; i < b->host_count; i++)
		p[i] = (struct spread_host){ .vms = b->hosts[i].vms,
					     .max = b->hosts[i].spec->max,
					     .weight = b->hosts[i].weight,
					     .open = !b->hosts[i].lost && !b->hosts[i].full };
	int chosen = spread_next(b->own.place, p, b->host_count);
	free(p);
	return chosen;
}

static uint32_t lv_room(const struct backend *base)
{
	const struct lv *b = (const struct lv *)base;

	return next_host(b) < 0 ? 0 : b->thread_count - MIN(b->in_flight, b->thread_count);
}

static error *lv_start(struct backend *base, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct lv *b = self(base);

	for (*ret_begun = 0; *ret_begun < count; (*ret_begun)++) {
		uint32_t id = first + *ret_begun;
		int host = next_host(b);

		if (host < 0)
			return NULL;
		if (fault_hit(FAULT_FORK_EAGAIN))
			return err_sys(EXIT_CANNOT, EAGAIN, "cannot start VM %u: fork (injected)", id);
		b->vms[id] = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
		b->v[id] = (struct lv_vm){ .host = (uint16_t)host };
		b->hosts[host].vms++;
		b->in_flight++;
		lv_queue_job(b, LV_CREATE, id);
	}
	return NULL;
}

static error *lv_ask(struct backend *base, uint32_t vm, const char *request, int timeout_ms, char *reply,
		     size_t size, double *ret_ms)
{
	struct lv *b = self(base);
	struct lv_host *h = host_of(b, vm);

	if (h->lost)
		return err_new(EXIT_CANNOT, "host %s is lost", h->spec->name);
	if (h->embed)
		return console_ask(b->console_dir_fd, vm, 0, request, timeout_ms, reply, size, ret_ms);
	return lv_console_ask(b->v[vm].dom, vm, request, timeout_ms, reply, size, ret_ms);
}

/* Takes in what still comes: starting VMs must be known before they can be destroyed. */
static void drain(struct lv *b, const uint32_t *counter, void (*progress)(void *, uint32_t), void *user)
{
	uint64_t end = clock_ns() + DESTROY_LIMIT_NS, last = 0;
	struct backend_event ev[NEWS_AT_ONCE];
	uint32_t before = *counter;

	while (*counter && clock_ns() < end) {
		size_t n = lv_poll(&b->base, 50, ev, ARRAY_LEN(ev));

		for (size_t i = 0; i < n; i++)
			free(ev[i].reason);
		if (*counter != before)
			end = clock_ns() + DESTROY_LIMIT_NS;
		before = *counter;
		if (progress && clock_ns() - last > 100000000U) {
			last = clock_ns();
			progress(user, *counter);
		}
	}
}

static error *stop_all(struct lv *b, void (*progress)(void *, uint32_t), void *user)
{
	error *e = NULL;

	drain(b, &b->in_flight, NULL, NULL);
	for (uint32_t i = 0; i < b->max; i++) {
		struct lv_vm *v = &b->v[i];
		bool destroy = b->vms[i].state == VM_READY && !host_of(b, i)->lost;

		if (b->vms[i].state != VM_NONE)
			b->vms[i].state = VM_GONE;
		if (destroy) {
			b->destroying++;
			lv_queue_job(b, LV_DESTROY, i);
		} else if (v->dom) {
			virDomainFree(v->dom);
			v->dom = NULL;
		}
	}
	drain(b, &b->destroying, progress, user);
	if (b->in_flight || b->destroying)
		e = err_new(
			EXIT_CANNOT,
			"%u domains could not be destroyed: libvirt does not answer; 'mvmscale doctor --restore --connect URI' tries again later",
			b->in_flight + b->destroying);
	else if (b->complaint)
		e = err_new(EXIT_CANNOT, "%s; 'mvmscale doctor --restore --connect URI' tries again later",
			    b->complaint);
	free(b->complaint);
	b->complaint = NULL;
	if (!b->in_flight && !b->destroying)
		memset(b->v, 0, b->max * sizeof(*b->v));
	for (size_t i = 0; i < b->host_count; i++) {
		b->hosts[i].vms = b->hosts[i].ready = 0;
		b->hosts[i].full = false; /* the next ramp begins anew */
	}
	events_clear(&b->events);
	return e;
}

static error *lv_stop_all(struct backend *base, void (*progress)(void *, uint32_t), void *user)
{
	return stop_all(self(base), progress, user);
}

static void lv_close(struct backend *base)
{
	struct lv *b = self(base);
	error *e = stop_all(b, NULL, NULL);

	err_free(e);
	/* a thread that hangs in libvirt cannot be joined: then what it uses stays until the process ends */
	if (b->in_flight || b->destroying)
		return;
	lv_workers_stop(b);
	bool quiet = true;
	for (size_t i = 0; i < b->host_count; i++)
		quiet &= lv_host_close(&b->hosts[i]);
	lv_reaper_stop(b);
	if (!quiet)
		return;
	for (size_t i = 0; i < b->news_count; i++)
		free(b->news[i].reason);
	if (b->console_dir_fd >= 0)
		close(b->console_dir_fd);
	if (b->console_dir)
		fs_remove_tree(b->console_dir);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->news_came);
	host_list_clear(&b->private);
	strlist_clear(&b->notes);
	free(b->version);
	free(b->prefix);
	free(b->console_dir);
	free(b->image_path);
	free(b->firmware_path);
	free(b->hosts);
	free(b->jobs);
	free(b->news);
	events_clear(&b->events);
	free(b->v);
	free(b);
}

static error *prepare_files(struct lv *b)
{
	_cleanup_free_ char *template = NULL;
	error *e;

	b->console_dir = xasprintf("%s/c", b->cfg.runtime_dir);
	b->image_path = xasprintf("%s/guest.img", b->cfg.runtime_dir);
	b->firmware_path = xasprintf("%s/firmware.bin", b->cfg.runtime_dir);
	if ((e = fs_mkdirs(b->console_dir)) || (e = firmware_find_template(&template)) ||
	    (e = image_write(b->cfg.image, b->image_path)) ||
	    (e = firmware_write(b->cfg.image, template, b->firmware_path)))
		return e;
	b->console_dir_fd = open(b->console_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return b->console_dir_fd < 0 ? err_sys(EXIT_CANNOT, errno, "cannot open %s", b->console_dir) : NULL;
}

static void init_locks(struct lv *b)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->news_came, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static error *lv_open(const struct backend_config *cfg, struct vm *vms, uint32_t max, struct backend **ret)
{
	struct lv *b = xcalloc(1, sizeof(*b));
	const struct host_list *list = &b->own.hosts;
	error *e = NULL;

	b->base.ops = &backend_libvirt;
	b->cfg = *cfg;
	b->own = *(const struct libvirt_config *)cfg->own;
	b->vms = vms;
	b->max = max;
	b->v = xcalloc(max, sizeof(*b->v));
	b->console_dir_fd = -1;
	b->prefix = lv_name_prefix();
	init_locks(b);
	if (!list->count) {
		e = host_list_add(&b->private, "qemu:///embed");
		list = &b->private;
	}
	if (!e)
		e = prepare_files(b);
	if (!e)
		e = lv_open_hosts(b, list);
	if (!e)
		e = lv_workers_start(b, MIN(MAX(cfg->jobs, 1U), (unsigned)LV_MAX_JOBS));
	if (e) {
		lv_close(&b->base);
		return e;
	}
	/* only the driver in this process has VMs that are processes of ours */
	if (b->fleet || !b->hosts[0].embed)
		b->base.lacks |= BACKEND_PROCESSES;
	if (!b->hosts[0].template->console)
		b->base.lacks |= BACKEND_WAKE;
	lv_identify(b);
	*ret = &b->base;
	return NULL;
}

static struct vm_cost lv_cost(const struct backend *base)
{
	const struct lv *b = (const struct lv *)base;
	const struct lv_template *t = b ? b->hosts[0].template : NULL;

	if (!b || b->fleet) /* their limits are not this machine's */
		return (struct vm_cost){ 0 };
	return (struct vm_cost){ .tasks = (double)t->tasks,
				 .fds_vm = (double)t->fds,
				 .fds_harness = b->hosts[0].embed ? 2 : 0,
				 .ptys = (double)t->ptys + (t->uses_serial && !b->hosts[0].embed),
				 .mem_kb = (double)t->mem_kb,
				 .commit_kb = (double)t->commit_kb };
}

static size_t lv_hosts(struct backend *base, struct backend_host *ret, size_t max)
{
	struct lv *b = self(base);

	for (size_t i = 0; b->fleet && i < b->host_count && i < max; i++) {
		struct lv_host *h = &b->hosts[i];
		double cpu = h->lost ? (double)NAN : lv_host_read(h);

		ret[i] = (struct backend_host){ .name = h->spec->name,
						.state = h->lost   ? HOST_LOST
							 : h->full ? HOST_FULL
								   : HOST_UP,
						.vms = h->ready,
						.cores = h->cores,
						.threshold_pct = h->spec->threshold_pct,
						.cpu_pct = cpu,
						.mem_total_kb = h->lost ? (double)NAN : h->mem_total_kb,
						.mem_used_kb = h->lost ? (double)NAN : h->mem_used_kb };
	}
	return b->fleet ? b->host_count : 0;
}

static void lv_host_full(struct backend *base, size_t host)
{
	self(base)->hosts[host].full = true;
}

static size_t lv_host_of(const struct backend *base, uint32_t vm)
{
	return ((const struct lv *)base)->v[vm].host;
}

const struct backend_ops backend_libvirt = {
	.name = "libvirt",
	.summary = "domains of libvirt, on this machine or on many (--connect, --hosts)",
	.needs = "libvirt with the driver that --connect names; by default its QEMU driver, without a daemon",
	.flags = BACKEND_PROCESSES | BACKEND_WAKE | BACKEND_SERVICES | BACKEND_AFFINITY | BACKEND_CGROUP,
	.options = &libvirt_options,
	.open = lv_open,
	.start = lv_start,
	.room = lv_room,
	.poll = lv_poll,
	.ask = lv_ask,
	.stop_all = lv_stop_all,
	.close = lv_close,
	.cost = lv_cost,
	.facts = lv_facts,
	.details = lv_details,
	.hosts = lv_hosts,
	.host_full = lv_host_full,
	.host_of = lv_host_of,
};
