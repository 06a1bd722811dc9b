/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads that call libvirt, whose calls block, and the queues between them and the caller's thread. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "backend/libvirt/libvirt.h"
#include "base/clock.h"

/* The event thread needs microseconds; one that hangs in libvirt must not hang us. */
#define CALLBACKS_LIMIT_MS 10000

void lv_queue_job(struct lv *b, enum lv_job_kind kind, uint32_t vm)
{
	pthread_mutex_lock(&b->lock);
	b->jobs = xrealloc(b->jobs, b->job_count + 1, sizeof(*b->jobs));
	b->jobs[b->job_count++] = (struct lv_job){ .kind = kind, .vm = vm };
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
}

void lv_queue_news(struct lv *b, const struct lv_news *n)
{
	pthread_mutex_lock(&b->lock);
	b->news = xrealloc(b->news, b->news_count + 1, sizeof(*b->news));
	b->news[b->news_count++] = *n;
	pthread_cond_signal(&b->news_came);
	pthread_mutex_unlock(&b->lock);
}

/* For pthread_cond_timedwait() of news_came. */
static struct timespec in_ms(int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	return until;
}

bool lv_await_callbacks(struct lv *b, const struct lv_host *h)
{
	struct timespec until = in_ms(CALLBACKS_LIMIT_MS);

	pthread_mutex_lock(&b->lock);
	while (h->callbacks && pthread_cond_timedwait(&b->news_came, &b->lock, &until) != ETIMEDOUT)
		;
	bool quiet = !h->callbacks;
	pthread_mutex_unlock(&b->lock);
	return quiet;
}

size_t lv_take_news(struct lv *b, int timeout_ms, struct lv_news *ret, size_t max)
{
	struct timespec until = in_ms(timeout_ms);
	size_t n;

	pthread_mutex_lock(&b->lock);
	while (!b->news_count && pthread_cond_timedwait(&b->news_came, &b->lock, &until) != ETIMEDOUT)
		;
	n = MIN(b->news_count, max);
	if (n) {
		memcpy(ret, b->news, n * sizeof(*ret));
		memmove(b->news, b->news + n, (b->news_count - n) * sizeof(*b->news));
		b->news_count -= n;
	}
	pthread_mutex_unlock(&b->lock);
	return n;
}

static void do_job(struct lv *b, const struct lv_job *job)
{
	struct lv_host *h = &b->hosts[b->v[job->vm].host];
	struct lv_news news = { .kind = LV_DESTROYED, .vm = job->vm };

	if (job->kind == LV_CREATE) {
		lv_domain_create(b, h, job->vm, b->vms[job->vm].spawn_ns, &news);
	} else {
		error *e = lv_domain_destroy(b->v[job->vm].dom);

		news.reason = e ? STEAL(e->msg) : NULL;
		err_free(e);
	}
	lv_queue_news(b, &news);
}

static void *work(void *user)
{
	struct lv *b = user;

	for (;;) {
		struct lv_job job;

		pthread_mutex_lock(&b->lock);
		while (!b->job_count && !b->stopping)
			pthread_cond_wait(&b->work, &b->lock);
		if (!b->job_count) {
			pthread_mutex_unlock(&b->lock);
			return NULL;
		}
		job = b->jobs[0];
		memmove(b->jobs, b->jobs + 1, --b->job_count * sizeof(*b->jobs));
		pthread_mutex_unlock(&b->lock);
		do_job(b, &job);
	}
}

error *lv_workers_start(struct lv *b, unsigned count)
{
	for (; b->thread_count < count; b->thread_count++) {
		int sys = pthread_create(&b->threads[b->thread_count], NULL, work, b);

		if (sys && !b->thread_count)
			return err_sys(EXIT_CANNOT, sys, "cannot start a thread for libvirt");
		if (sys)
			break; /* fewer will do */
	}
	return NULL;
}

void lv_workers_stop(struct lv *b)
{
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->thread_count; i++)
		pthread_join(b->threads[i], NULL);
	b->thread_count = 0;
}
