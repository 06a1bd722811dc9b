/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/null.h"
#include "backend/qemu/tune.h"
#include "base/clock.h"
#include "base/util.h"

#define VMS 3000

struct population {
	struct null_config cost;
	struct backend_config cfg;
	struct vm *vms;
	struct backend *b;
};

static struct population *opened(double start_ms)
{
	struct population *p = xcalloc(1, sizeof(*p));

	p->cost = (struct null_config){ .mem_kb = 500, .cpu_pct = 0.01, .start_ms = start_ms };
	p->cfg = (struct backend_config){ .own = &p->cost, .seed = 1, .cgroup_procs_fd = -1 };
	p->vms = xcalloc(VMS, sizeof(*p->vms));
	assert_null(backend_null.open(&p->cfg, p->vms, VMS, &p->b));
	return p;
}

static void closed(struct population *p)
{
	p->b->ops->close(p->b);
	free(p->vms);
	free(p);
}

/* Starts VMs until n began, counting what becomes of them. */
static uint32_t launch(struct population *p, uint32_t n, uint32_t *ret_died)
{
	uint32_t begun = 0, ready = 0, died = 0;
	uint64_t give_up = clock_ns() + 20000000000ULL;

	while (ready < n && clock_ns() < give_up) {
		struct backend_event ev[299]; /* no divisor of VMS: some batch is not full */
		uint32_t more, room = p->b->ops->room(p->b);

		assert_null(p->b->ops->start(p->b, begun, MIN(room, n - begun), &more));
		begun += more;
		size_t got = p->b->ops->poll(p->b, 10, ev, ARRAY_LEN(ev));
		assert_true(got <= ARRAY_LEN(ev));
		for (size_t i = 0; i < got; i++) {
			ready += ev[i].kind == BACKEND_READY;
			died += ev[i].kind == BACKEND_DIED;
			free(ev[i].reason);
		}
	}
	if (ret_died)
		*ret_died = died;
	return ready;
}

static void table_is_complete(void **state)
{
	_cleanup_err_ error *e = backend_check_table();

	(void)state;
	assert_null(e);
	assert_ptr_equal(backend_find("null"), &backend_null);
	assert_ptr_equal(backend_find("qemu"), &backend_qemu);
	assert_null(backend_find("nul"));
	assert_null(backend_find(""));
}

static void costs_are_what_was_declared(void **state)
{
	struct population *p = opened(0);
	double cpu, kb;

	(void)state;
	p->b->ops->synthetic(p->b, &cpu, &kb);
	assert_true(cpu == 0 && kb == 0);
	assert_int_equal(launch(p, VMS, NULL), VMS);
	p->b->ops->synthetic(p->b, &cpu, &kb);
	assert_true(fabs(cpu - VMS * 0.01) < 1e-9);
	assert_true(fabs(kb - VMS * 500.0) < 1e-6);
	for (uint32_t i = 0; i < VMS; i++)
		assert_int_equal(p->vms[i].state, VM_READY);
	assert_null(p->b->ops->stop_all(p->b, NULL, NULL));
	p->b->ops->synthetic(p->b, &cpu, &kb);
	assert_true(cpu == 0 && kb == 0);
	assert_int_equal(p->vms[0].state, VM_GONE);
	closed(p);
}

static void start_takes_its_time(void **state)
{
	struct population *p = opened(30);

	(void)state;
	assert_int_equal(launch(p, 50, NULL), 50);
	for (uint32_t i = 0; i < 50; i++)
		assert_true(p->vms[i].ready_us >= 30000);
	closed(p);
}

static void noise_is_reproducible(void **state)
{
	double cpu[2], kb[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct population *p = opened(0);

		p->cost.noise = 0.1;
		assert_int_equal(launch(p, 100, NULL), 100);
		p->b->ops->synthetic(p->b, &cpu[i], &kb[i]);
		closed(p);
	}
	assert_true(cpu[0] == cpu[1] && kb[0] == kb[1]);
	assert_true(cpu[0] != 1.0);
}

static void describes_itself(void **state)
{
	struct population *p = opened(0);
	json_t *j = backend_describe(p->b);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(j, "name")), "null");
	assert_non_null(json_object_get(json_object_get(j, "launch"), "mode"));
	assert_true(p->b->ops->cost(p->b).mem_kb == 500);
	json_decref(j);
	closed(p);
}

/* Injected faults. Each is the process's first use of that fault: occasions are counted per process. */
static void deaths_are_told(void **state)
{
	struct population *p = opened(0);
	uint32_t died = 0;
	double cpu, kb;

	(void)state;
	setenv("MVMSCALE_FAULT", "vm-dies", 1);
	assert_int_equal(launch(p, VMS, &died), VMS);
	unsetenv("MVMSCALE_FAULT");
	assert_true(died > 0);
	p->b->ops->synthetic(p->b, &cpu, &kb);
	assert_true(fabs(kb - (VMS - died) * 500.0) < 1e-6);
	closed(p);
}

static void refused_forks_carry_errno(void **state)
{
	struct population *p = opened(0);
	uint32_t begun = 0;

	(void)state;
	setenv("MVMSCALE_FAULT", "fork-eagain:7", 1);
	_cleanup_err_ error *e = p->b->ops->start(p->b, 0, 20, &begun);
	unsetenv("MVMSCALE_FAULT");
	assert_non_null(e);
	assert_int_equal(e->sys, EAGAIN);
	assert_int_equal(begun, 7);
	closed(p);
}

static void techniques_that_are_left_out(void **state)
{
	(void)state;
	assert_false(tuning_leaves_out(NULL, TECH_KSM));
	assert_false(tuning_leaves_out("+ksm", TECH_KSM));
	assert_true(tuning_leaves_out("+noaslr,-ksm", TECH_KSM));
	assert_false(tuning_leaves_out("-noaslr", TECH_KSM));
	/* the last word counts, as for what is asked */
	assert_false(tuning_leaves_out("-ksm,+ksm", TECH_KSM));
	assert_true(tuning_leaves_out("+ksm,-ksm", TECH_KSM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_complete),	     cmocka_unit_test(costs_are_what_was_declared),
		cmocka_unit_test(start_takes_its_time),	     cmocka_unit_test(noise_is_reproducible),
		cmocka_unit_test(describes_itself),	     cmocka_unit_test(deaths_are_told),
		cmocka_unit_test(refused_forks_carry_errno), cmocka_unit_test(techniques_that_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
