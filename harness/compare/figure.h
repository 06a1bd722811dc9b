/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_FIGURE_H
#define MVM_COMPARE_FIGURE_H

#include <stdbool.h>

#include "record/read.h"

/*
 * The one table of what is compared:
 * X(symbol, name, label, unit, higher is better, scale, default gate, decides).
 * A FIGURE_RATIO is compared as new / base and its gate is a share; a FIGURE_DIFFERENCE
 * as new - base, and its gate is in the figure's unit: it may be 0 or negative, where a ratio has no
 * meaning. A figure that decides makes the whole comparison inconclusive when it is so itself; the others can
 * only fail it. They are tails and ends of fits, too noisy to hold a comparison up.
 */
#define FIGURES(X)                                                                                         \
	X(MEM_PER_VM, "mem_per_vm_kb", "memory per VM", "kB", false, FIGURE_RATIO, 0.02, true)             \
	X(GUEST_PSS, "guest_pss_kb", "memory of a VM's process (PSS)", "kB", false, FIGURE_RATIO, 0.02,    \
	  false)                                                                                           \
	X(MEM_FIXED, "mem_fixed_kb", "fixed memory", "kB", false, FIGURE_DIFFERENCE, 65536, false)         \
	X(IDLE_CPU, "idle_cpu_pct", "CPU of idle VMs", "% of host", false, FIGURE_DIFFERENCE, 0.5, true)   \
	X(BOOT_P50, "boot_p50_ms", "boot latency, median", "ms", false, FIGURE_RATIO, 0.10, true)          \
	X(BOOT_P99, "boot_p99_ms", "boot latency, p99", "ms", false, FIGURE_RATIO, 0.25, false)            \
	X(BOOT_END, "boot_end_ms", "boot latency at the most VMs", "ms", false, FIGURE_RATIO, 0.15, false) \
	X(LAUNCH_CPU, "launch_cpu_ms", "CPU time to launch a VM", "ms", false, FIGURE_RATIO, 0.05, true)   \
	X(LAUNCH_CPU_END, "launch_cpu_end_ms", "CPU time to launch at the most VMs", "ms", false,          \
	  FIGURE_RATIO, 0.10, false)                                                                       \
	X(CEILING, "ceiling_vms", "VMs at the ceiling", "VMs", true, FIGURE_RATIO, 0.03, true)             \
	X(TEARDOWN, "teardown_ms", "teardown of a VM", "ms", false, FIGURE_RATIO, 0.20, false)             \
	X(WAKE_P50, "wake_p50_ms", "wake latency, median", "ms", false, FIGURE_RATIO, 0.20, false)         \
	X(WAKE_P99, "wake_p99_ms", "wake latency, p99", "ms", false, FIGURE_RATIO, 0.50, false)

enum figure_scale { FIGURE_RATIO, FIGURE_DIFFERENCE };

enum figure {
#define FIGURE_SYMBOL(sym, ...) FIGURE_##sym,
	FIGURES(FIGURE_SYMBOL)
#undef FIGURE_SYMBOL
		FIGURE_COUNT
};

struct figure_info {
	const char *name, *label, *unit;
	double gate;
	enum figure_scale scale;
	bool higher_is_better, decides;
};
extern const struct figure_info figure_table[FIGURE_COUNT];

/* Index by name, -1 when there is none. */
int figure_by_name(const char *name);
/* "-3.1 %" or "+0.4": a change in the figure's scale; "2 %": a gate. The caller frees them. */
char *figure_change_text(enum figure f, double change);
char *figure_gate_text(enum figure f, double gate);

/*
 * What one run says of each figure, NAN where it does not. Only intervals up to `top` VMs count, so that runs
 * that went differently far are compared over the same populations; 0 is all of them. Slopes are robust lines
 * (model/fit.h) through the intervals with VMs; the baseline row is left out, for the
 * page cache of the first VM's programs moves it. Each run gives one value: the intervals in it are
 * correlated.
 */
void figures_read(const struct run_record *r, double top, double ret[FIGURE_COUNT]);

#endif
