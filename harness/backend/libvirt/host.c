/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A libvirt host: connecting, hearing of its domains' ends and of its own, reading its load. */
#include <ctype.h>
#include <libvirt/virterror.h>
#include <math.h>
#include <string.h>

#include "backend/libvirt/libvirt.h"
#include "backend/libvirt/name.h"

/* A host that says nothing for so long is lost: seconds between probes, and how many may go unanswered. */
#define KEEPALIVE_S 2
#define KEEPALIVE_COUNT 3

static void silent(void *user, virErrorPtr err)
{
	(void)user;
	(void)err;
}

static void *event_loop(void *user)
{
	(void)user;
	for (;;)
		virEventRunDefaultImpl();
	return NULL;
}

error *lv_error(enum exit_code code, const char *fmt, ...)
{
	const virError *v = virGetLastError();
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *what = xvasprintf(fmt, ap);
	va_end(ap);
	error *e = err_new(code, "%s: %s", what, v && v->message ? v->message : "libvirt gives no reason");
	/* where a system call failed, libvirt keeps its errno as the first number */
	if (v && v->code == VIR_ERR_SYSTEM_ERROR)
		e->sys = v->int1;
	return e;
}

static char *log_setting;

static void init_once(void)
{
	/* the embedded driver would write its warnings on our standard error */
	if (log_setting)
		setenv("LIBVIRT_LOG_OUTPUTS", log_setting, 0);
	virSetErrorFunc(NULL, silent);
	pthread_t t;
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return; /* then connecting says why */
	if (pthread_create(&t, NULL, event_loop, NULL) == 0)
		pthread_detach(t);
}

error *lv_library(const char *log_folder)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	free(log_setting);
	log_setting = log_folder ? xasprintf("3:file:%s/libvirt.log", log_folder) : NULL;
	int sys = pthread_once(&once, init_once);
	return sys ? err_sys(EXIT_CANNOT, sys, "cannot start libvirt") : NULL;
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *user)
{
	static const char *const why[] = {
		[VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN] = "it shut itself down",
		[VIR_DOMAIN_EVENT_STOPPED_DESTROYED] = "someone destroyed it",
		[VIR_DOMAIN_EVENT_STOPPED_CRASHED] = "it crashed",
		[VIR_DOMAIN_EVENT_STOPPED_MIGRATED] = "it was migrated away",
		[VIR_DOMAIN_EVENT_STOPPED_SAVED] = "it was saved",
		[VIR_DOMAIN_EVENT_STOPPED_FAILED] = "its hypervisor failed",
	};
	struct lv_host *h = user;
	uint32_t number;

	(void)conn;
	if (event != VIR_DOMAIN_EVENT_STOPPED && event != VIR_DOMAIN_EVENT_CRASHED)
		return 0;
	if (!lv_name_number(h->lv->prefix, virDomainGetName(dom), &number))
		return 0;
	const char *text = event == VIR_DOMAIN_EVENT_STOPPED && detail >= 0 && detail < (int)ARRAY_LEN(why)
				   ? why[detail]
				   : "it stopped";
	lv_queue_news(h->lv, &(struct lv_news){
				     .kind = LV_DEATH,
				     .vm = number,
				     .reason = xasprintf("libvirt on %s says: %s", h->spec->name, text) });
	return 0;
}

static void on_close(virConnectPtr conn, int reason, void *user)
{
	static const char *const why[] = {
		[VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection failed",
		[VIR_CONNECT_CLOSE_REASON_EOF] = "it closed the connection",
		[VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "it answers no longer",
		[VIR_CONNECT_CLOSE_REASON_CLIENT] = "we closed it",
	};
	struct lv_host *h = user;

	(void)conn;
	if (reason == VIR_CONNECT_CLOSE_REASON_CLIENT)
		return;
	lv_queue_news(h->lv, &(struct lv_news){ .kind = LV_HOST_LOST,
						.vm = (uint32_t)(h - h->lv->hosts),
						.reason = xstrdup(reason >= 0 && reason < (int)ARRAY_LEN(why)
									  ? why[reason]
									  : "the connection ended") });
}

/* What follows the templates' names: the driver is what stands before "://" and "+". */
static error *load_template(struct lv_host *h)
{
	const char *uri = h->spec->uri;
	_cleanup_free_ char *driver = xasprintf("%.*s", (int)strcspn(uri, ":+"), uri);
	const char *given = h->lv->own.template;

	return lv_template_load(given ? given : driver, &h->template);
}

/* libvirt says so when no callback is under way or will come; deregistering alone does not wait for one. */
static void on_let_go(void *user)
{
	struct lv_host *h = user;

	pthread_mutex_lock(&h->lv->lock);
	h->callbacks--;
	pthread_cond_broadcast(&h->lv->news_came);
	pthread_mutex_unlock(&h->lv->lock);
}

static error *listen_to(struct lv_host *h)
{
	h->callbacks = 1;
	h->event_id = virConnectDomainEventRegisterAny(h->conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
						       VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), h, on_let_go);
	h->has_events = h->event_id >= 0;
	h->callbacks = h->has_events; /* else it is let go of without a word */
	if (!h->has_events)
		return lv_error(EXIT_CANNOT, "libvirt on %s does not tell when a domain dies", h->spec->name);
	/* drivers that live in this process cannot be lost, and say that they cannot do these */
	h->has_close_callback = virConnectRegisterCloseCallback(h->conn, on_close, h, NULL) == 0;
	virConnectSetKeepAlive(h->conn, KEEPALIVE_S, KEEPALIVE_COUNT);
	virResetLastError();
	return NULL;
}

static void read_versions(struct lv_host *h)
{
	const char *type = virConnectGetType(h->conn);

	h->hypervisor = xstrdup(type ? type : "unknown");
	h->hostname = virConnectGetHostname(h->conn);
	if (!h->hostname)
		h->hostname = xstrdup(h->spec->name);
	virConnectGetVersion(h->conn, &h->version);
	virConnectGetLibVersion(h->conn, &h->libvirt_version);
	virResetLastError();
}

/* A path in a URI's query: libvirt takes "%XX" for the byte, and "&" or "#" for its end. */
static char *uri_escaped(const char *path)
{
	char *out = xcalloc(3 * strlen(path) + 1, 1), *to = out;

	for (; *path; path++)
		if (isalnum((unsigned char)*path) || strchr("/-._~", *path))
			*to++ = *path;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*path);
	return out;
}

/* What libvirt is given. Many hosts are opened at a time: ssh must fail rather than ask on the terminal. */
static char *real_uri(const struct lv_host *h)
{
	const char *uri = h->spec->uri, *transport = strchr(uri, '+');

	if (h->embed) {
		_cleanup_free_ char *root = uri_escaped(h->root);

		return xasprintf("qemu:///embed?root=%s", root);
	}
	if (transport && str_starts(transport, "+ssh://") && !strstr(uri, "no_tty="))
		return xasprintf("%s%sno_tty=1", uri, strchr(uri, '?') ? "&" : "?");
	return xstrdup(uri);
}

error *lv_host_open(struct lv_host *h)
{
	const char *uri = h->spec->uri;
	_cleanup_free_ char *real = real_uri(h);
	struct strlist said = { 0 };
	error *e;

	h->conn = virConnectOpen(real);
	if (!h->conn)
		return lv_error(EXIT_CANNOT, "cannot connect to %s", uri);
	read_versions(h);
	if ((e = load_template(h)) || (e = lv_confine_prepare(h)) || (e = listen_to(h)))
		return e;
	lv_host_read(h);
	h->weight = h->mem_total_kb - h->mem_used_kb;
	e = lv_leftovers(h->conn, h->spec->name, false, &said, &h->leftovers);
	strlist_clear(&said);
	if (e || (h->template->uses_files && (e = lv_store_files(h))))
		return e;
	return lv_domain_probe(h);
}

bool lv_host_close(struct lv_host *h)
{
	if (h->conn && !h->lost)
		lv_store_remove(h);
	if (h->pool)
		virStoragePoolFree(h->pool);
	if (h->conn && h->has_close_callback)
		virConnectUnregisterCloseCallback(h->conn, on_close);
	if (h->conn && h->has_events)
		virConnectDomainEventDeregisterAny(h->conn, h->event_id);
	if (!lv_await_callbacks(h->lv, h))
		return false;
	if (h->conn)
		virConnectClose(h->conn);
	h->conn = NULL;
	lv_template_free(h->template);
	free(h->hypervisor);
	free(h->hostname);
	free(h->root);
	free(h->accel_note);
	free(h->image);
	free(h->wrapper);
	free(h->firmware);
	free(h->init);
	return true;
}

static void read_memory(struct lv_host *h)
{
	virNodeMemoryStats m[32];
	int n = 0;
	double total = 0, reusable = 0;

	if (virNodeGetMemoryStats(h->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, NULL, &n, 0) < 0 || n < 1 ||
	    n > (int)ARRAY_LEN(m) ||
	    virNodeGetMemoryStats(h->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, m, &n, 0) < 0)
		return;
	for (int i = 0; i < n; i++) {
		if (str_eq(m[i].field, VIR_NODE_MEMORY_STATS_TOTAL))
			total = (double)m[i].value;
		else if (str_eq(m[i].field, VIR_NODE_MEMORY_STATS_FREE) ||
			 str_eq(m[i].field, VIR_NODE_MEMORY_STATS_BUFFERS) ||
			 str_eq(m[i].field, VIR_NODE_MEMORY_STATS_CACHED))
			reusable += (double)m[i].value;
	}
	if (total > 0) {
		h->mem_total_kb = total;
		h->mem_used_kb = total - reusable;
	}
}

static double read_cpu(struct lv_host *h)
{
	virNodeCPUStats c[16];
	int n = 0;
	unsigned long long busy = 0, all = 0;

	if (virNodeGetCPUStats(h->conn, VIR_NODE_CPU_STATS_ALL_CPUS, NULL, &n, 0) < 0 || n < 1 ||
	    n > (int)ARRAY_LEN(c) || virNodeGetCPUStats(h->conn, VIR_NODE_CPU_STATS_ALL_CPUS, c, &n, 0) < 0)
		return NAN;
	for (int i = 0; i < n; i++) {
		bool working = str_eq(c[i].field, VIR_NODE_CPU_STATS_KERNEL) ||
			       str_eq(c[i].field, VIR_NODE_CPU_STATS_USER);
		bool waiting = str_eq(c[i].field, VIR_NODE_CPU_STATS_IDLE) ||
			       str_eq(c[i].field, VIR_NODE_CPU_STATS_IOWAIT);

		busy += working ? c[i].value : 0;
		all += working || waiting ? c[i].value : 0;
	}
	double pct = NAN;
	if (h->cpu_all && all > h->cpu_all && busy >= h->cpu_busy)
		pct = 100 * (double)(busy - h->cpu_busy) / (double)(all - h->cpu_all);
	h->cpu_busy = busy;
	h->cpu_all = all;
	return pct;
}

double lv_host_read(struct lv_host *h)
{
	virNodeInfo info;

	if (!(h->cores > 0)) {
		bool known = virNodeGetInfo(h->conn, &info) == 0;

		h->cores = known ? info.cpus : (double)NAN;
		h->mem_total_kb = known ? (double)info.memory : (double)NAN;
		h->mem_used_kb = NAN;
	}
	read_memory(h);
	double pct = read_cpu(h);
	virResetLastError();
	return pct;
}
