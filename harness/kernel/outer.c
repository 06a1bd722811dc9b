/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kernel/outer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "backend/spawn.h"
#include "base/clock.h"
#include "base/fs.h"
#include "kernel/inside.h"
#include "kernel/pack.h"
#include "run/run.h"

/* A kernel that has said nothing by then does not come up with this accelerator. */
#define SILENCE_S 15
#define POLL_NS 100000000U
#define TAIL_BYTES 600

extern char **environ;

/* What QEMU looks for at run time, where Debian, Fedora and a build from source put it. */
static const char *const qemu_modules[] = {
	"/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
	"/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-i386.so",
	"/usr/lib64/qemu/accel-tcg-x86_64.so",
};
static const char *const firmware[] = {
	"/usr/share/seabios/bios.bin",	       "/usr/share/seabios/bios-256k.bin",
	"/usr/share/seabios/bios-microvm.bin", "/usr/share/seabios/vgabios-stdvga.bin",
	"/usr/share/qemu/bios-microvm.bin",    "/usr/share/qemu/kvmvapic.bin",
	"/usr/share/qemu/linuxboot_dma.bin",   "/usr/lib/ipxe/qemu/efi-e1000.rom",
	"/usr/share/qemu/bios-256k.bin",       "/usr/share/qemu/vgabios-stdvga.bin",
};
static const char *const qemu_names[] = { "qemu-system-x86_64", "qemu-system-x86_64-microvm",
					  "qemu-system-i386" };

static bool same_module(const char *path, size_t len, const char *name, size_t name_len)
{
	const char *slash = memrchr(path, '/', len), *base = slash ? slash + 1 : path;
	size_t n = len - (size_t)(base - path);

	if (n < 3 || n - 3 != name_len || strncmp(base + n - 3, ".ko", 3) != 0)
		return false;
	for (size_t i = 0; i < name_len; i++)
		if ((base[i] == '-' ? '_' : base[i]) != (name[i] == '-' ? '_' : name[i]))
			return false;
	return true;
}

static void add_once(struct strlist *l, const char *s, size_t len)
{
	_cleanup_free_ char *item = xasprintf("%.*s", (int)len, s);

	for (size_t i = 0; i < l->count; i++)
		if (str_eq(l->items[i], item))
			return;
	strlist_add(l, item);
}

/* "a.ko: b.ko c.ko": what is needed stands last to first behind the colon. */
static void add_with_needs(const char *line, size_t len, size_t own, struct strlist *ret)
{
	for (size_t end = len; end > own + 1;) {
		size_t from = end;

		while (from > own + 1 && line[from - 1] != ' ')
			from--;
		if (end > from)
			add_once(ret, line + from, end - from);
		end = from - (from > own + 1);
	}
	add_once(ret, line, own);
}

void outer_module_order(const char *modules_dep, const char *names, struct strlist *ret)
{
	for (const char *name = names; *name; name += strspn(name, ",")) {
		size_t n = strcspn(name, ",");

		for (const char *line = modules_dep; *line;) {
			size_t len = strcspn(line, "\n"), own = strcspn(line, ":\n");

			if (same_module(line, own, name, n))
				add_with_needs(line, len, own, ret);
			line += len + (line[len] == '\n');
		}
		name += n;
	}
}

static error *pack_modules(struct pack *p, const struct outer_options *o)
{
	_cleanup_free_ char *path = xasprintf("%s/modules.dep", o->modules), *dep = NULL;
	struct strlist order = { 0 };
	error *e = fs_read(path, &dep, NULL);

	if (e)
		return err_wrap(e, "--modules needs a folder such as /lib/modules/VERSION");
	outer_module_order(dep, o->load, &order);
	for (size_t i = 0; i < order.count && !e; i++) {
		_cleanup_free_ char *from = xasprintf("%s/%s", o->modules, order.items[i]);
		_cleanup_free_ char *to = xasprintf("%s/%02zu.ko", INSIDE_MODULES, i);

		e = pack_file(p, from, to);
	}
	strlist_clear(&order);
	return e;
}

static error *pack_qemu(struct pack *p)
{
	error *e = NULL;
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(qemu_names) && !e; i++) {
		_cleanup_free_ char *found = fs_find_program(qemu_names[i]);
		_cleanup_free_ char *as = xasprintf("/usr/bin/%s", qemu_names[i]);
		char head[2] = { 0 };
		_cleanup_fclose_ FILE *f = found ? fopen(found, "re") : NULL;

		/* a wrapper script would need its shell */
		if (!f || fread(head, 1, 2, f) != 2 || memcmp(head, "#!", 2) == 0)
			continue;
		any = true;
		e = pack_program(p, found, as);
	}
	if (!e && !any)
		e = err_new(EXIT_CANNOT, "no QEMU for x86 is on PATH to take along: install qemu-system-x86");
	for (size_t i = 0; i < ARRAY_LEN(qemu_modules) && !e; i++)
		if (access(qemu_modules[i], R_OK) == 0)
			e = pack_program(p, qemu_modules[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(firmware) && !e; i++)
		if (access(firmware[i], R_OK) == 0)
			e = pack_file(p, firmware[i], NULL);
	return e;
}

static error *pack_own(struct pack *p)
{
	static const char *const kinds[] = { "guests", "presets", "profiles", "slo" };
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL),
			    *library = fs_find_data("lib", "libmvmzygote.so");
	error *e = self ? pack_program(p, self, INSIDE_PROGRAM)
			: err_sys(EXIT_CANNOT, errno, "this program's own file cannot be found");

	for (size_t i = 0; i < ARRAY_LEN(kinds) && !e; i++) {
		_cleanup_free_ char *dir = fs_data_dir(kinds[i]), *as = xasprintf("/share/%s", kinds[i]);

		if (dir)
			e = pack_folder(p, dir, as);
	}
	return !e && library ? pack_program(p, library, "/share/lib/libmvmzygote.so") : e;
}

/* Files that options of the run name go along, under their real paths; the options are rewritten to these. */
static error *pack_options(struct pack *p, const struct strlist *run)
{
	char *text = xstrdup("");
	error *e = NULL;

	for (size_t i = 0; i < run->count && !e; i++) {
		const char *word = run->items[i], *equals = strchr(word, '=');
		const char *value = word[0] == '-' && equals ? equals + 1 : word;
		_cleanup_free_ char *real = strchr(value, '/') ? realpath(value, NULL) : NULL;
		struct stat st;

		if (real && stat(real, &st) == 0 && S_ISREG(st.st_mode))
			e = access(real, X_OK) == 0 ? pack_program(p, real, NULL) : pack_file(p, real, NULL);
		char *longer = xasprintf("%s%.*s%s\n", text, (int)(value - word), word, real ? real : value);
		free(text);
		text = longer;
	}
	pack_text(p, INSIDE_OPTIONS, text);
	free(text);
	return e;
}

static error *write_initramfs(const struct outer_options *o, const char *path)
{
	static const char *const folders[] = { "dev", "proc", "sys", "tmp", "run", "result" };
	struct pack p = { .archive.out = fopen(path, "we") };
	error *e;

	if (!p.archive.out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		strlist_add(&p.names, folders[i]);
		cpio_folder(&p.archive, folders[i]);
	}
	e = pack_own(&p);
	if (!e)
		e = pack_qemu(&p);
	if (!e)
		e = pack_options(&p, o->run);
	if (!e && o->modules)
		e = pack_modules(&p, o);
	cpio_end(&p.archive);
	if ((fflush(p.archive.out) || ferror(p.archive.out)) && !e)
		e = err_sys(EXIT_CANNOT, errno, "cannot write %s: is there space in TMPDIR?", path);
	fclose(p.archive.out);
	pack_clear(&p);
	return e;
}

/* The last words on the console, as they stand at the end of an error. */
static char *console_tail(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/console", dir), *text = NULL;
	size_t len = 0;

	err_free(fs_read(path, &text, &len));
	if (!text || !len)
		return xstrdup("its console is empty");
	return xasprintf("its console ends with:\n%s", text + (len > TAIL_BYTES ? len - TAIL_BYTES : 0));
}

static void add_arguments(const struct outer_options *o, const char *qemu, const char *accel, const char *dir,
			  struct strlist *argv)
{
	strlist_add(argv, qemu);
	strlist_add_words(argv, "-display none -nodefaults -no-reboot -machine pc");
	strlist_addf(argv, "-accel");
	strlist_add(argv, str_eq(accel, "tcg") ? "tcg,thread=multi" : accel);
	strlist_add(argv, "-cpu");
	strlist_add(argv, str_eq(accel, "kvm") ? "host" : "max");
	strlist_add(argv, "-m");
	strlist_addf(argv, "%ld", o->memory_mb);
	strlist_add(argv, "-smp");
	strlist_addf(argv, "%ld", o->cpus);
	strlist_add(argv, "-kernel");
	strlist_add(argv, o->vmlinuz);
	strlist_add(argv, "-initrd");
	strlist_addf(argv, "%s/initramfs", dir);
	strlist_add(argv, "-append");
	strlist_addf(argv, "console=ttyS0 rdinit=%s panic=-1%s%s -- kernel --inside", INSIDE_PROGRAM,
		     o->append ? " " : "", o->append ? o->append : "");
	strlist_add(argv, "-serial");
	strlist_addf(argv, "file:%s/console", dir);
	strlist_add(argv, "-serial");
	strlist_addf(argv, "file:%s/result", dir);
}

static bool has_spoken(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/console", dir);
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0;
}

/* Waits for the end of QEMU; kills it when time is over, or when the kernel stays silent. */
static error *wait_for(const struct outer_options *o, pid_t pid, const char *accel, const char *dir)
{
	uint64_t start = clock_ns();
	int status = 0;

	for (;;) {
		pid_t gone = waitpid(pid, &status, WNOHANG);
		double seconds = (double)(clock_ns() - start) / 1e9;
		bool silent = seconds > SILENCE_S && !has_spoken(dir);

		if (gone == pid)
			break;
		if (run_interrupted) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return err_new(EXIT_INTERRUPTED, "interrupted: what ran inside is lost");
		}
		if (silent || seconds > o->timeout_s) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			_cleanup_free_ char *tail = console_tail(dir);
			return err_new(EXIT_CANNOT, "under %s the kernel %s after %.0f s (--timeout); %s",
				       accel, silent ? "has said nothing" : "has not ended its run", seconds,
				       tail);
		}
		clock_sleep_ns(POLL_NS);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return NULL;
	_cleanup_free_ char *path = xasprintf("%s/qemu.log", dir), *said = NULL;
	err_free(fs_read(path, &said, NULL));
	return err_new(EXIT_CANNOT, "the outer QEMU ended with status %d under %s: %s",
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), accel,
		       said && *said ? said : "it said nothing");
}

static error *boot(const struct outer_options *o, const char *accel, const char *dir)
{
	_cleanup_free_ char *qemu = fs_find_program(o->qemu), *log = xasprintf("%s/qemu.log", dir);
	_cleanup_close_ int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct strlist argv = { 0 };
	pid_t pid;

	if (!qemu)
		return err_new(EXIT_CANNOT,
			       "%s is not on PATH: install qemu-system-x86, or name it with --qemu", o->qemu);
	add_arguments(o, qemu, accel, dir, &argv);
	struct spawn_spec spec = {
		.path = qemu, .argv = argv.items, .envp = environ, .stderr_fd = fd, .cgroup_procs_fd = -1
	};
	error *e = spawn_process(&spec, &pid);
	strlist_clear(&argv);
	return e ? e : wait_for(o, pid, accel, dir);
}

/* KVM where it carries this kernel, else TCG: that a device opens does not say that it works. */
static error *boot_somehow(const struct outer_options *o, const char *dir, const char **ret_accel)
{
	bool try_kvm =
		str_eq(o->accel, "kvm") || (str_eq(o->accel, "auto") && access("/dev/kvm", R_OK | W_OK) == 0);
	error *e = NULL;

	*ret_accel = "kvm";
	if (try_kvm)
		e = boot(o, "kvm", dir);
	if (!str_eq(o->accel, "auto") ? try_kvm : (try_kvm && (!e || run_interrupted || has_spoken(dir))))
		return e;
	if (e) {
		_cleanup_free_ char *text = xasprintf("no KVM for the outer machine: %s; trying TCG", e->msg);

		o->notice(text);
		err_free(e);
	}
	*ret_accel = "tcg";
	return boot(o, "tcg", dir);
}

/* The record says under what it was made. */
static error *mark_nested(const struct outer_options *o, const char *accel)
{
	_cleanup_free_ char *path = xasprintf("%s/run.json", o->out), *sha = NULL, *dump = NULL;
	json_t *run = json_load_file(path, 0, NULL);
	error *e = fs_sha256(o->vmlinuz, &sha);

	if (!e && !run)
		e = err_new(EXIT_CANNOT, "%s: the run left no record", path);
	if (!e) {
		json_object_set_new(run, "nested",
				    json_pack("{s:s,s:s,s:s,s:s?,s:i,s:i}", "kernel", o->vmlinuz, "sha256",
					      sha, "accel", accel, "append", o->append, "memory_mb",
					      (int)o->memory_mb, "cpus", (int)o->cpus));
		dump = json_dumps(run, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
		e = fs_write_atomic(path, dump, strlen(dump));
	}
	json_decref(run);
	return e;
}

static error *bring_out(const char *dir, int *ret_status)
{
	_cleanup_free_ char *result = xasprintf("%s/result", dir), *data = NULL, *text = NULL;
	_cleanup_free_ char *run = xasprintf("%s%s", dir, "/out" INSIDE_RUN);
	_cleanup_free_ char *status_path = xasprintf("%s%s", dir, "/out" INSIDE_STATUS);
	_cleanup_free_ char *unpacked = xasprintf("%s/out", dir);
	size_t len = 0;
	long status = EXIT_CANNOT;
	error *e = fs_read(result, &data, &len);

	if (!e)
		e = fs_mkdirs(unpacked);
	if (!e && (e = cpio_unpack(data, len, "the result", unpacked))) {
		_cleanup_free_ char *tail = console_tail(dir);

		err_free(e);
		return err_new(EXIT_CANNOT, "the kernel ended before its run was brought out; %s", tail);
	}
	if (!e && !(e = fs_read(status_path, &text, NULL))) {
		text[strcspn(text, "\n")] = '\0';
		parse_long(text, 0, 255, &status);
	}
	if (e)
		return e;
	*ret_status = (int)status;
	if (access(run, F_OK) != 0) {
		_cleanup_free_ char *tail = console_tail(dir);
		return err_new(status == EXIT_BAD_INPUT ? EXIT_BAD_INPUT : EXIT_CANNOT,
			       "inside, the run ended with status %ld and left nothing; %s", status, tail);
	}
	return NULL;
}

static error *move_files(const char *from, const char *to)
{
	struct pack none = { 0 };
	char *text = NULL;
	size_t len = 0;
	error *e;

	/* the two may lie on different file systems: pack and unpack in memory */
	none.archive.out = open_memstream(&text, &len);
	e = pack_folder(&none, from, "/");
	cpio_end(&none.archive);
	fclose(none.archive.out);
	if (!e)
		e = fs_mkdirs(to);
	if (!e)
		e = cpio_unpack(text, len, from, to);
	free(text);
	pack_clear(&none);
	return e;
}

error *outer_run(const struct outer_options *o, int *ret_status)
{
	const char *tmp = getenv("TMPDIR"), *accel = "";
	_cleanup_free_ char *dir = xasprintf("%s/mvmscale-kernel-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
	_cleanup_free_ char *run = NULL;

	if (access(o->vmlinuz, R_OK) != 0)
		return err_sys(EXIT_BAD_INPUT, errno, "--vmlinuz %s", o->vmlinuz);
	if (access(o->out, F_OK) == 0)
		return err_new(EXIT_BAD_INPUT, "%s exists already: give another folder with --out", o->out);
	if (!mkdtemp(dir))
		return err_sys(EXIT_CANNOT, errno, "cannot create a temporary folder %s (see TMPDIR)", dir);
	_cleanup_free_ char *initramfs = xasprintf("%s/initramfs", dir);
	run = xasprintf("%s%s", dir, "/out" INSIDE_RUN);
	error *e = write_initramfs(o, initramfs);
	if (!e)
		e = boot_somehow(o, dir, &accel);
	if (!e)
		e = bring_out(dir, ret_status);
	if (!e)
		e = move_files(run, o->out);
	if (!e)
		e = mark_nested(o, accel);
	fs_remove_tree(dir);
	return e;
}
