/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/needs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/oci/oci.h"
#include "backend/qemu/preset.h"
#include "base/fs.h"
#include "host/swap.h"
#include "nested/inside.h"
#include "nested/modules.h"

/* Loaded where the kernel has them: the run inside then chooses as it does on any host. */
#define USUAL_MODULES "kvm-intel,kvm-amd"

char needs_config(const char *config, const char *option)
{
	size_t n = strlen(option);

	for (const char *line = config; line && *line;) {
		size_t len = strcspn(line, "\n");

		if (len == n + 2 && strncmp(line, option, n) == 0 && line[n] == '=')
			return line[n + 1];
		line += len + (line[len] == '\n');
	}
	return config ? 'n' : '?';
}

/* The configuration beside the kernel, where Debian (config-VERSION) and a build tree (.config) keep it. */
static char *read_config(const char *vmlinuz)
{
	_cleanup_free_ char *real = realpath(vmlinuz, NULL);
	char *slash = real ? strrchr(real, '/') : NULL, *text = NULL;

	if (!slash)
		return NULL;
	*slash = '\0';
	_cleanup_free_ char *beside =
		str_starts(slash + 1, "vmlinuz-")
			? xasprintf("%s/config-%s", real, slash + 1 + strlen("vmlinuz-"))
			: xasprintf("%s/../../../.config", real);
	err_free(fs_read(beside, &text, NULL));
	return text;
}

static bool uses_kvm(const struct run_options *run)
{
	return run->backend->flags & BACKEND_NEEDS_KVM || str_eq(run_options_text(run, "accel"), "kvm");
}

static bool uses_preset(const struct run_options *run)
{
	return run->backend->flags & BACKEND_PRESETS;
}

/* Whether a part of the kernel that this run cannot do without can be there. */
static error *check_part(const struct outer_options *o, const char *what, const char *config,
			 const char *const *options)
{
	bool module = false;

	if (!config)
		return NULL; /* it will show inside */
	for (size_t i = 0; options[i]; i++) {
		char state = needs_config(config, options[i]);

		if (state == 'y')
			return NULL;
		module |= state == 'm';
	}
	if (!module)
		return err_new(EXIT_CANNOT, "%s cannot work under %s: it is built without %s", what,
			       o->vmlinuz, options[0]);
	return o->modules ? NULL
			  : err_new(EXIT_CANNOT,
				    "%s needs modules of %s (%s=m): name their folder with --modules", what,
				    o->vmlinuz, options[0]);
}

static bool host_nests(void)
{
	static const char *const files[] = { "/sys/module/kvm_intel/parameters/nested",
					     "/sys/module/kvm_amd/parameters/nested" };
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_err_ error *e = fs_read(files[i], &text, NULL);

		if (!e && (*text == 'Y' || *text == '1'))
			return true;
		known |= !e;
	}
	return !known;
}

static error *check_swap(const struct outer_options *o, const char *config)
{
	static const char *const zram[] = { "CONFIG_ZRAM", NULL };
	struct swap_spec spec;
	error *e = swap_parse(o->parsed->swap, &spec);

	if (e)
		return e;
	if (!spec.zram)
		return err_new(
			EXIT_CANNOT,
			"--swap %s cannot work under another kernel: there is no disk; use --swap zram:SIZE",
			o->parsed->swap);
	return check_part(o, "--swap zram", config, zram);
}

error *needs_check(const struct outer_options *o)
{
	static const char *const kvm[] = { "CONFIG_KVM_INTEL", "CONFIG_KVM_AMD", NULL };
	const struct run_options *run = o->parsed;
	_cleanup_free_ char *config = read_config(o->vmlinuz);
	_cleanup_free_ char *kvm_user = str_eq(run_options_text(run, "accel"), "kvm")
						? xstrdup("--accel kvm")
						: xasprintf("backend %s", run->backend->name);
	error *e = NULL;

	if (run->backend->flags & BACKEND_SERVICES)
		return err_new(
			EXIT_CANNOT,
			"backend %s cannot work under another kernel: neither libvirt nor a network is there; use --backend qemu",
			run->backend->name);
	if (run->swap)
		e = check_swap(o, config);
	if (!e && uses_kvm(run))
		e = check_part(o, kvm_user, config, kvm);
	if (!e && uses_kvm(run) && str_eq(o->accel, "kvm") && !host_nests())
		e = err_new(
			EXIT_CANNOT,
			"%s cannot work under --accel kvm here: this host does not nest KVM; load kvm_intel or kvm_amd with nested=1",
			kvm_user);
	return e;
}

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

/* Firmware beside a QEMU that is installed elsewhere: PREFIX/bin and PREFIX/share/qemu. */
static error *pack_firmware_of(struct pack *p, const char *real)
{
	_cleanup_free_ char *bin = xasprintf("%.*s", (int)(strrchr(real, '/') - real), real);
	error *e = NULL;

	for (size_t i = 0; i < ARRAY_LEN(firmware) && !e; i++) {
		const char *name = strrchr(firmware[i], '/') + 1;
		_cleanup_free_ char *path = xasprintf("%s/../share/qemu/%s", bin, name);
		_cleanup_free_ char *plain = realpath(path, NULL);

		if (plain)
			e = pack_file(p, plain, NULL);
	}
	return e;
}

/* A program as it will be looked for inside: by its name on PATH, or (packed with the options) by its path.
 */
static error *pack_qemu_program(struct pack *p, const char *name, size_t *count)
{
	_cleanup_free_ char *found = fs_find_program(name), *real = found ? realpath(found, NULL) : NULL;
	_cleanup_free_ char *as = strchr(name, '/') ? xstrdup(name) : xasprintf("/usr/bin/%s", name);

	if (!real || pack_is_script(real))
		return NULL;
	(*count)++;
	error *e = pack_program(p, real, *as == '/' ? as : NULL);
	return e ? e : pack_firmware_of(p, real);
}

/* Without links: a QEMU looks for its modules and firmware from where it lies. */
static char *real_program(const char *path)
{
	char *real = path ? realpath(path, NULL) : NULL;

	return real || !path ? real : xstrdup(path);
}

/* The programs that the preset would look for inside, those that are here. */
static error *pack_programs(struct pack *p, const char *words, size_t *count)
{
	_cleanup_(strlist_clear) struct strlist names = { 0 };
	error *e = NULL;

	strlist_add_words(&names, words ? words : "");
	for (size_t i = 0; i < names.count && !e; i++)
		e = pack_qemu_program(p, names.items[i], count);
	return e;
}

/* A folder of firmware that the preset's own arguments name: -L DIR. */
static error *pack_firmware_folders(struct pack *p, const char *words)
{
	_cleanup_(strlist_clear) struct strlist list = { 0 };
	error *e = NULL;

	strlist_add_words(&list, words ? words : "");
	for (size_t i = 0; i + 1 < list.count && !e; i++)
		if (str_eq(list.items[i], "-L"))
			e = pack_folder(p, list.items[i + 1], list.items[i + 1]);
	return e;
}

static error *pack_qemu(struct pack *p, const struct run_options *run)
{
	_cleanup_(preset_freep) struct preset *preset = NULL;
	const char *given = run_options_text(run, "qemu"), *name = run_options_text(run, "preset");
	_cleanup_free_ char *qemu = real_program(given);
	size_t any = 0;
	error *e = preset_load(name, &preset);

	for (int a = 0; a < ACCEL_COUNT && !e; a++) {
		const struct preset_accel *pa = &preset->accel[a];

		if (pa->present && !given)
			e = pack_programs(p, pa->binary, &any);
		if (!e && pa->present && !given)
			e = pack_programs(p, pa->device_binary, &any);
		if (!e && pa->present)
			e = pack_firmware_folders(p, pa->args);
	}
	if (!e && given)
		e = pack_qemu_program(p, qemu, &any);
	if (!e && !any)
		e = err_new(
			EXIT_CANNOT,
			"no QEMU to take along: none that preset %s names is on PATH and a program (not a script): install qemu-system-x86, or name one with --qemu after the --",
			name);
	for (size_t i = 0; i < ARRAY_LEN(qemu_modules) && !e; i++)
		if (access(qemu_modules[i], R_OK) == 0)
			e = pack_program(p, qemu_modules[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(firmware) && !e; i++)
		if (access(firmware[i], R_OK) == 0)
			e = pack_file(p, firmware[i], NULL);
	return e;
}

static error *pack_runtime(struct pack *p, const struct run_options *run)
{
	const char *runtime = run_options_text(run, "runtime");
	_cleanup_free_ char *found = oci_runtime_path(runtime);
	const char *slash = found ? strrchr(found, '/') : NULL;

	if (!slash)
		return err_new(
			EXIT_CANNOT,
			"backend %s: no OCI runtime to take along: %s is not on PATH; install runc, or name one with --runtime after the --",
			run->backend->name, runtime ? runtime : "neither runc nor crun");
	_cleanup_free_ char *as = runtime && strchr(runtime, '/') ? NULL : xasprintf("/usr/bin%s", slash);
	return pack_program(p, found, as);
}

static error *pack_own(struct pack *p)
{
	static const char *const kinds[] = { "guests", "presets", "profiles", "slo", "advice" };
	static const char *const helpers[] = { "libmvmzygote.so", "mvminit" };
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL);
	error *e = self ? pack_program(p, self, INSIDE_PROGRAM)
			: err_sys(EXIT_CANNOT, errno, "this program's own file cannot be found");

	for (size_t i = 0; i < ARRAY_LEN(kinds) && !e; i++) {
		_cleanup_free_ char *dir = fs_data_dir(kinds[i]), *as = xasprintf("/share/%s", kinds[i]);

		if (dir)
			e = pack_folder(p, dir, as);
	}
	for (size_t i = 0; i < ARRAY_LEN(helpers) && !e; i++) {
		_cleanup_free_ char *found = fs_find_data("lib", helpers[i]);
		_cleanup_free_ char *as = xasprintf("/share/lib/%s", helpers[i]);

		if (found)
			e = pack_program(p, found, as);
	}
	return e;
}

/* Files that options of the run name go along, under their real paths; the options are rewritten to these. */
static error *pack_options(struct pack *p, const struct outer_options *o)
{
	const struct strlist *run = o->run;
	char *text = xstrdup("");
	error *e = NULL;

	for (size_t i = 0; i < run->count && !e; i++) {
		const char *word = run->items[i], *equals = strchr(word, '=');
		const char *value = word[0] == '-' && equals ? equals + 1 : word;
		/* a bare word may be the name of a preset or a profile beside which a folder has a file of
		 * that name */
		_cleanup_free_ char *real = strpbrk(value, "/.") ? realpath(value, NULL) : NULL;
		struct stat st;

		if (real && stat(real, &st) == 0 && S_ISREG(st.st_mode))
			e = access(real, X_OK) == 0 ? pack_program(p, real, NULL) : pack_file(p, real, NULL);
		char *longer = xasprintf("%s%.*s%s\n", text, (int)(value - word), word, real ? real : value);
		free(text);
		text = longer;
	}
	/* after the words as typed: PATH is another one inside */
	_cleanup_free_ char *qemu = real_program(run_options_text(o->parsed, "qemu"));
	const char *runtime = run_options_text(o->parsed, "runtime");
	_cleanup_free_ char *all =
		xasprintf("%s%s%s%s%s%s%s", text, qemu ? "--qemu=" : "", qemu ? qemu : "", qemu ? "\n" : "",
			  runtime ? "--runtime=" : "", runtime ? runtime : "", runtime ? "\n" : "");
	pack_text(p, INSIDE_OPTIONS, all);
	free(text);
	return e;
}

/* Every name of the list; those that somebody asked for must be there. */
static error *add_modules(struct modules *m, const char *names, bool required)
{
	error *e = NULL;
	bool found;

	for (const char *at = names; *at && !e;) {
		size_t n = strcspn(at, ",");
		_cleanup_free_ char *name = xasprintf("%.*s", (int)n, at);

		if (n && !(e = modules_add(m, name, &found)) && !found && required)
			e = err_new(EXIT_BAD_INPUT, "--load: %s holds no module %s, nor is it built in",
				    m->dir, name);
		at += n + (at[n] == ',');
	}
	return e;
}

static error *pack_modules(struct pack *p, const struct outer_options *o)
{
	_cleanup_(modules_clear) struct modules m = { 0 };
	error *e = modules_open(o->modules, &m);

	if (!e && (o->load || uses_kvm(o->parsed) || uses_preset(o->parsed)))
		e = add_modules(&m, o->load ? o->load : USUAL_MODULES, o->load || uses_kvm(o->parsed));
	/* it asks for its compressor by a name that only modprobe could resolve */
	if (!e && o->parsed->swap)
		e = add_modules(&m, "lzo-rle,lzo,zstd", false);
	if (!e && o->parsed->swap)
		e = add_modules(&m, "zram", true);
	if (!e)
		e = modules_pack(&m, p);
	return e;
}

error *needs_pack(struct pack *p, const struct outer_options *o)
{
	const struct run_options *run = o->parsed;
	error *e = pack_own(p);

	if (!e && uses_preset(run))
		e = pack_qemu(p, run);
	if (!e && run->backend->flags & BACKEND_RUNTIME)
		e = pack_runtime(p, run);
	if (!e)
		e = pack_options(p, o);
	if (!e && o->modules)
		e = pack_modules(p, o);
	return e;
}
