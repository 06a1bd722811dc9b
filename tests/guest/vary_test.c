/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every VM of a population has the seed and the phase that arithmetic gives it, and the parameters of its
 * profile, whatever way it was launched: the VMs themselves are asked. Prints TAP.
 */
#include <string.h>

#include "backend/kvm/options.h"
#include "backend/qemu/options.h"
#include "base/clock.h"
#include "base/fs.h"
#include "guest/profile.h"

#define VMS 4U
#define SPREAD_MS 100000

static unsigned tests, bad;

/* One way to start VMs. */
static const struct way {
	const char *name, *accel;
	const struct backend_ops *ops;
	enum launch_mode launch;
} ways[] = {
	{ "exec", "tcg", &backend_qemu, LAUNCH_EXEC },
	{ "fork", "tcg", &backend_qemu, LAUNCH_FORK },
	{ "clone", "tcg", &backend_qemu, LAUNCH_CLONE },
	{ "exec under KVM", "kvm", &backend_qemu, LAUNCH_EXEC },
	{ "fork under KVM", "kvm", &backend_qemu, LAUNCH_FORK },
	{ "clone under KVM", "kvm", &backend_qemu, LAUNCH_CLONE },
	{ "the kvm backend", "kvm", &backend_kvm, LAUNCH_EXEC },
};

/* What a profile sets, and who tells. */
static const struct setting {
	const char *guest, *parameter, *request, *answer;
} settings[] = {
	{ "hello", "text = Ahoy, all of you!", "hello", "Ahoy, all of you!" },
	{ "burn", "iterations = 12345", "burn", "done 12345" },
	{ "touch", "pages = 37", "pages", "37" },
};

static void report(bool good, const char *mode, const char *what, const char *why)
{
	printf("%s %u - %s: %s\n", good ? "ok" : "not ok", ++tests, mode, what);
	if (!good) {
		bad++;
		printf("# %s\n", why ? why : "");
	}
	fflush(stdout);
}

static bool tells(struct backend *b, uint32_t vm, const char *request, const char *want, char **ret_why)
{
	char reply[64];
	_cleanup_err_ error *e = b->ops->ask(b, vm, request, 10000, reply, sizeof(reply), NULL);

	if (!e && str_eq(reply, want))
		return true;
	free(*ret_why);
	*ret_why = e ? xstrdup(e->msg) : xasprintf("VM %u: %s is %s, not %s", vm, request, reply, want);
	return false;
}

static bool tells_number(struct backend *b, uint32_t vm, const char *request, uint32_t want, char **ret_why)
{
	_cleanup_free_ char *expected = xasprintf("%u", want);

	return tells(b, vm, request, expected, ret_why);
}

static error *start_all(struct backend *b)
{
	uint32_t begun = 0, ready = 0, n;
	struct backend_event ev;
	uint64_t deadline = clock_ns() + 60000000000ULL;

	while (ready < VMS && clock_ns() < deadline) {
		error *e = NULL;

		if (begun < VMS && b->ops->room(b)) {
			e = b->ops->start(b, begun, VMS - begun, &n);
			begun += n;
		}
		if (e)
			return e;
		if (!b->ops->poll(b, 100, &ev, 1))
			continue;
		if (ev.kind != BACKEND_READY) {
			e = err_new(EXIT_CANNOT, "%s", ev.reason);
			free(ev.reason);
			return e;
		}
		ready++;
	}
	return ready == VMS ? NULL : err_new(EXIT_CANNOT, "not all VMs were ready in time");
}

/* One population: its backend, while it runs. */
struct population {
	const struct way *way;
	struct guest_image image;
	struct vary vary;
	struct vm vms[VMS];
	struct backend *b; /* NULL: it cannot run here, or does not, which was reported */
};

static void launch(struct population *p, const char *dir, const struct preset *preset)
{
	const struct way *way = p->way;
	const struct kvm_config kvm = { .no_debugfs = true };
	const struct qemu_config qemu = { .preset = preset, .accel = way->accel, .launch = way->launch };
	struct backend_config cfg = { .image = &p->image,
				      .vary = &p->vary,
				      .runtime_dir = dir,
				      .jobs = 2,
				      .ready_timeout_ns = 60000000000ULL,
				      .cgroup_procs_fd = -1,
				      .own = way->ops == &backend_kvm ? (const void *)&kvm
								      : (const void *)&qemu };
	error *e = way->ops->open(&cfg, p->vms, VMS, &p->b);

	/* what its probe finds is the host's doing; a launch mode that fails under KVM is ours */
	if (e && str_eq(way->accel, "kvm") &&
	    (strstr(e->msg, "KVM cannot be used") || strstr(e->msg, "cannot run here"))) {
		printf("ok %u - %s, %s # SKIP %s\n", ++tests, way->name, p->image.guest, e->msg);
		err_free(e);
		return;
	}
	if (!e)
		e = start_all(p->b);
	if (!e)
		return;
	report(false, way->name, "starts", e->msg);
	err_free(e);
	if (p->b)
		p->b->ops->close(p->b);
	p->b = NULL;
}

static void check_values(const struct way *way, const char *dir, const struct preset *preset)
{
	struct population p = { .way = way };
	error *e = image_load_guest("shell", &p.image);

	if (e) {
		report(false, way->name, "has its guest", e->msg);
		err_free(e);
		return;
	}
	image_set_phase(&p.image, 7);
	p.vary = vary_of(&p.image, SPREAD_MS, 42);
	launch(&p, dir, preset);
	for (uint32_t i = 0; p.b && i < VMS; i++) {
		struct vary_values v = vary_values_of(&p.vary, i);
		_cleanup_free_ char *why = NULL, *what = xasprintf("VM %u has its own seed and phase", i);

		report(tells_number(p.b, i, "seed", v.seed, &why) &&
			       tells_number(p.b, i, "phase", v.phase_ms, &why),
		       way->name, what, why);
	}
	if (p.b)
		p.b->ops->close(p.b);
}

static void check_setting(const struct way *way, const char *dir, const struct preset *preset,
			  const struct setting *s)
{
	_cleanup_free_ char *text =
		xasprintf("[profile]\nguest = %s\nsummary = x\n[parameters]\n%s\n", s->guest, s->parameter);
	_cleanup_free_ char *what = xasprintf("every VM has its profile's %s", s->parameter), *why = NULL;
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct population p = { .way = way };
	error *e = profile_parse(text, s->guest, &profile);
	bool kept = true;

	if (!e)
		e = image_from_profile(profile, &p.image);
	if (e) {
		report(false, way->name, what, e->msg);
		err_free(e);
		return;
	}
	p.vary = vary_of(&p.image, 0, 42);
	launch(&p, dir, preset);
	if (!p.b)
		return;
	for (uint32_t i = 0; i < VMS; i++)
		kept = tells(p.b, i, s->request, s->answer, &why) && kept;
	report(kept, way->name, what, why);
	p.b->ops->close(p.b);
}

int main(void)
{
	char dir[] = "/tmp/mvm-vary-XXXXXX";
	_cleanup_free_ char *qemu = fs_find_program("qemu-system-x86_64");
	_cleanup_(preset_freep) struct preset *preset = NULL;

	if (!qemu) {
		puts("ok 1 - VMs differ # SKIP qemu-system-x86_64 is not on PATH\n1..1");
		return 0;
	}
	_cleanup_err_ error *e = preset_load("dense", &preset);
	if (e || !mkdtemp(dir)) {
		printf("Bail out! %s\n", e ? e->msg : dir);
		return EXIT_CANNOT;
	}
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		check_values(&ways[i], dir, preset);
		for (size_t k = 0; k < ARRAY_LEN(settings); k++)
			check_setting(&ways[i], dir, preset, &settings[k]);
	}
	fs_remove_tree(dir);
	printf("1..%u\n", tests);
	return bad ? 1 : 0;
}
