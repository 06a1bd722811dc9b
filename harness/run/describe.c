/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What run.json says: enough to draw, judge and compare the run without its machine. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "backend/qemu/preset.h"
#include "base/clock.h"
#include "base/fs.h"
#include "run/session.h"

#define RUN_FORMAT 1

static json_t *number_or_null(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *options_json(const struct run_options *o)
{
	json_t *stop_on = json_array();

	for (int i = 0; i < RESOURCE_COUNT; i++)
		if (o->stop_on & 1U << i)
			json_array_append_new(stop_on, json_string(resources[i].name));
	return json_pack("{s:i,s:i,s:i,s:f,s:o,s:f,s:f,s:f,s:f,s:i,s:s?,s:s?,s:s?,s:s?,s:s?,s:f,s:f,s:b}",
			 "intervals", (int)o->intervals, "repeat", (int)o->repeat, "jobs", (int)o->jobs,
			 "threshold_pct", o->threshold_pct, "stop_on", stop_on, "verify_pct", o->verify_pct,
			 "settle_s", o->settle_s, "rate", o->rate, "sample_s", o->sample_s, "samples",
			 (int)o->samples, "qemu", run_options_text(o, "qemu"), "machine",
			 run_options_text(o, "machine"), "runtime", run_options_text(o, "runtime"), "image",
			 o->image, "swap", o->swap, "disk_capacity_mb_s", o->disk_mb_s, "net_capacity_mb_s",
			 o->net_mb_s, "no_raise", (int)o->no_raise);
}

static json_t *guest_json(const struct session *s)
{
	_cleanup_free_ char *path = xasprintf("%s/guest.img", s->enclosure.runtime_dir);
	_cleanup_free_ char *sha = NULL;
	error *e = fs_sha256(path, &sha);

	err_free(e);
	return json_pack("{s:s,s:s?,s:I,s:I}", "name", *s->plan.image.guest ? s->plan.image.guest : "foreign",
			 "sha256", sha, "seed", (json_int_t)s->plan.image.seed, "phase_ms",
			 (json_int_t)s->plan.image.phase_ms);
}

/* A folder of a name that no other run has, not even one that begins in this very second. */
static error *create_standard(struct session *s)
{
	char stamp[17];
	error *e = NULL;

	clock_utc_stamp(stamp);
	_cleanup_free_ char *name = xasprintf("runs/%s-%s-%s-%s", stamp, s->plan.o->backend->name,
					      s->plan.preset ? s->plan.preset->name : "none",
					      s->plan.profile ? s->plan.profile->name : "image");
	for (int i = 1; i == 1 || (e && e->sys == EEXIST && i < 1000); i++) {
		_cleanup_free_ char *dir = i == 1 ? xstrdup(name) : xasprintf("%s-%d", name, i);

		err_free(e);
		e = run_folder_create(dir, &s->record.folder);
	}
	return e;
}

error *describe_begin(struct session *s)
{
	const struct run_options *o = s->plan.o;
	char iso[21];

	clock_utc_iso(iso);
	error *e = o->out ? run_folder_create(o->out, &s->record.folder) : create_standard(s);
	if (e)
		return e;
	s->record.out->dir = xstrdup(s->record.folder.dir);
	json_object_set_new(s->record.folder.meta, "format", json_integer(1));
	json_object_set_new(s->record.folder.meta, "tool", json_string("mvmscale " MVM_VERSION));
	json_object_set_new(s->record.folder.meta, "started", json_string(iso));
	json_object_set_new(s->record.folder.meta, "name", o->name ? json_string(o->name) : json_null());
	return session_save(s, "running");
}

void describe_environment(struct session *s)
{
	json_t *m = s->record.folder.meta, *backend = backend_describe(s->pop.backend);
	const struct backend_facts facts = s->pop.backend->ops->facts(s->pop.backend);
	const struct source_ops *from = s->source.ops;
	const struct sampler *sampler = s->source.sampler;
	double window = s->plan.o->sample_s * s->plan.o->samples;

	if (from->fleet)
		json_object_set_new(m, "fleet", json_string(from->fleet));

	s->pop.cloned = facts.launch == LAUNCH_CLONE;
	/* runners of many VMs are copies of this process, whatever becomes of its file */
	if (!facts.binary || (s->pop.backend->ops->flags & BACKEND_SHARDS) ||
	    stat(facts.binary, &s->record.program) < 0)
		s->record.program = (struct stat){ 0 };
	/* launch stands at the top level too: readers ask for it often */
	json_object_set(m, "launch", json_object_get(backend, "launch"));
	json_object_set_new(m, "backend", backend);
	json_object_set_new(m, "host", host_json(&s->plan.host));
	json_object_set_new(m, "guest", guest_json(s));
	json_t *waveform = wave_load_json(&s->plan, &s->pop);
	if (waveform)
		json_object_set_new(m, "waveform", waveform);
	json_object_set_new(m, "preset", json_string(s->plan.preset ? s->plan.preset->name : "none"));
	json_object_set_new(m, "profile",
			    json_string(s->plan.profile ? s->plan.profile->name : s->plan.o->image));
	json_object_set_new(m, "max", json_integer(s->plan.o->max));
	json_object_set_new(m, "threshold_pct", json_real(s->plan.o->threshold_pct));
	json_object_set_new(m, "repeats", json_integer(s->plan.o->repeat));
	json_object_set_new(m, "seed", json_integer(s->plan.o->seed));
	json_object_set_new(m, "options", options_json(s->plan.o));
	json_object_set_new(m, "measurement",
			    json_pack("{s:s,s:f,s:f,s:s,s:s}", "cpu_source",
				      from->cpu ? from->cpu : sampler_cpu_source(sampler),
				      "cpu_resolution_pct_per_sample",
				      sampler_cpu_resolution_pct(sampler, s->plan.o->sample_s),
				      "cpu_resolution_pct_per_interval",
				      sampler_cpu_resolution_pct(sampler, window), "guest_cpu_source",
				      from->guest_cpu ? from->guest_cpu : sampler_guest_source(sampler),
				      "ram_pct", from->ram));
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

error *describe_check_program(const struct population *pop, struct record *rec)
{
	const struct backend_facts facts = pop->backend->ops->facts(pop->backend);
	const char *binary = facts.binary, *was = facts.sha256;
	_cleanup_free_ char *sha = NULL;
	struct stat now = { 0 };

	if (!rec->program.st_ino || rec->out->replaced || !binary || !was)
		return NULL;
	bool gone = stat(binary, &now) < 0;
	if (!gone && same_file(&rec->program, &now))
		return NULL;
	error *e = gone ? NULL : fs_sha256(binary, &sha);
	err_free(e); /* it cannot be read: then it is not what it was */
	if (sha && str_eq(sha, was)) {
		rec->program = now; /* written anew, with the same bytes */
		return NULL;
	}
	rec->out->replaced = true;
	record_notice(rec,
		      "%s %s while VMs were started from it: from here on the population may be of two "
		      "versions; repeat the run",
		      binary, sha ? "was replaced by another program" : "is gone");
	json_object_set_new(json_object_get(rec->folder.meta, "backend"), "sha256_later",
			    sha ? json_string(sha) : json_null());
	return run_folder_event(&rec->folder, "program_replaced",
				json_pack("{s:s,s:s,s:s?}", "path", binary, "was", was, "is", sha));
}

void describe_tuning(const struct population *pop, struct record *rec)
{
	json_object_set_new(json_object_get(rec->folder.meta, "backend"), "tuning",
			    tuning_json(pop->backend->ops->facts(pop->backend).tuning));
}

/* "name, name" of the techniques that were asked for and are (not) in force; NULL of none. */
static char *techniques(const struct tuning *t, bool in_force)
{
	struct strlist names = { 0 };

	for (int k = 0; t && k < TECH_COUNT; k++) {
		const char *note = t->t[k].note;

		if (!t->t[k].asked || t->t[k].in_force != in_force)
			continue;
		if (in_force)
			strlist_add(&names, technique_names[k]);
		else
			strlist_addf(&names, "%s (%s)", technique_names[k], note ? note : "not seen");
	}
	char *text = names.count ? strlist_join(&names) : NULL;
	strlist_clear(&names);
	return text;
}

void describe_announce(const struct population *pop, struct record *rec)
{
	const struct backend_facts facts = pop->backend->ops->facts(pop->backend);

	for (size_t i = 0; facts.notes && i < facts.notes->count; i++)
		record_notice(rec, "%s", facts.notes->items[i]);
	record_notice(rec, "launch %s: %s", launch_names[facts.launch], facts.proof);
	_cleanup_free_ char *in = techniques(facts.tuning, true), *out = techniques(facts.tuning, false);
	if (in)
		record_notice(rec, "techniques in force: %s", in);
	if (out)
		record_notice(rec, "techniques not in force: %s", out);
}

void describe_stop(struct record *rec)
{
	const struct run_stop *st = &rec->out->stop;
	json_t *m = rec->folder.meta;

	json_object_set_new(m, "stop",
			    json_pack("{s:s,s:s?,s:s?,s:i,s:o,s:s?}", "kind", stop_kind_names[st->kind],
				      "metric", st->metric, "limit", st->limit, "errno", st->sys, "value",
				      number_or_null(st->value), "evidence", st->evidence));
	json_object_set_new(m, "elapsed_s", json_real((double)(clock_ns() - rec->start_ns) / 1e9));
	json_object_set_new(m, "vms",
			    json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f}", "reached", (int)rec->out->reached,
				      "died", (int)rec->out->died, "failed", (int)rec->out->failed, "asked",
				      (int)rec->out->asked, "answered", (int)rec->out->answered, "silent",
				      (int)rec->out->silent, "answered_again", (int)rec->out->answered_again,
				      "longest_silence_s", rec->out->longest_silence_s));
}
