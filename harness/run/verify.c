/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking VMs whether they live: who does not answer is not counted, until it answers again. */
#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/stats.h"
#include "run/session.h"

#define REQUEST "ping"
#define ANSWER "pong"
#define TIMEOUT_MS 3000
/* One that is known to be silent need not be waited for as long: it answers at once when it can again. */
#define AGAIN_TIMEOUT_MS 500
#define AT_LEAST 5
/* So long an interval waits for answers that do not come, and as long again for those of silent VMs. */
#define PATIENCE_NS 15000000000ULL
/* A failure that came sooner may be the VM's end, of which the backend has not heard yet. */
#define QUICK_NS 100000000ULL
#define END_HEARD_MS 20
/* Of so many a line is shown in each interval; events.jsonl has them all. */
#define NOTICES 5

struct round {
	double *ms;
	uint32_t asked, answered, missed;
	uint64_t waited_ns; /* for answers that did not come */
};

uint32_t population_counted(const struct population *p)
{
	uint32_t unproven = answers_unproven(&p->answers);

	return p->ready > unproven ? p->ready - unproven : 0;
}

static error *take_answer(struct session *s, uint32_t id)
{
	double silent_s = answers_came(&s->pop.answers, id, clock_ns());

	if (silent_s < 0)
		return NULL;
	s->record.out->answered_again++;
	s->record.out->longest_silence_s = fmax(s->record.out->longest_silence_s, silent_s);
	record_notice(&s->record, "VM %u answers again after %.1f s of silence, and is counted again", id,
		      silent_s);
	return run_folder_event(&s->record.folder, "vm_answers_again",
				json_pack("{s:i,s:f}", "vm", (int)id, "silent_s", silent_s));
}

/* reply: NULL when there was none. */
static error *take_silence(struct session *s, struct round *r, uint32_t id, uint64_t sent_ns,
			   const char *reply, const char *reason)
{
	if (!answers_missed(&s->pop.answers, id, sent_ns))
		return NULL;
	s->record.out->silent++;
	if (++r->missed <= NOTICES)
		record_notice(&s->record, "VM %u is not counted, for it does not answer: %s%s", id, reason,
			      r->missed == NOTICES ? "; further ones are in events.jsonl" : "");
	return run_folder_event(&s->record.folder, "ping_failed",
				json_pack("{s:i,s:s,s:s?,s:s}", "vm", (int)id, "asked", REQUEST, "answer",
					  reply, "reason", reason));
}

static error *ask_one(struct session *s, struct round *r, uint32_t id, int timeout_ms)
{
	char reply[64] = "";
	uint64_t sent_ns = clock_ns();
	error *e = fault_hit(FAULT_NO_ANSWER)
			   ? err_new(EXIT_CANNOT, "VM %u gave no answer in time (injected)", id)
			   : s->pop.backend->ops->ask(s->pop.backend, id, REQUEST, timeout_ms, reply,
						      sizeof(reply), &r->ms[r->answered]);

	if (!e && str_eq(reply, ANSWER)) {
		r->asked++;
		r->answered++;
		return take_answer(s, id);
	}
	uint64_t took = clock_ns() - sent_ns;
	_cleanup_free_ char *said = e ? NULL : text_line(reply);
	_cleanup_free_ char *reason =
		e ? xstrdup(e->msg) : xasprintf("it answered '%s' to '%s'", said, REQUEST);
	r->waited_ns += took;
	text_clean(reason);
	error *watched = launch_watch(s, e && took < QUICK_NS ? END_HEARD_MS : 0);
	err_free(e);
	/* one that died is told as dead */
	if (watched || s->pop.vms[id].state != VM_READY)
		return watched;
	r->asked++;
	return take_silence(s, r, id, sent_ns, said, reason);
}

/* Those that are not known to be silent: a share of them by chance, in their order. The caller frees it. */
static uint32_t *choose(struct session *s, bool all, uint32_t *ret_n)
{
	uint32_t *ids = xcalloc(s->pop.next_id, sizeof(*ids)), n = 0;
	double share = fmax(ceil(s->pop.ready * s->plan.o->verify_pct / 100), AT_LEAST);

	for (uint32_t i = 0; i < s->pop.next_id; i++)
		if (s->pop.vms[i].state == VM_READY && !answers_is_silent(&s->pop.answers, i))
			ids[n++] = i;
	*ret_n = all || share >= n ? n : (uint32_t)share;
	if (*ret_n == n)
		return ids;
	uint32_t *chosen = xcalloc(*ret_n, sizeof(*chosen));
	gsl_ran_choose(s->rng, chosen, *ret_n, ids, n, sizeof(*ids));
	free(ids);
	return chosen;
}

static error *ask_chosen(struct session *s, struct round *r, const uint32_t *ids, uint32_t n, bool all)
{
	uint32_t i = 0;
	error *e = NULL;

	for (; i < n && r->waited_ns < PATIENCE_NS && !run_interrupted && !e; i++) {
		if (s->pop.vms[ids[i]].state == VM_READY)
			e = ask_one(s, r, ids[i], TIMEOUT_MS);
		session_status(s, STAGE_VERIFY, false);
	}
	if (i == n || run_interrupted || e)
		return e;
	record_notice(&s->record,
		      "waited %.0f s for answers that did not come: %u VMs were not asked any more%s",
		      (double)r->waited_ns / 1e9, n - i, all ? ", and are not counted" : "");
	for (uint32_t k = i; k < n && all; k++)
		if (s->pop.vms[ids[k]].state == VM_READY)
			answers_unasked(&s->pop.answers, ids[k]);
	return run_folder_event(&s->record.folder, "asking_ended",
				json_pack("{s:i,s:i,s:f}", "asked", (int)i, "not_asked", (int)(n - i),
					  "waited_s", (double)r->waited_ns / 1e9));
}

/* Those that were silent before this interval, from any of them on: there may be more than there is time for.
 */
static error *ask_silent(struct session *s, struct round *r, const uint32_t *ids, uint32_t n)
{
	uint32_t from = n ? (uint32_t)gsl_rng_uniform_int(s->rng, n) : 0;
	error *e = NULL;

	r->waited_ns = 0;
	for (uint32_t i = 0; i < n && r->waited_ns < PATIENCE_NS && !run_interrupted && !e; i++) {
		uint32_t id = ids[(from + i) % n];

		if (s->pop.vms[id].state == VM_READY)
			e = ask_one(s, r, id, AGAIN_TIMEOUT_MS);
		session_status(s, STAGE_VERIFY, false);
	}
	return e;
}

static uint32_t *list_silent(const struct session *s, uint32_t *ret_n)
{
	uint32_t *ids = xcalloc(s->pop.answers.silent + 1, sizeof(*ids));

	*ret_n = 0;
	for (uint32_t i = 0; i < s->pop.next_id && *ret_n < s->pop.answers.silent; i++)
		if (answers_is_silent(&s->pop.answers, i))
			ids[(*ret_n)++] = i;
	return ids;
}

error *verify_population(struct session *s, struct interval *row)
{
	bool all = s->plan.o->verify_pct >= 100;
	uint32_t n = 0, silent_n = 0;

	answers_begin(&s->pop.answers);
	_cleanup_free_ uint32_t *silent = list_silent(s, &silent_n);
	_cleanup_free_ uint32_t *ids = choose(s, all, &n);
	struct round r = { .ms = xcalloc((size_t)n + silent_n + 1, sizeof(*r.ms)) };
	error *e = ask_chosen(s, &r, ids, n, all);

	if (!e)
		e = ask_silent(s, &r, silent, silent_n);
	row->extra[EXTRA_PING_ASKED] = r.asked;
	row->extra[EXTRA_PROVEN_PING] = r.answered;
	row->extra[EXTRA_WAKE_P50] = quantile(r.ms, r.answered, 0.5);
	row->extra[EXTRA_WAKE_P99] = quantile(r.ms, r.answered, 0.99);
	s->record.status.asked = s->record.out->asked = r.asked;
	s->record.status.answered = s->record.out->answered = r.answered;
	free(r.ms);
	return e;
}

void verify_end(struct population *pop, struct run_outcome *out)
{
	uint64_t now = clock_ns();

	out->unproven = answers_unproven(&pop->answers);
	for (uint32_t i = 0; i < pop->answers.vms && pop->answers.silent; i++)
		if (answers_is_silent(&pop->answers, i))
			out->longest_silence_s =
				fmax(out->longest_silence_s,
				     (double)(now - pop->answers.vm[i].silent_since_ns) / 1e9);
	answers_reset(&pop->answers);
}

void verify_conclude(struct record *rec)
{
	struct run_outcome *o = rec->out;

	if (!o->silent)
		return;
	char *more =
		o->answered < o->asked || o->unproven
			? xasprintf("%u of %u VMs asked last answered", o->answered, o->asked)
			: xasprintf(
				  "%u of %u VMs asked last answered, but there were %u that did not before, for up to %.1f s",
				  o->answered, o->asked, o->silent, o->longest_silence_s);
	char *both = xasprintf("%s%s%s", o->stop.evidence ? o->stop.evidence : "",
			       o->stop.evidence ? "; " : "", more);
	free(more);
	free(o->stop.evidence);
	o->stop.evidence = both;
}
