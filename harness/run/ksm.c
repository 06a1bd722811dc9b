/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * KSM for the run's length: scan hard while VMs are launched, until merging converges;
 * slowly while the host is measured, so that the measured CPU is the guests'.
 */
#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "run/session.h"

#define KSM_DIR "/sys/kernel/mm/ksm/"
#define HARD_PAGES "20000"
#define HARD_SLEEP_MS "10"
#define SLOW_SLEEP_MS "2000"
#define CONVERGE_STEP_NS 500000000ULL
#define CONVERGE_SCANS 3
#define CONVERGE_LIMIT_NS 60000000000ULL
/* Merged pages that a step may still add, per VM, when merging counts as converged. */
#define CONVERGED_PAGES 2.0

error *ksm_begin(struct settings *settings, const struct population *pop, struct record *rec, bool *ret)
{
	static const struct {
		const char *path, *value;
	} steps[] = {
		{ KSM_DIR "use_zero_pages", "1" },
		{ KSM_DIR "pages_to_scan", HARD_PAGES },
		{ KSM_DIR "sleep_millisecs", HARD_SLEEP_MS },
		{ KSM_DIR "run", "1" },
	};
	struct tuning *tuning = pop->backend->ops->facts(pop->backend).tuning;

	if (!tuning || !tuning->t[TECH_KSM].asked)
		return NULL;
	error *e = fault_hit(FAULT_NO_KSM) ? err_new(EXIT_CANNOT, "this kernel has no KSM (injected)") : NULL;
	for (size_t i = 0; i < ARRAY_LEN(steps) && !e; i++)
		e = settings_set(settings, steps[i].path, steps[i].value, "technique ksm");
	*ret = !e;
	if (e) {
		/* a density technique that the host refuses does not end the run */
		record_notice(rec, "technique ksm is not in force: %s", e->msg);
		tuning_note(tuning, TECH_KSM, false, "%s", e->msg);
		describe_tuning(pop, rec);
		err_free(e);
	}
	return NULL;
}

static error *set_sleep(struct settings *settings, const char *ms)
{
	return settings_set(settings, KSM_DIR "sleep_millisecs", ms, "technique ksm");
}

error *ksm_hurry(struct settings *settings)
{
	return set_sleep(settings, HARD_SLEEP_MS);
}

double ksm_merged_mb(void)
{
	long long sharing = 0, zero = 0;

	if (!fs_read_number(KSM_DIR "pages_sharing", &sharing))
		return 0;
	/* since 6.1; pages merged with the zero page count apart */
	if (!fs_read_number(KSM_DIR "ksm_zero_pages", &zero))
		zero = 0;
	return (double)(sharing + zero) * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

error *ksm_converge(struct session *s)
{
	uint64_t start = clock_ns();
	long long before = -1, now = 0, scans = 0, first_scan = -1;

	if (!s->ksm || !s->pop.ready)
		return NULL;
	while (!run_interrupted && clock_ns() - start < CONVERGE_LIMIT_NS) {
		if (!fs_read_number(KSM_DIR "pages_sharing", &now) ||
		    !fs_read_number(KSM_DIR "full_scans", &scans))
			break;
		first_scan = first_scan < 0 ? scans : first_scan;
		/* a page is merged at the second look: newcomers need whole scans, not only a quiet moment */
		if (scans >= first_scan + CONVERGE_SCANS &&
		    fabs((double)(now - before)) < CONVERGED_PAGES * s->pop.ready)
			break;
		before = now;
		error *e = launch_watch(s, (int)(CONVERGE_STEP_NS / 1000000));
		if (e)
			return e;
		session_status(s, STAGE_SETTLE, false);
	}
	tuning_note(s->pop.backend->ops->facts(s->pop.backend).tuning, TECH_KSM, now > 0,
		    "%lld pages share with %u VMs", now, s->pop.ready);
	describe_tuning(&s->pop, &s->record);
	return set_sleep(s->enclosure.settings, SLOW_SLEEP_MS);
}
