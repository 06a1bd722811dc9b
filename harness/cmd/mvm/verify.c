/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does an image keep the guest contract, whatever it boots from and runs on? */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "backend/qemu/guest_check.h"
#include "base/fs.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/profile.h"

struct verify {
	const char *accel, *qemu;
	bool json, quick;
	unsigned modes; /* 1 << enum launch_mode; 0: every way of booting */
	struct strlist what;
	json_t *results; /* with --json */
	unsigned tests;	 /* TAP's number */
};

static error *take_launch(const struct option_row *o, const char *arg, void *config)
{
	struct verify *v = config;

	(void)o;
	for (enum launch_mode m = 0; m < LAUNCH_AUTO; m++)
		if (str_eq(arg, "all") || str_eq(arg, launch_names[m]))
			v->modes |= 1U << m;
	return NULL;
}

#define AT(field) offsetof(struct verify, field)

static const struct option_row options[] = {
	{ "accel", 0, "auto|tcg|kvm", NULL, OPT_WORD, AT(accel), .words = "auto tcg kvm",
	  .help = "Accelerators to try (default auto: TCG, and KVM where it works)" },
	{ "qemu", 0, "PATH", NULL, OPT_TEXT, AT(qemu), .help = "QEMU binary (default qemu-system-x86_64)" },
	{ "quick", 0, NULL, NULL, OPT_FLAG, AT(quick),
	  .help = "Only from the toolkit's firmware: SeaBIOS takes seconds, under nested KVM many" },
	{ "launch", 0, "exec|fork|clone|all", NULL, OPT_WORD, AT(modes), .words = "exec fork clone all",
	  .take = take_launch,
	  .help = "Instead in VMs that are launched as 'mvmscale run --launch' does it; may be given more than once" },
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json), .help = "Print JSON instead of TAP" },
	{ 0 },
};

static error *check(void *config)
{
	const struct verify *v = config;

	return v->quick && v->modes
		       ? err_new(EXIT_BAD_INPUT, "--quick has no meaning with --launch: no SeaBIOS is used")
		       : NULL;
}

/* A file that is there is an image, unless its name says that it is a profile. */
static error *load(const char *what, struct guest_image *ret)
{
	_cleanup_(profile_freep) struct profile *p = NULL;
	size_t len = strlen(what);
	bool is_profile = len > 8 && str_eq(what + len - 8, ".profile");

	if (!is_profile && (strchr(what, '/') || access(what, F_OK) == 0)) {
		error *e = image_load(what, ret);
		if (e || ret->has_params)
			return e;
		return err_new(
			EXIT_BAD_INPUT,
			"%s: has no parameter block, so it is no guest of this toolkit's, and has no contract to keep",
			what);
	}
	error *e = profile_load(what, &p);
	return e ? e : image_from_profile(p, ret);
}

static void print_clause(struct verify *v, const char *what, const struct guest_check_run *r, enum clause c)
{
	bool elsewhere = r->clauses[c].state == CLAUSE_ELSEWHERE;

	printf("%s %u - %s on %s: %s%s%s\n", r->clauses[c].state == CLAUSE_BROKEN ? "not ok" : "ok",
	       ++v->tests, what, r->name, clause_names[c], elsewhere ? " # SKIP " : "",
	       elsewhere ? r->clauses[c].detail : "");
	if (r->clauses[c].detail && !elsewhere)
		printf("# %s\n", r->clauses[c].detail);
}

static void print_tap(struct verify *v, const char *what, const struct guest_check_run *r)
{
	if (r->skipped) {
		printf("ok %u - %s on %s # SKIP %s\n", ++v->tests, what, r->name, r->skipped);
		return;
	}
	for (enum clause c = 0; c < CLAUSES; c++) {
		if (r->clauses[c].state == CLAUSE_UNTRIED)
			continue;
		print_clause(v, what, r, c);
	}
	fflush(stdout);
}

static json_t *run_json(const struct guest_check_run *r)
{
	json_t *clauses = json_array();

	for (enum clause c = 0; c < CLAUSES; c++)
		if (r->clauses[c].state != CLAUSE_UNTRIED)
			json_array_append_new(
				clauses, json_pack("{s:s,s:o,s:s?}", "name", clause_names[c], "kept",
						   r->clauses[c].state == CLAUSE_ELSEWHERE
							   ? json_null()
							   : json_boolean(r->clauses[c].state == CLAUSE_KEPT),
						   "detail", r->clauses[c].detail));
	return json_pack("{s:s,s:s?,s:o}", "setting", r->name, "skipped", r->skipped, "clauses", clauses);
}

/* True when no clause was broken. */
static bool report(struct verify *v, const char *what, const struct guest_image *img,
		   const struct guest_check *check)
{
	json_t *runs = json_array();
	bool kept = true;

	for (size_t i = 0; i < check->count; i++) {
		const struct guest_check_run *r = &check->runs[i];

		for (enum clause c = 0; c < CLAUSES; c++)
			kept = kept && r->clauses[c].state != CLAUSE_BROKEN;
		if (v->json)
			json_array_append_new(runs, run_json(r));
		else
			print_tap(v, what, r);
	}
	/* a file name need not be UTF-8, a JSON text has to be */
	json_t *name = json_string(what);
	json_array_append_new(v->results, json_pack("{s:o,s:s,s:b,s:o}", "image", name ? name : json_null(),
						    "guest", img->guest, "kept", kept, "settings", runs));
	return kept;
}

static error *check_one(const struct verify *v, const struct guest_image *img, const char *qemu,
			struct guest_check *ret)
{
	return v->modes ? guest_check_launch(img, v->qemu, v->accel, v->modes, ret)
			: guest_check_image(img, qemu, v->accel, v->quick, ret);
}

static error *verify_all(struct verify *v, bool *ret_kept)
{
	_cleanup_free_ char *qemu = NULL;
	error *e = trial_find_qemu(v->qemu, &qemu);

	*ret_kept = true;
	for (size_t i = 0; !e && i < v->what.count; i++) {
		struct guest_check check = { 0 };
		struct guest_image img;

		if (!(e = load(v->what.items[i], &img)) && !(e = check_one(v, &img, qemu, &check)))
			*ret_kept = report(v, v->what.items[i], &img, &check) && *ret_kept;
		guest_check_clear(&check);
	}
	return e;
}

static int run(int argc, char **argv)
{
	struct verify v = { .accel = "auto", .results = json_array() };
	bool kept;

	cmd_parse(&mvm_verify, argc, argv, &v);
	error *e = verify_all(&v, &kept);
	if (!e && v.json)
		cmd_print_json(json_incref(v.results), 0);
	else if (!e)
		printf("1..%u\n", v.tests);
	json_decref(v.results);
	strlist_clear(&v.what);
	if (e)
		return cmd_fail(e);
	return kept ? EXIT_DONE : EXIT_REGRESSION;
}

const struct command mvm_verify = {
	.name = "verify",
	.summary = "boot images in every way there is and check that they keep the contract",
	.usage = "IMG|PROFILE...",
	.doc = "Boots each image in QEMU: from the toolkit's firmware, from SeaBIOS as a floppy and as a hard disk, under TCG and, where it works, under KVM. Checks in each of them that the guest says its "
	       "ready line, answers ping, answers an unknown request, an empty line, an overlong line and many lines at "
	       "once as the contract says, sleeps when nobody asks, and answers after that. With --launch the same is asked of VMs that were made in other ways: forked from an initialized QEMU, or copied "
	       "from a running VM."
	       "\v"
	       "Prints TAP, a line for each clause; one that a VM cannot be asked, such as the boot of a clone, is skipped by name. Exit status: 0 all is kept, 1 some clause is broken (the lines "
	       "'not ok' name each), 2 usage or bad image, 3 QEMU is missing.",
	.options = options,
	.words = AT(what),
	.none = "what? Give images, or profiles: 'mvm list' shows them",
	.check = check,
	.run = run,
};
