/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kvm backend's ops with real VMs: what differs between them, what they are asked, how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/kvm/options.h"
#include "base/fs.h"
#include "base/util.h"

#define VMS 7

static char dir[] = "/tmp/mvm-kvm-XXXXXX";
static struct guest_image image;
static struct vary vary;
static struct vm vms[VMS];

/* NULL where KVM cannot be used. */
static struct backend *opened(void)
{
	static const struct kvm_config own = { .shard = 3 };
	static struct backend_config cfg;
	struct backend *b = NULL;

	cfg = (struct backend_config){ .image = &image,
				       .vary = &vary,
				       .runtime_dir = dir,
				       .jobs = 4,
				       .ready_timeout_ns = 20000000000ULL,
				       .cgroup_procs_fd = -1,
				       .own = &own };
	memset(vms, 0, sizeof(vms));
	_cleanup_err_ error *e = image_load_guest("shell", &image);
	assert_null(e);
	vary = vary_of(&image, 0, 42);
	e = backend_kvm.open(&cfg, vms, VMS, &b);
	if (e)
		print_message("%s\n", e->msg);
	return b;
}

static void launched(struct backend *b)
{
	struct backend_event ev[4];
	uint32_t begun = 0, ready = 0;

	assert_null(b->ops->start(b, 0, VMS, &begun));
	assert_int_equal(begun, VMS);
	while (ready < VMS) {
		size_t n = b->ops->poll(b, 1000, ev, ARRAY_LEN(ev));

		for (size_t i = 0; i < n; i++) {
			assert_int_equal(ev[i].kind, BACKEND_READY);
			ready++;
		}
	}
}

static void each_vm_is_its_own(void **state)
{
	struct backend *b = opened();
	char reply[64], want[64];

	(void)state;
	if (!b) {
		skip();
		return; /* for the analyzer */
	}
	launched(b);
	for (uint32_t i = 0; i < VMS; i++) {
		const float *us = b->ops->stages(b, i);

		snprintf(want, sizeof(want), "%u", vary_values_of(&vary, i).seed);
		assert_null(b->ops->ask(b, i, "seed", 5000, reply, sizeof(reply), NULL));
		assert_string_equal(reply, want);
		for (int k = 0; k < BACKEND_STAGE_COUNT; k++)
			assert_true(us[k] > 0);
		assert_true(vms[i].ready_us >= vms[i].up_us);
	}
	b->ops->close(b);
}

static void an_answer_belongs_to_its_request(void **state)
{
	struct backend *b = opened();
	char reply[64], tiny[3], request[400];
	double ms = -1;
	error *e;

	(void)state;
	if (!b) {
		skip();
		return; /* for the analyzer */
	}
	launched(b);
	/* a request whose answer nobody waits for is not taken for that of the next */
	e = b->ops->ask(b, 0, "seed", 0, reply, sizeof(reply), NULL);
	err_free(e);
	assert_null(b->ops->ask(b, 0, "ping", 5000, reply, sizeof(reply), &ms));
	assert_string_equal(reply, "pong");
	assert_true(ms >= 0);
	/* too long either way */
	assert_non_null(e = b->ops->ask(b, 1, "ping", 5000, tiny, sizeof(tiny), NULL));
	err_free(e);
	memset(request, 'x', sizeof(request) - 1);
	request[sizeof(request) - 1] = '\0';
	assert_non_null(e = b->ops->ask(b, 1, request, 5000, reply, sizeof(reply), NULL));
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	err_free(e);
	/* nobody is there */
	assert_null(b->ops->stop_all(b, NULL, NULL));
	for (uint32_t i = 0; i < VMS; i++)
		assert_int_equal(vms[i].state, VM_GONE);
	b->ops->close(b);
}

static int clean(void **state)
{
	(void)state;
	fs_remove_tree(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_vm_is_its_own),
		cmocka_unit_test(an_answer_belongs_to_its_request),
	};

	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, clean);
}
