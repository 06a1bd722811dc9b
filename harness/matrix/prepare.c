/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of a matrix can run on this host, how far, and how long it will take. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/backend.h"
#include "backend/qemu/preset.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "guest/profile.h"
#include "host/facts.h"
#include "host/governor.h"
#include "matrix/matrix.h"

#define ANSWER_TIMEOUT_NS 10000000000ULL
#define ANSWER_SIZE 4096

/* It dies with us, however we end. */
static error *start_qemu(const char *program, int in, int out, pid_t *ret)
{
	char *argv[] = { (char *)program,	(char *)"-machine", (char *)"none",
			 (char *)"-nodefaults", (char *)"-display", (char *)"none",
			 (char *)"-qmp",	(char *)"stdio",    NULL };
	const struct spawn_fd ask = { .from = in, .to = STDIN_FILENO };
	const struct spawn_spec spec = {
		.path = program,
		.argv = argv,
		.envp = environ,
		.stderr_fd = out,
		.cgroup_procs_fd = -1,
		.fds = &ask,
		.fd_count = 1,
	};

	return spawn_process(&spec, ret);
}

/* Reads until the answer is there, the program ends, or time is up. */
static void read_answer(int fd, char *text)
{
	uint64_t until = clock_ns() + ANSWER_TIMEOUT_NS;
	size_t len = 0;

	while (len < ANSWER_SIZE - 1 && !strstr(text, "\"arch\"") && clock_ns() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 100) <= 0)
			continue;
		ssize_t n = read(fd, text + len, ANSWER_SIZE - 1 - len);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
	}
}

static char *program_of(pid_t pid)
{
	_cleanup_free_ char *link = xasprintf("/proc/%d/exe", (int)pid);
	char path[PATH_MAX];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return xstrdup(path);
}

/* The value of "arch" in QMP's answer; NULL without one. */
static char *arch_of(const char *text)
{
	const char *at = strstr(text, "\"arch\"");

	at = at ? strchr(at + strlen("\"arch\""), '"') : NULL;
	return at ? xasprintf("%.*s", (int)strcspn(at + 1, "\""), at + 1) : NULL;
}

/* Asks a QEMU what it emulates, and which program it really is (it may be a wrapper). */
static error *qemu_target(const char *program, char **ret_binary, char **ret_target)
{
	static const char ask[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-target\"}";
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	char text[ANSWER_SIZE] = "";
	pid_t pid = 0;
	error *e = NULL;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		e = err_sys(EXIT_CANNOT, errno, "cannot ask %s what it emulates", program);
	if (!e)
		e = start_qemu(program, in[0], out[1], &pid);
	_cleanup_close_ int from = in[0], ask_fd = in[1], answer_fd = out[0];
	(void)from;
	if (out[1] >= 0)
		close(out[1]); /* so that its end is seen */
	if (e)
		return e;
	/* it fits into the pipe, so nobody has to read it yet */
	if (write(ask_fd, ask, strlen(ask)) == (ssize_t)strlen(ask))
		read_answer(answer_fd, text);
	_cleanup_free_ char *binary = program_of(pid);
	child_kill(pid);
	*ret_target = arch_of(text);
	if (!*ret_target)
		return err_new(EXIT_CANNOT, "%s does not say over QMP what it emulates: is it a QEMU?",
			       program);
	*ret_binary = binary ? STEAL(binary) : xstrdup(program);
	return NULL;
}

/* CPU time to start a VM by launch mode, as measured on one machine: an estimate's begin, no more. */
#define EXEC_MS 30
#define FORK_MS 12
#define CLONE_MS 3
/* What SeaBIOS and a disk add, emulated. */
#define BIOS_MS 500
#define DEFAULT_RAM_SHARE 0.5
#define DEFAULT_CELL_MINUTES 4
/* Of `run`, where the file does not say. */
#define DEFAULT_INTERVALS 20
#define DEFAULT_SAMPLES 8
#define DEFAULT_SAMPLE_S 0.35
#define AUTO_SETTLE_S 2

static double number(const struct matrix_cell *c, enum matrix_key k, double fallback)
{
	double v = 0;

	return c->value[k] && parse_double(c->value[k], -INFINITY, INFINITY, &v) ? v : fallback;
}

static const struct backend_ops *backend_of(const struct matrix_cell *c)
{
	return c->value[KEY_BACKEND] ? backend_find(c->value[KEY_BACKEND]) : &backend_qemu;
}

/* Names that are in no list would fail cell by cell, hours later. */
static error *check_names(const struct matrix_cell *c, struct preset **ret)
{
	_cleanup_(profile_freep) struct profile *p = NULL;
	const char *preset = c->value[KEY_PRESET], *profile = c->value[KEY_PROFILE];
	const struct backend_ops *backend = backend_of(c);
	error *e = NULL;

	*ret = NULL;
	if (!backend)
		return err_new(EXIT_BAD_INPUT,
			       "configuration '%s': unknown backend '%s': see 'mvmscale list backends'",
			       c->label, c->value[KEY_BACKEND]);
	if (profile && (e = profile_load(profile, &p)))
		return err_wrap(e, "configuration '%s'", c->label);
	if (backend->flags & BACKEND_PRESETS)
		e = preset_load(preset ? preset : "dense", ret);
	return e ? err_wrap(e, "configuration '%s'", c->label) : NULL;
}

/* The program that `arch` or `qemu` names, and what it really is. */
static error *find_qemu(const struct matrix_cell *c, struct cell_plan *p)
{
	const char *arch = c->value[KEY_ARCH], *qemu = c->value[KEY_QEMU];

	if (!arch && !qemu)
		return NULL;
	char *asked = arch ? xasprintf("qemu-system-%s", arch) : xstrdup(qemu);
	free(p->asked);
	p->asked = asked;
	_cleanup_free_ char *found = fs_find_program(asked);
	if (!found)
		return err_new(
			EXIT_CANNOT,
			"%s is no program that is here: install it (Debian: apt-get install qemu-system-x86) or put its folder on PATH",
			asked);
	free(p->qemu);
	free(p->target);
	p->qemu = p->target = NULL;
	error *e = qemu_target(found, &p->qemu, &p->target);
	if (e || !arch || str_eq(arch, p->target))
		return e;
	return err_new(EXIT_CANNOT, "%s is here %s, which emulates %s and not %s", asked, p->qemu, p->target,
		       arch);
}

static error *check_governor(const struct matrix_cell *c)
{
	_cleanup_(strlist_clear) struct strlist names = { 0 };
	const char *want = c->value[KEY_GOVERNOR];

	if (!want)
		return NULL;
	governor_names("", &names);
	for (size_t i = 0; i < names.count; i++)
		if (str_eq(names.items[i], want))
			return NULL;
	_cleanup_free_ char *known = names.count ? strlist_join(&names) : NULL;
	return err_new(EXIT_CANNOT, "governor %s: %s%s", want,
		       known ? "this host's CPUs offer only "
			     : "this host has no cpufreq, so the clock cannot be set",
		       known ? known : "");
}

/* The larger of the accelerators that may be meant. */
static void preset_cost(const struct matrix_cell *c, const struct preset *p, struct cell_cost *ret)
{
	const char *launch = c->value[KEY_LAUNCH], *accel = c->value[KEY_ACCEL];
	bool exact = accel && !str_eq(accel, "auto");

	for (enum accel a = 0; a < ACCEL_COUNT; a++) {
		const struct preset_accel *pa = &p->accel[a];

		if (!pa->present || (exact && !str_eq(accel, accel_names[a])))
			continue;
		const char *mode = launch && !str_eq(launch, "auto") ? launch : p->launch;
		bool clone = str_eq(mode, "clone");
		double ms = clone ? CLONE_MS : str_eq(mode, "exec") ? EXEC_MS : FORK_MS;

		ms += pa->firmware_boot ? 0 : BIOS_MS;
		ret->vm_kb = fmax(ret->vm_kb, (double)pa->mem_kb);
		ret->vm_cpu_ms = fmax(ret->vm_cpu_ms, ms);
	}
}

static struct cell_cost cost_of(const struct matrix_cell *c, const struct preset *p)
{
	struct cell_cost cost = { .rate = number(c, KEY_RATE, 0),
				  .intervals = number(c, KEY_INTERVALS, DEFAULT_INTERVALS),
				  .repeat = number(c, KEY_REPEAT, 1) };
	double sample = number(c, KEY_SAMPLE_TIME, DEFAULT_SAMPLE_S);

	cost.interval_s =
		number(c, KEY_SAMPLES, DEFAULT_SAMPLES) * sample + number(c, KEY_SETTLE, AUTO_SETTLE_S);
	if (p) {
		preset_cost(c, p, &cost);
	} else if (backend_of(c)->flags & BACKEND_SYNTHETIC) {
		cost.vm_kb = number(c, KEY_NULL_MEM, 1000);
		cost.interval_s = 0.1;
	}
	cost.vm_kb = number(c, KEY_VM_KB, fmax(cost.vm_kb, 1));
	cost.vm_cpu_ms = number(c, KEY_VM_CPU_MS, cost.vm_cpu_ms);
	return cost;
}

/* How far every cell goes. With `auto` all cells without a number of their own go as far as the smallest. */
static void settle_sizes(struct matrix *m, const struct cell_cost *costs, const struct size_host *h)
{
	double share = DEFAULT_RAM_SHARE, minutes = DEFAULT_CELL_MINUTES, common = INFINITY;
	_cleanup_free_ double *own = xcalloc(m->cells.count, sizeof(*own));

	if (m->spec->value[KEY_RAM_SHARE])
		parse_double(m->spec->value[KEY_RAM_SHARE], 0, 1, &share);
	if (m->spec->value[KEY_CELL_MINUTES])
		parse_double(m->spec->value[KEY_CELL_MINUTES], 0, INFINITY, &minutes);
	for (size_t i = 0; i < m->cells.count; i++) {
		own[i] = cell_size(&costs[i], h, share, minutes);
		if (!m->plans[i].cannot)
			common = fmin(common, own[i]);
	}
	for (size_t i = 0; i < m->cells.count; i++) {
		const char *max = m->cells.items[i].value[KEY_MAX];
		double n = own[i];

		if (m->plans[i].max)
			continue; /* settled when the matrix began */
		if (m->max)
			n = (double)m->max;
		else if (!str_eq(max ? max : "auto", "each"))
			n = number(&m->cells.items[i], KEY_MAX, isfinite(common) ? common : own[i]);
		m->plans[i].max = (unsigned)fmin(n, 10000000);
	}
}

static void look_at(const struct matrix_cell *c, struct cell_plan *p)
{
	error *e = backend_of(c)->flags & BACKEND_PRESETS ? find_qemu(c, p) : NULL;

	if (!e)
		e = check_governor(c);
	free(p->cannot);
	p->cannot = e ? xstrdup(e->msg) : NULL;
	err_free(e);
}

error *matrix_prepare(struct matrix *m)
{
	_cleanup_free_ struct cell_cost *costs = xcalloc(m->cells.count, sizeof(*costs));
	struct host h;
	error *e = NULL;

	for (size_t i = 0; i < m->cells.count && !e; i++) {
		_cleanup_(preset_freep) struct preset *p = NULL;

		e = check_names(&m->cells.items[i], &p);
		if (!e)
			costs[i] = cost_of(&m->cells.items[i], p);
	}
	if (e)
		return err_wrap(e, "matrix: %s", m->spec->path);
	for (size_t i = 0; i < m->cells.count; i++)
		look_at(&m->cells.items[i], &m->plans[i]);
	host_read(&h, "");
	struct size_host size = { .mem_available_kb = (double)h.mem_available_kb,
				  .cores = (double)MAX(h.cores_online, 1L) };
	settle_sizes(m, costs, &size);
	for (size_t i = 0; i < m->cells.count; i++)
		m->plans[i].estimate_s = cell_seconds(&costs[i], &size, m->plans[i].max);
	if (!m->host)
		m->host = host_json(&h);
	host_free(&h);
	return NULL;
}

double matrix_seconds_left(const struct matrix *m)
{
	double took = 0, expected = 0, left = 0;

	for (unsigned r = 0; r < m->rounds; r++) {
		for (size_t i = 0; i < m->cells.count; i++) {
			const struct cell_run *run = matrix_run_at(m, r, i);

			if (cell_measured(run->state)) {
				took += run->seconds;
				expected += m->plans[i].estimate_s;
			} else if (!m->plans[i].cannot && run->state != CELL_CANNOT) {
				left += m->plans[i].estimate_s;
			}
		}
	}
	return expected > 0 && took > 0 ? left * took / expected : left;
}
