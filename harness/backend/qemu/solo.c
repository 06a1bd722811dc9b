/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/solo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "guest/profile.h"

/* Descriptors that QEMU inherits under these numbers. */
#define SERIAL_FD 10
#define BOOT_FD 11
#define DISK_FD 12
#define DISK_BYTES (1 << 20)

const char *const solo_boot_names[SOLO_BOOTS] = { [SOLO_FIRMWARE] = "own firmware",
						  [SOLO_DISK] = "SeaBIOS, hard disk",
						  [SOLO_FLOPPY] = "SeaBIOS, floppy" };

const struct solo_machine solo_machines[] = {
	{ "isapc", "isapc", true },
	{ "pc", "pc,usb=off", true },
	{ "microvm", "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,x-option-roms=off", false },
	{ 0 },
};

error *solo_devices(const struct guest_image *img, unsigned *ret)
{
	_cleanup_(strlist_clear) struct strlist words = { 0 };
	error *e = profile_devices(NULL, img, &words);

	return e ? e : device_set(&words, img->guest, ret);
}

error *solo_find_qemu(const char *qemu, char **ret)
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
static error *make_boot_file(const struct solo *s, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("mvm-boot", MFD_CLOEXEC);
	_cleanup_free_ char *template = NULL, *path = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_free_ char *rom = NULL;
	size_t len = 0;
	error *e = NULL;

	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot keep the image: memfd_create");
	if (s->boot == SOLO_FIRMWARE) {
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

static error *make_disk(const struct solo *s, int *ret_fd)
{
	*ret_fd = -1;
	if (!(s->devices & 1U << DEVICE_DISK))
		return NULL;
	*ret_fd = memfd_create("mvm-disk", MFD_CLOEXEC);
	return *ret_fd < 0 || ftruncate(*ret_fd, DISK_BYTES) < 0
		       ? err_sys(EXIT_CANNOT, errno, "cannot make a disk: memfd_create")
		       : NULL;
}

static void add_devices(const struct solo *s, struct strlist *argv)
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

static void make_argv(const struct solo *s, struct strlist *argv)
{
	strlist_add(argv, s->binary);
	strlist_add(argv, "-machine");
	strlist_add(argv, s->machine->args);
	strlist_add_words(argv, s->accel == ACCEL_KVM ? "-accel kvm" : "-accel tcg,tb-size=1");
	strlist_addf(argv, "-m");
	strlist_addf(argv, "%u", s->memory_mb ? s->memory_mb : 1);
	strlist_add_words(argv, "-nodefaults -no-user-config -display none");
	/* no lock: the file belongs to nobody else, and a lock by such a name may fail */
	strlist_add(argv, s->boot == SOLO_FIRMWARE ? "-bios" : "-drive");
	if (s->boot == SOLO_FIRMWARE)
		strlist_addf(argv, "/proc/self/fd/%d", BOOT_FD);
	else
		strlist_addf(argv, "file=/proc/self/fd/%d,format=raw,if=%s,file.locking=off", BOOT_FD,
			     s->boot == SOLO_FLOPPY ? "floppy" : "ide");
	add_devices(s, argv);
	strlist_add(argv, "-chardev");
	strlist_addf(argv, "socket,id=mvm,fd=%d", SERIAL_FD);
	strlist_add_words(argv, "-serial chardev:mvm");
}

static error *spawn(struct solo *s, int serial_fd, int boot_fd, int disk_fd)
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

error *solo_power_on(struct solo *s)
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

void solo_power_off(struct solo *s)
{
	child_kill(s->pid);
	s->pid = 0;
	util_closep(&s->serial_fd);
	s->serial_fd = -1;
}

void solo_close(struct solo *s)
{
	solo_power_off(s);
	util_closep(&s->log_fd);
	s->log_fd = -1;
}

char *solo_complaint(const struct solo *s)
{
	_cleanup_free_ char *said = spawn_complaint(s->log_fd);

	return *said ? xasprintf("; it said: %s", said) : xstrdup("");
}
