/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_LIBVIRT_LIBVIRT_H
#define MVM_BACKEND_LIBVIRT_LIBVIRT_H

/*
 * Private to the libvirt backend: its hosts, its domains, its workers. The caller's thread
 * alone touches struct vm and the counters of a host; workers and libvirt's event thread
 * only put news into a queue.
 */

#include <libvirt/libvirt.h>
#include <pthread.h>

#include "backend/events.h"
#include "backend/libvirt/options.h"
#include "backend/libvirt/template.h"
#include "base/util.h"

#define LV_MAX_JOBS 256

struct lv_host {
	struct lv *lv;
	const struct fleet_host *spec;
	virConnectPtr conn;
	struct lv_template *template;
	char *hypervisor, *hostname;
	unsigned long version, libvirt_version;
	bool embed;  /* the driver runs in this process, its QEMUs are our children */
	bool remote; /* not this machine */
	bool full, lost;
	bool has_events, has_close_callback;
	char *root;	  /* embed: the driver's folder */
	const char *type; /* domain type: kvm, qemu or the driver's */
	char *accel_note;
	unsigned create_flags;	       /* enum virDomainCreateFlags that this driver takes */
	char *image, *firmware, *init; /* where the host sees them */
	char *wrapper;		/* what stands for QEMU, so that it begins in the VMs' cgroup; or NULL */
	virStoragePoolPtr pool; /* that we made to send them */
	bool has_owner;		/* whom QEMU runs as there is told: */
	unsigned owner_uid, owner_gid;
	uint32_t vms; /* starting or ready */
	uint32_t ready;
	uint32_t leftovers;
	int event_id;
	unsigned callbacks; /* that libvirt's event thread may still call; under the lock of lv */
	double cores, mem_total_kb, mem_used_kb, weight;
	unsigned long long cpu_busy, cpu_all; /* ns, of the previous reading */
};

/* What belongs to a VM beside struct vm. */
struct lv_vm {
	virDomainPtr dom;
	uint16_t host;
	bool died; /* told before it was known to be ready */
};

enum lv_job_kind { LV_CREATE, LV_DESTROY };
struct lv_job {
	enum lv_job_kind kind;
	uint32_t vm;
};

enum lv_news_kind { LV_READY, LV_FAILED, LV_DEATH, LV_HOST_LOST, LV_DESTROYED };
struct lv_news {
	enum lv_news_kind kind;
	uint32_t vm; /* of LV_HOST_LOST: the host */
	uint32_t up_us, ready_us;
	pid_t pid;
	int sys;
	char *reason;
	virDomainPtr dom;
};

struct lv {
	struct backend base;
	struct backend_config cfg;
	struct libvirt_config own;
	struct vm *vms;
	struct lv_vm *v;
	struct lv_host *hosts;
	size_t host_count;
	struct host_list private; /* when none was given */
	char *version;		  /* of the first host's hypervisor */
	struct strlist notes;	  /* for the user to know */
	char *prefix;		  /* of our domains' names */
	char *console_dir;	  /* embed: unix sockets */
	char *image_path, *firmware_path;
	char *complaint; /* of the first domain that could not be destroyed */
	uint32_t max, in_flight, destroying;
	int console_dir_fd;

	pthread_mutex_t lock; /* of the queues */
	pthread_cond_t work, news_came;
	struct lv_job *jobs;
	size_t job_count;
	struct lv_news *news;
	size_t news_count;
	struct event_queue events;
	pthread_t reaper;
	pthread_t threads[LV_MAX_JOBS];
	unsigned thread_count;
	bool stopping, reaping;
	bool stop_reaping; /* atomic */
	bool fleet;	   /* readings come from the hosts, not from this machine */
};

/* libvirt's last error of this thread as a value; `what` says what was tried. */
error *lv_error(enum exit_code code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))) ERR_MUST_CHECK;
/* Once per process: silence, event loop. */
error *lv_library(const char *log_folder) ERR_MUST_CHECK;

/* open.c: connects to all, many at a time. */
error *lv_open_hosts(struct lv *b, const struct host_list *list) ERR_MUST_CHECK;

/* host.c */
error *lv_host_open(struct lv_host *h) ERR_MUST_CHECK;
/* False when libvirt's event thread may still call back: then what it uses must stay. */
bool lv_host_close(struct lv_host *h);
/* Refreshes cores, CPU and memory; the share of CPU since the last reading, NAN at the first. */
double lv_host_read(struct lv_host *h);

/* embed.c: what the driver in our own process needs. */
error *lv_embed_prepare(struct lv_host *h) ERR_MUST_CHECK;
error *lv_reaper_start(struct lv *b) ERR_MUST_CHECK;
void lv_reaper_stop(struct lv *b);

/* store.c: puts image and firmware where that host's hypervisor can read them. */
error *lv_store_files(struct lv_host *h) ERR_MUST_CHECK;
void lv_store_remove(struct lv_host *h);
/* A pool of ours with its files and its folder; true when it is gone. */
bool lv_store_remove_pool(virConnectPtr conn, virStoragePoolPtr pool);

/* domain.c: one domain from name to ready. */
error *lv_domain_probe(struct lv_host *h) ERR_MUST_CHECK;
void lv_domain_create(struct lv *b, struct lv_host *h, uint32_t number, uint64_t spawn_ns,
		      struct lv_news *ret);
/* Destroys and frees it; one that is gone already is no error. */
error *lv_domain_destroy(virDomainPtr dom) ERR_MUST_CHECK;
/* One request and one line of answer through the domain's console stream. */
error *lv_console_ask(virDomainPtr dom, uint32_t vm, const char *request, int timeout_ms, char *reply,
		      size_t size, double *ret_ms) ERR_MUST_CHECK;

/* confine.c */
/* Refuses what of --pin, --numa and --cgroup-* this host could not keep, and prepares the rest. */
error *lv_confine_prepare(struct lv_host *h) ERR_MUST_CHECK;
/* Pieces of a domain's XML, "" where there is nothing to say. The caller frees them. */
char *lv_emulator_xml(const struct lv_host *h);
char *lv_cpuset_xml(const struct lv *b, uint32_t vm);
char *lv_numatune_xml(const struct lv *b, uint32_t vm);

/* work.c */
error *lv_workers_start(struct lv *b, unsigned count) ERR_MUST_CHECK;
void lv_workers_stop(struct lv *b);
void lv_queue_job(struct lv *b, enum lv_job_kind kind, uint32_t vm);
void lv_queue_news(struct lv *b, const struct lv_news *n);
/* Waits until libvirt's event thread has let go of that host; false when it does not. */
bool lv_await_callbacks(struct lv *b, const struct lv_host *h);
/* Takes up to max news, waiting up to timeout_ms for the first. */
size_t lv_take_news(struct lv *b, int timeout_ms, struct lv_news *ret, size_t max);

/* describe.c */
/* Once all hosts are open: what they are, in words. */
void lv_identify(struct lv *b);
struct backend_facts lv_facts(struct backend *base);
json_t *lv_details(const struct backend *base);

/* left.c */
/* Domains and storage pools on that connection that a harness which is gone left; with `remove` destroys
   them. `said` gets a line for each. */
error *lv_leftovers(virConnectPtr conn, const char *host, bool remove, struct strlist *said,
		    uint32_t *ret_count) ERR_MUST_CHECK;

#endif
