/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of options: sizes, lists, hosts to plan for, techniques, specifications of ab. */
#include <math.h>
#include <string.h>

#include "advise/host_spec.h"
#include "backend/libvirt/name.h"
#include "backend/qemu/tune.h"
#include "compare/slo.h"
#include "compare/spec.h"
#include "driver.h"
#include "guest/wave.h"
#include "host/affinity.h"
#include "host/cgroup.h"
#include "host/swap.h"
#include "run/options.h"

static void numbers(const char *text)
{
	struct swap_spec swap;
	struct host_spec h;
	struct cgroup_limits l;
	double v = 0;
	long n;

	if (parse_bytes(text, &v))
		fuzz_must(isfinite(v) && v >= 0, "a size is %g", v);
	if (parse_double(text, -10, 10, &v))
		fuzz_must(v >= -10 && v <= 10, "a number is %g", v);
	if (parse_long(text, -10, 10, &n))
		fuzz_must(n >= -10 && n <= 10, "a number is %ld", n);
	if (wave_read_duration(text, &v))
		fuzz_must(isfinite(v) && v >= 0, "a duration is %g", v);
	if (wave_read_load(text, &v))
		fuzz_must(v >= 0 && v <= 100, "a load is %g", v);
	if (!fuzz_refused(swap_parse(text, &swap), "swap"))
		fuzz_must(swap.bytes >= 1 << 20, "swap of %llu bytes", (unsigned long long)swap.bytes);
	if (!fuzz_refused(host_spec_parse(text, &h), "host")) {
		fuzz_must(isnan(h.cores) || h.cores >= 1, "%g cores", h.cores);
		fuzz_must(isnan(h.ram_kb) || (h.ram_kb > 0 && isfinite(h.ram_kb)), "%g kB", h.ram_kb);
	}
	if (!fuzz_refused(cgroup_limits_parse(text, NULL, NULL, 4, &l), "--cgroup-"))
		fuzz_must(l.cores > 0 && isfinite(l.cores), "%g cores", l.cores);
	if (!fuzz_refused(cgroup_limits_parse(NULL, text, NULL, 4, &l), "--cgroup-"))
		fuzz_must(l.mem_bytes >= 1 << 20 && isfinite(l.mem_bytes), "%g bytes", l.mem_bytes);
	if (!fuzz_refused(cgroup_limits_parse(NULL, NULL, text, 4, &l), "--cgroup-"))
		fuzz_must(l.pids > 0, "%ld tasks", l.pids);
	for (int f = 0; f < FIGURE_COUNT; f++)
		if (!slo_parse_gate((enum figure)f, text, &v))
			fuzz_must(v >= 0 && isfinite(v), "a gate is %g", v);
}

static void lists(const char *text)
{
	unsigned char set[200], again[200];
	struct tuning t;

	if (!fuzz_refused(cpulist_parse(text, "CPUs", sizeof(set), set), "CPUs")) {
		_cleanup_free_ char *back = cpulist_text(set, sizeof(set));
		error *e = *back ? cpulist_parse(back, "CPUs", sizeof(again), again) : NULL;

		fuzz_must(!e, "the list '%s' is not read", back);
		fuzz_must(!*back || memcmp(set, again, sizeof(set)) == 0, "the list '%s' is another", back);
	}
	if (!fuzz_refused(tuning_parse("", text, &t), "--tune")) {
		json_t *j = tuning_json(&t);

		fuzz_must(json_object_size(j) == TECH_COUNT, "techniques are missing");
		json_decref(j);
	}
	fuzz_refused(tuning_parse(text, NULL, &t), "tune");
}

static void specs(const char *text)
{
	struct strlist a = { 0 }, b = { 0 }, differ = { 0 };

	if (!fuzz_refused(spec_parse(text, run_option_rows(), &a), "")) {
		for (size_t i = 0; i < a.count; i++)
			fuzz_must(str_starts(a.items[i], "--") && !str_starts(a.items[i], "--out"),
				  "an option is '%s'", a.items[i]);
		spec_differences(&a, &b, &differ);
		fuzz_must(differ.count <= a.count, "more differences than options");
	}
	strlist_clear(&a);
	strlist_clear(&differ);
}

static void run(const char *text, size_t len)
{
	uint32_t number;

	(void)len;
	numbers(text);
	lists(text);
	specs(text);
	if (lv_name_number("mvmscale-0123456789ab-1-2", text, &number))
		fuzz_must(strchr(text, '-') != NULL, "a number from nowhere");
	fuzz_must(lv_name_owner(text, "5d7f3c1a-0e0b-5f0e-9c52-6d766d736361") == LV_FOREIGN,
		  "a foreign domain is taken as ours");
}

static const char *const seeds[] = { "512M",
				     "zram:4G",
				     "0",
				     "1.5T",
				     "50%",
				     "3 %",
				     "cores=48,ram=128G,swap=0,nodes=2",
				     "0-3,8,10-14:2",
				     "199",
				     "+ksm,-noaslr",
				     "noaslr one-arena",
				     "qemu=/opt/q,tune=+ksm,-noaslr,no-raise",
				     "machine=pc,usb=off,qemu=x",
				     "250ms",
				     "1.5 h",
				     "mvmscale-0123456789ab-1-2-77",
				     "none",
				     NULL };
static const char *const words[] = { "G",	"K",   "%", "cores=", "ram=",  "+ksm",
				     "-noaslr", "0-9", ":", "zram:",  "tune=", NULL };
static const struct fuzz_shape shapes[] = {
	{ "", "0,", "1" },
	{ "", "0-199,", "1" },
	{ "", "+ksm,", "+ksm" },
	{ "", "ksm ", "" },
	{ "qemu=a", ",b", "" },
	{ "", "no-raise,", "" },
	{ "", "cores=1,", "cores=2" },
	{ "", "1", "M" },
	{ "", "9", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "options", .run = run, .seeds = seeds, .words = words, .shapes = shapes
};
