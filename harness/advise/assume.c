/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an answer rests on: how the host and the guests were while it was measured; and what would refute it.
 */
#include <math.h>
#include <string.h>

#include "advise/parts.h"
#include "base/text.h"

/* What run pings without --verify. */
#define USUAL_VERIFY_PCT 1.0

static void add(struct advice *a, const char *name, char *value, const char *effect)
{
	a->assumptions = xrealloc(a->assumptions, a->n_assumptions + 1, sizeof(*a->assumptions));
	a->assumptions[a->n_assumptions++] = (struct assumption){ name, value, xstrdup(effect) };
}

static void add_guest(const struct run_record *r, struct advice *a)
{
	const char *guest = run_str(r, "guest.name"), *profile = run_str(r, "profile");
	const char *mode = run_str(r, "launch.mode");

	if (guest || profile)
		add(a, "guest",
		    xasprintf("%s, profile %s", guest ? guest : "unknown", profile ? profile : "none"),
		    str_eq(guest, "sleep") ? "guests are at rest; those that work take more of everything"
					   : "guests do no more than this profile");
	if (mode)
		add(a, "launch", xstrdup(mode),
		    str_eq(mode, "clone") ? "a clone that wakes often grows to the size of one that booted"
					  : "every VM started on its own");
}

static void add_memory(const struct run_record *r, struct advice *a)
{
	double ksm = run_num(r, "host.ksm_run"), swap = run_num(r, "host.swap_kb");
	double overcommit = run_num(r, "host.overcommit_memory");
	bool tuned = json_is_true(json_object_get(
		json_object_get(json_object_get(json_object_get(r->meta, "backend"), "tuning"), "ksm"),
		"in_force"));
	const char *thp = run_str(r, "host.thp");

	if (tuned || isfinite(ksm))
		add(a, "ksm", xstrdup(tuned || ksm == 1 ? "on" : "off"),
		    tuned || ksm == 1 ? "equal pages stay merged; guests that write to theirs take them apart"
				      : "nothing is merged");
	if (thp && *thp)
		add(a, "thp", xstrdup(thp),
		    str_eq(thp, "always") ? "sparse memory may fill 2 MiB at a touch"
					  : "VMs' memory stays in small pages unless they ask");
	if (isfinite(swap))
		add(a, "swap", swap > 0 ? xasprintf("%.1f GiB", swap / 1048576) : xstrdup("none"),
		    swap > 0 ? "what does not fit goes to disk, and answers slowly"
			     : "what does not fit is killed");
	if (isfinite(overcommit))
		add(a, "overcommit_memory", xasprintf("%.0f", overcommit),
		    overcommit == 2 ? "memory is promised only as far as it exists"
				    : "memory may be promised that does not exist");
}

void advice_assume(const struct run_record *r, struct advice *a)
{
	const char *mitigations = run_str(r, "host.mitigations"), *kernel = run_str(r, "host.kernel");
	const char *accel = run_str(r, "backend.accel"), *version = run_str(r, "backend.version");
	const json_t *nested = json_object_get(json_object_get(r->meta, "host"), "nested");

	add_guest(r, a);
	add_memory(r, a);
	if (mitigations && *mitigations)
		add(a, "mitigations",
		    xstrdup(strstr(mitigations, "Mitigation") ? "as the kernel chose" : "off or not needed"),
		    "each wake pays for them");
	if (json_is_boolean(nested))
		add(a, "nested", xstrdup(json_is_true(nested) ? "yes" : "no"),
		    json_is_true(nested) ? "an outer hypervisor takes part in every CPU figure"
					 : "no hypervisor below");
	if (kernel && accel)
		add(a, "software",
		    xasprintf("Linux %s, %s%s%s, %s", kernel, run_str(r, "backend.name") ?: "backend",
			      version ? " " : "", version ? version : "", accel),
		    "another version may cost something else");
}

/* A run as this one, far enough that the answer could fail. */
void advice_falsify(const struct run_record *r, struct advice *a)
{
	static const char *const keys[][2] = {
		{ "--backend", "backend.name" }, { "--preset", "preset" },
		{ "--profile", "profile" },	 { "--image", "options.image" },
		{ "--qemu", "options.qemu" },	 { "--machine", "options.machine" },
	};
	const char *backend = run_str(r, "backend.name"), *accel = run_str(r, "backend.accel");
	const char *mode = run_str(r, "launch.mode"), *image = run_str(r, "options.image");
	double far = isfinite(a->upper) ? a->upper : ADVICE_REACH * a->measured_to;
	double verify = run_num(r, "options.verify_pct");
	struct strlist w = { 0 };

	if (a->projected || !(far >= 1))
		return; /* only on that host, which is not at hand */
	strlist_add(&w, "mvmscale run");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *v = run_str(r, keys[i][1]);

		/* without a preset the record says "none"; the profile of an image is the image */
		if (v && *v && !str_eq(v, "none") && !(image && str_eq(keys[i][0], "--profile"))) {
			_cleanup_free_ char *typed = text_shell(v);

			strlist_addf(&w, "%s %s", keys[i][0], typed);
		}
	}
	if (str_eq(backend, "qemu") && (str_eq(accel, "tcg") || str_eq(accel, "kvm")))
		strlist_addf(&w, "--accel %s", accel);
	if (str_eq(backend, "qemu") && mode)
		strlist_addf(&w, "--launch %s", mode);
	/* pings take memory: another share of them gives another curve */
	if (isfinite(verify) && verify != USUAL_VERIFY_PCT)
		strlist_addf(&w, "--verify %g%%", verify);
	strlist_addf(&w, "--threshold %g --max %.0f --predict", a->threshold_pct - a->reserve_pct,
		     ceil(far * 1.1));
	a->falsify = strlist_join(&w);
	strlist_clear(&w);
}
