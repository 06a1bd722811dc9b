/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every VM of a population has the seed and the phase that arithmetic gives it, whatever way it was
 * launched: the VMs themselves are asked. Prints TAP.
 */
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/fs.h"

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
	{ "clone under KVM", "kvm", &backend_qemu, LAUNCH_CLONE },
	{ "the kvm backend", "kvm", &backend_kvm, LAUNCH_EXEC },
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

static bool tells(struct backend *b, uint32_t vm, const char *request, uint32_t want, char **ret_why)
{
	char reply[64];
	_cleanup_free_ char *expected = xasprintf("%u", want);
	_cleanup_err_ error *e = b->ops->ask(b, vm, request, 10000, reply, sizeof(reply), NULL);

	if (!e && str_eq(reply, expected))
		return true;
	*ret_why = e ? xstrdup(e->msg) : xasprintf("VM %u: %s is %s, not %s", vm, request, reply, expected);
	return false;
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

static void check(const struct way *way, const char *dir, const struct preset *preset)
{
	const char *name = way->name;
	struct vm vms[VMS] = { 0 };
	struct guest_image img;
	struct backend *b = NULL;
	error *e = image_load_guest("shell", &img);
	struct vary vary = { 0 };
	struct backend_config cfg = { .preset = preset,
				      .image = &img,
				      .vary = &vary,
				      .accel = way->accel,
				      .runtime_dir = dir,
				      .launch = way->launch,
				      .launch_given = true,
				      .jobs = 2,
				      .ready_timeout_ns = 60000000000ULL,
				      .cgroup_procs_fd = -1 };

	if (!e) {
		image_set_phase(&img, 7);
		vary = vary_of(&img, SPREAD_MS, 42);
		e = way->ops->open(&cfg, vms, VMS, &b);
	}
	if (e && str_eq(way->accel, "kvm")) {
		printf("ok %u - %s # SKIP %s\n", ++tests, name, e->msg);
		err_free(e);
		return;
	}
	if (!e)
		e = start_all(b);
	for (uint32_t i = 0; !e && i < VMS; i++) {
		struct vary_values v = vary_values_of(&vary, i);
		_cleanup_free_ char *why = NULL, *what = xasprintf("VM %u has its own seed and phase", i);

		report(tells(b, i, "seed", v.seed, &why) && tells(b, i, "phase", v.phase_ms, &why), name,
		       what, why);
	}
	if (e)
		report(false, name, "starts", e->msg);
	err_free(e);
	if (b)
		b->ops->close(b);
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
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		check(&ways[i], dir, preset);
	fs_remove_tree(dir);
	printf("1..%u\n", tests);
	return bad ? 1 : 0;
}
