/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backend/qemu/qemu.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "guest/profile.h"

/* Descriptors that QEMU inherits under these numbers. */
#define SERIAL_FD 10
#define BOOT_FD 11
#define DISK_FD 12
#define DISK_BYTES (1 << 20)

#define READY_NS 60000000000ULL
#define REACH_MS 20000
#define SPREAD_MS 100000U
/* QEMU lays guest memory at multiples of this. */
#define RAM_ALIGN 0x200000UL

const char *const trial_medium_names[TRIAL_MEDIA] = { [TRIAL_FIRMWARE] = "own firmware",
						      [TRIAL_DISK] = "SeaBIOS, hard disk",
						      [TRIAL_FLOPPY] = "SeaBIOS, floppy" };

const struct trial_machine trial_machines[] = {
	{ "isapc", "isapc", true },
	{ "pc", "pc,usb=off", true },
	{ "microvm", "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,x-option-roms=off", false },
	{ 0 },
};

error *trial_devices(const struct guest_image *img, unsigned *ret)
{
	_cleanup_(strlist_clear) struct strlist words = { 0 };
	error *e = profile_devices(NULL, img, &words);

	return e ? e : device_set(&words, img->guest, ret);
}

error *trial_find_qemu(const char *qemu, char **ret)
{
	static const char *const names[] = { "qemu-system-x86_64", "qemu-system-i386" };

	if (qemu) {
		*ret = fs_find_program(qemu);
		return *ret ? NULL
			    : err_new(EXIT_CANNOT, "QEMU '%s' (--qemu): no such program, or not executable",
				      qemu);
	}
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names) && !*ret; i++)
		*ret = fs_find_program(names[i]);
	return *ret ? NULL
		    : err_new(EXIT_CANNOT,
			      "QEMU is missing: neither qemu-system-x86_64 nor qemu-system-i386 is on PATH; install it (Debian: apt-get install qemu-system-x86) or give --qemu PATH");
}

/* The image, or the ROM with it in its slot, in a file without a name. */
static error *make_boot_file(const struct trial_boot *s, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("mvm-boot", MFD_CLOEXEC);
	_cleanup_free_ char *template = NULL, *path = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_free_ char *rom = NULL;
	size_t len = 0;
	error *e = NULL;

	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot keep the image: memfd_create");
	if (s->medium == TRIAL_FIRMWARE) {
		if ((e = firmware_find_template(&template)) || (e = fs_read(template, &rom, &len)) ||
		    (e = firmware_fill(s->image, template, rom, len)))
			return e;
	}
	const void *data = rom ? rom : (const char *)s->image->bytes;
	size_t size = rom ? len : sizeof(s->image->bytes);
	if (write(fd, data, size) != (ssize_t)size)
		return err_sys(EXIT_CANNOT, errno, "cannot write the image to %s", path);
	*ret_fd = steal_fd(&fd);
	return NULL;
}

static error *make_disk(const struct trial_boot *s, int *ret_fd)
{
	*ret_fd = -1;
	if (!(s->devices & 1U << DEVICE_DISK))
		return NULL;
	*ret_fd = memfd_create("mvm-disk", MFD_CLOEXEC);
	return *ret_fd < 0 || ftruncate(*ret_fd, DISK_BYTES) < 0
		       ? err_sys(EXIT_CANNOT, errno, "cannot make a disk: memfd_create")
		       : NULL;
}

static void add_devices(const struct trial_boot *s, struct strlist *argv)
{
	/* the slave: what a BIOS boots from is the master */
	if (s->devices & 1U << DEVICE_DISK && s->machine->has_bios) {
		strlist_add(argv, "-drive");
		strlist_addf(argv, "file=/proc/self/fd/%d,format=raw,if=ide,index=1,file.locking=off",
			     DISK_FD);
	} else if (s->devices & 1U << DEVICE_DISK) {
		strlist_add_words(argv, "-device isa-ide -device ide-hd,drive=disk0,unit=1 -drive");
		strlist_addf(argv, "file=/proc/self/fd/%d,format=raw,if=none,id=disk0,file.locking=off",
			     DISK_FD);
	}
	if (s->devices & 1U << DEVICE_NET)
		strlist_add_words(argv, "-netdev hubport,id=net0,hubid=0 -device ne2k_isa,netdev=net0");
}

static void make_argv(const struct trial_boot *s, struct strlist *argv)
{
	strlist_add(argv, s->binary);
	strlist_add(argv, "-machine");
	strlist_add(argv, s->machine->args);
	strlist_add_words(argv, s->accel == ACCEL_KVM ? "-accel kvm" : "-accel tcg,tb-size=1");
	strlist_addf(argv, "-m");
	strlist_addf(argv, "%u", s->memory_mb ? s->memory_mb : 1);
	strlist_add_words(argv, "-nodefaults -no-user-config -display none");
	/* no lock: the file belongs to nobody else, and a lock by such a name may fail */
	strlist_add(argv, s->medium == TRIAL_FIRMWARE ? "-bios" : "-drive");
	if (s->medium == TRIAL_FIRMWARE)
		strlist_addf(argv, "/proc/self/fd/%d", BOOT_FD);
	else
		strlist_addf(argv, "file=/proc/self/fd/%d,format=raw,if=%s,file.locking=off", BOOT_FD,
			     s->medium == TRIAL_FLOPPY ? "floppy" : "ide");
	add_devices(s, argv);
	strlist_add(argv, "-chardev");
	strlist_addf(argv, "socket,id=mvm,fd=%d", SERIAL_FD);
	strlist_add_words(argv, "-serial chardev:mvm");
}

static error *spawn(struct trial_boot *s, int serial_fd, int boot_fd, int disk_fd)
{
	struct strlist argv = { 0 };
	struct spawn_fd fds[] = { { .from = serial_fd, .to = SERIAL_FD },
				  { .from = boot_fd, .to = BOOT_FD },
				  { .from = disk_fd, .to = DISK_FD } };

	make_argv(s, &argv);
	struct spawn_spec spec = {
		.path = s->binary,
		.argv = argv.items,
		.envp = environ,
		.stderr_fd = s->log_fd,
		.cgroup_procs_fd = -1,
		.fds = fds,
		.fd_count = disk_fd >= 0 ? 3 : 2,
	};
	error *e = spawn_process(&spec, &s->pid);
	strlist_clear(&argv);
	return e;
}

error *trial_boot_start(struct trial_boot *s)
{
	_cleanup_close_ int boot_fd = -1, disk_fd = -1;
	int pair[2];

	s->pid = 0;
	s->serial_fd = -1;
	s->log_fd = memfd_create("qemu-output", MFD_CLOEXEC);
	if (s->log_fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot keep QEMU's messages: memfd_create");
	error *e = make_boot_file(s, &boot_fd);
	if (!e)
		e = make_disk(s, &disk_fd);
	if (!e && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		e = err_sys(EXIT_CANNOT, errno, "cannot make the guest's serial line");
	if (e)
		return e;
	s->serial_fd = pair[0];
	e = spawn(s, pair[1], boot_fd, disk_fd);
	close(pair[1]);
	if (!e && fcntl(s->serial_fd, F_SETFL, O_NONBLOCK) < 0)
		e = err_sys(EXIT_CANNOT, errno, "cannot set up the guest's serial line");
	return e;
}

void trial_boot_stop(struct trial_boot *s)
{
	child_kill(s->pid);
	s->pid = 0;
	util_closep(&s->serial_fd);
	s->serial_fd = -1;
}

void trial_boot_close(struct trial_boot *s)
{
	trial_boot_stop(s);
	util_closep(&s->log_fd);
	s->log_fd = -1;
}

char *trial_boot_complaint(const struct trial_boot *s)
{
	_cleanup_free_ char *said = spawn_complaint(s->log_fd);

	return *said ? xasprintf("; it said: %s", said) : xstrdup("");
}

/* NULL when all are ready. */
static error *await_all(struct trial_launch *l)
{
	uint64_t deadline = clock_ns() + READY_NS;
	uint32_t begun = 0, ready = 0;

	while (ready < l->count) {
		struct backend_event ev = { 0 };
		uint32_t room = l->b->ops->room(l->b), more = 0;
		error *e = NULL;

		if (begun < l->count && room)
			e = l->b->ops->start(l->b, begun, MIN(room, l->count - begun), &more);
		begun += more;
		if (e)
			return e;
		if (l->b->ops->poll(l->b, 20, &ev, 1) == 0) {
			if (clock_ns() > deadline)
				return err_new(EXIT_CANNOT, "%u of %u VMs became ready within %llu s", ready,
					       l->count, READY_NS / 1000000000);
			continue;
		}
		if (ev.kind != BACKEND_READY)
			e = err_new(EXIT_CANNOT, "VM %u: %s", ev.vm, ev.reason);
		free(ev.reason);
		if (e)
			return e;
		ready++;
	}
	return NULL;
}

static error *launch(struct trial_launch *l, const struct trial_launch_spec *spec)
{
	struct qemu_config own = {
		.preset = l->preset, .accel = spec->accel, .qemu = spec->qemu, .launch = spec->launch
	};
	struct backend_config cfg = { .image = &l->image,
				      .devices = &l->devices,
				      .vary = spec->vary ? &l->vary : NULL,
				      .runtime_dir = l->dir,
				      .disk_mb = 1,
				      .jobs = l->count,
				      .ready_timeout_ns = READY_NS,
				      .cgroup_procs_fd = -1,
				      .own = &own };
	error *e = backend_qemu.open(&cfg, l->vms, TRIAL_VMS, &l->b);

	if (!e)
		e = await_all(l);
	for (uint32_t i = 0; !e && spec->lines && i < l->count; i++)
		e = qemu_reach(l->b, i, REACH_MS, &l->lines[i]);
	return e;
}

/* A folder for as long as VMs start. Only its owner could remove it: signals that would end us wait
 * meanwhile. */
static error *launch_in_folder(struct trial_launch *l, const struct trial_launch_spec *spec)
{
	const char *tmp = getenv("TMPDIR");
	sigset_t ends, before;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, &before);
	l->dir = xasprintf("%s/mvm-trial-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	error *e = mkdtemp(l->dir)
			   ? launch(l, spec)
			   : err_sys(EXIT_CANNOT, errno, "cannot create a temporary folder %s", l->dir);
	fs_remove_tree(l->dir);
	sigaddset(&before, SIGCHLD); /* the backend takes it by descriptor */
	sigprocmask(SIG_SETMASK, &before, NULL);
	return e;
}

error *trial_launch_start(const struct trial_launch_spec *spec, struct trial_launch **ret)
{
	struct trial_launch *l = xcalloc(1, sizeof(*l));
	error *e;

	l->launch = spec->launch;
	l->count = spec->vms;
	l->image = *spec->image;
	for (uint32_t i = 0; i < TRIAL_VMS; i++)
		l->lines[i] = -1;
	if (spec->vary)
		l->vary = vary_of(&l->image, l->image.flags & MVM_PARAM_FLAG_PHASE ? SPREAD_MS : 0, 1);
	if ((e = preset_load(spec->preset, &l->preset)) || (e = trial_devices(&l->image, &l->devices)) ||
	    (e = launch_in_folder(l, spec))) {
		trial_launch_stop(l);
		return e;
	}
	*ret = l;
	return NULL;
}

void trial_launch_stop(struct trial_launch *l)
{
	for (uint32_t i = 0; i < TRIAL_VMS; i++)
		util_closep(&l->lines[i]);
	if (l->b) {
		l->b->ops->close(l->b);
		fs_remove_tree(l->dir); /* an empty one came back for the next VMs */
	}
	free(l->dir);
	preset_free(l->preset);
	free(l);
}

/* The toolkit's boot sector where it runs, if guest memory begins at that address. */
static bool read_guest(int memory, uint64_t at, struct guest_image *ret)
{
	unsigned char bytes[MVM_IMAGE_SIZE];

	if (pread(memory, bytes, sizeof(bytes), (off_t)(at + MVM_LOAD_ADDRESS)) != sizeof(bytes))
		return false;
	_cleanup_err_ error *e = image_parse(bytes, sizeof(bytes), "memory", ret);
	return !e && ret->has_params;
}

/* In one mapping: at its start, and at every aligned address. */
static bool search(int memory, uint64_t from, uint64_t to, struct guest_image *ret)
{
	while (from + MVM_LOAD_ADDRESS + MVM_IMAGE_SIZE <= to) {
		if (read_guest(memory, from, ret))
			return true;
		from = (from + RAM_ALIGN) & ~(RAM_ALIGN - 1);
	}
	return false;
}

error *trial_guest_values(pid_t pid, struct vary_values *ret)
{
	_cleanup_free_ char *maps = xasprintf("/proc/%d/maps", (int)pid);
	_cleanup_free_ char *mem = xasprintf("/proc/%d/mem", (int)pid), *text = NULL;
	_cleanup_close_ int memory = open(mem, O_RDONLY | O_CLOEXEC);
	struct guest_image image;
	error *e = fs_read(maps, &text, NULL);

	if (!e && memory < 0)
		e = err_sys(EXIT_CANNOT, errno, "%s", mem);
	if (e)
		return e;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		char *end = line;
		uint64_t from = strtoull(line, &end, 16), to = *end == '-' ? strtoull(end + 1, &end, 16) : 0;

		/* anonymous memory that can be written */
		if (strncmp(end, " rw-p", 5) != 0 || strchr(end, '/') || !search(memory, from, to, &image))
			continue;
		*ret = (struct vary_values){ .seed = image.seed, .phase_ms = image.phase_ms };
		return NULL;
	}
	return err_new(EXIT_CANNOT, "process %d holds no memory of a guest", (int)pid);
}
