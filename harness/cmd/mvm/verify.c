/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does an image keep the guest contract, whatever it boots from and runs on? */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "backend/qemu/guest_check.h"
#include "base/fs.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/profile.h"

enum {
	OPT_ACCEL = 0x100,
	OPT_QEMU,
	OPT_QUICK,
	OPT_LAUNCH,
	OPT_JSON,
};

struct verify {
	const char *accel, *qemu;
	bool json, quick;
	unsigned modes; /* 1 << enum launch_mode; 0: every way of booting */
	struct strlist what;
	json_t *results; /* with --json */
	unsigned tests;	 /* TAP's number */
};

static const struct argp_option options[] = {
	{ "accel", OPT_ACCEL, "auto|tcg|kvm", 0,
	  "Accelerators to try (default auto: TCG, and KVM where it works)", 0 },
	{ "qemu", OPT_QEMU, "PATH", 0, "QEMU binary (default qemu-system-x86_64)", 0 },
	{ "quick", OPT_QUICK, NULL, 0,
	  "Only from the toolkit's firmware: SeaBIOS takes seconds, under nested KVM many", 0 },
	{ "launch", OPT_LAUNCH, "exec|fork|clone|all", 0,
	  "Instead in VMs that are launched as 'mvmscale run --launch' does it; may be given more than once",
	  0 },
	{ "json", OPT_JSON, NULL, 0, "Print JSON instead of TAP", 0 },
	{ 0 },
};

static unsigned launch_option(struct argp_state *state, const char *arg)
{
	if (str_eq(arg, "all"))
		return (1U << LAUNCH_AUTO) - 1;
	for (enum launch_mode m = 0; m < LAUNCH_AUTO; m++)
		if (str_eq(arg, launch_names[m]))
			return 1U << m;
	argp_error(state, "--launch %s: must be exec, fork, clone or all", arg);
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct verify *v = state->input;

	switch (key) {
	case OPT_ACCEL:
		if (!str_eq(arg, "auto") && !str_eq(arg, "tcg") && !str_eq(arg, "kvm"))
			argp_error(state, "--accel %s: must be auto, tcg or kvm", arg);
		v->accel = arg;
		return 0;
	case OPT_QEMU:
		if (!*arg)
			argp_error(state, "--qemu '': needs a program");
		v->qemu = arg;
		return 0;
	case OPT_QUICK:
		v->quick = true;
		return 0;
	case OPT_LAUNCH:
		v->modes |= launch_option(state, arg);
		return 0;
	case OPT_JSON:
		v->json = true;
		return 0;
	case ARGP_KEY_ARG:
		strlist_add(&v->what, arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "what? Give images, or profiles: 'mvm list' shows them");
		return 0;
	case ARGP_KEY_END:
		if (v->quick && v->modes)
			argp_error(state, "--quick has no meaning with --launch: no SeaBIOS is used");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mvm_verify_argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "IMG|PROFILE...",
	.doc = "Boots each image in QEMU: from the toolkit's firmware, from SeaBIOS as a floppy and as a hard disk, under TCG and, where it works, under KVM. Checks in each of them that the guest says its "
	       "ready line, answers ping, answers an unknown request, an empty line, an overlong line and many lines at "
	       "once as the contract says, sleeps when nobody asks, and answers after that. With --launch the same is asked of VMs that were made in other ways: forked from an initialized QEMU, or copied "
	       "from a running VM."
	       "\v"
	       "Prints TAP, a line for each clause; one that a VM cannot be asked, such as the boot of a clone, is skipped by name. Exit status: 0 all is kept, 1 some clause is broken (the lines "
	       "'not ok' name each), 2 usage or bad image, 3 QEMU is missing.",
};

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

int mvm_verify(int argc, char **argv)
{
	struct verify v = { .accel = "auto", .results = json_array() };
	bool kept;

	mvm_parse(&mvm_verify_argp, argc, argv, &v);
	error *e = verify_all(&v, &kept);
	if (!e && v.json) {
		json_dumpf(v.results, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!e) {
		printf("1..%u\n", v.tests);
	}
	json_decref(v.results);
	strlist_clear(&v.what);
	if (e)
		return mvm_fail(e);
	return kept ? EXIT_DONE : EXIT_REGRESSION;
}
