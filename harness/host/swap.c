/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"

#define SWAP_MIN_BYTES (1U << 20)
/* Pages of 4 KiB that the header's 32 bits can number. */
#define SWAP_MAX_BYTES (1ULL << 44)
#define SWAP_FOLDER "/var/tmp"
#define ZRAM_CONTROL "/sys/class/zram-control/"

/* Offsets in the header page. */
#define HEADER_VERSION 1024
#define HEADER_LAST_PAGE 1028
#define HEADER_UUID 1036
#define UUID_BYTES 16
/* no text: ten bytes without an end */
static const unsigned char HEADER_MAGIC[] = { 'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2' };

error *swap_parse(const char *text, struct swap_spec *ret)
{
	static const char zram[] = "zram:";
	double bytes = 0;

	*ret = (struct swap_spec){ .zram = strncmp(text, zram, strlen(zram)) == 0 };
	if (!parse_bytes(text + (ret->zram ? strlen(zram) : 0), &bytes) || bytes < SWAP_MIN_BYTES ||
	    bytes > (double)SWAP_MAX_BYTES)
		return err_new(
			EXIT_BAD_INPUT,
			"swap '%s': needs a size from 1M to 16T, such as 4G, or zram:4G for a compressed one in RAM",
			text);
	ret->bytes = (uint64_t)bytes;
	return NULL;
}

void swap_header(unsigned char *page, uint32_t page_size, uint64_t bytes, const unsigned char uuid[16])
{
	uint32_t version = 1, last = (uint32_t)(bytes / page_size - 1);

	memset(page, 0, page_size);
	memcpy(page + HEADER_VERSION, &version, sizeof(version));
	memcpy(page + HEADER_LAST_PAGE, &last, sizeof(last));
	memcpy(page + HEADER_UUID, uuid, 16);
	memcpy(page + page_size - sizeof(HEADER_MAGIC), HEADER_MAGIC, sizeof(HEADER_MAGIC));
}

static void label_text(const unsigned char uuid[UUID_BYTES], char ret[SWAP_LABEL_SIZE])
{
	for (int i = 0; i < UUID_BYTES; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", uuid[i]);
}

void swap_label(const unsigned char *page, size_t page_size, char ret[SWAP_LABEL_SIZE])
{
	*ret = '\0';
	if (page_size >= HEADER_UUID + UUID_BYTES + sizeof(HEADER_MAGIC) &&
	    memcmp(page + page_size - sizeof(HEADER_MAGIC), HEADER_MAGIC, sizeof(HEADER_MAGIC)) == 0)
		label_text(page + HEADER_UUID, ret);
}

/* Whether the name of a line, in which blanks and the like are octal ("\\040"), is `path`; *rest is behind
 * it. */
static bool is_name(const char *line, const char *path, const char **rest)
{
	while (*line && *line != ' ' && *line != '\t' && *line != '\n') {
		unsigned c = (unsigned char)*line;
		size_t n = 1;

		if (*line == '\\' && sscanf(line + 1, "%3o", &c) == 1)
			n = 4;
		if (!*path)
			break;
		if (c != (unsigned char)*path)
			return false;
		line += n;
		path++;
	}
	*rest = line;
	return !*path;
}

enum swap_use swaps_list(const char *swaps, const char *path)
{
	static const char deleted[] = "\\040(deleted)";
	enum swap_use found = SWAP_UNUSED;

	for (const char *line = swaps; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *rest;

		if (!is_name(line, path, &rest))
			continue;
		if (*rest == ' ' || *rest == '\t')
			return SWAP_USED;
		if (str_starts(rest, deleted))
			found = SWAP_DELETED;
	}
	return found;
}

/* By its label an area is known as ours, whatever its name is by then. */
static error *new_uuid(unsigned char uuid[UUID_BYTES], char label[SWAP_LABEL_SIZE])
{
	ssize_t n;

	while ((n = getrandom(uuid, UUID_BYTES, 0)) < 0 && errno == EINTR)
		;
	if (n != UUID_BYTES)
		return err_sys(EXIT_CANNOT, errno, "--swap: no random numbers");
	label_text(uuid, label);
	return NULL;
}

static error *write_header(int fd, const char *path, uint64_t bytes, const unsigned char uuid[UUID_BYTES])
{
	uint32_t page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	_cleanup_free_ unsigned char *page = xcalloc(1, page_size);

	swap_header(page, page_size, bytes, uuid);
	if (pwrite(fd, page, page_size, 0) != (ssize_t)page_size || fsync(fd) < 0)
		return err_sys(EXIT_CANNOT, errno, "--swap: cannot write to %s", path);
	return NULL;
}

static error *check_room(uint64_t bytes)
{
	struct statvfs v;

	if (statvfs(SWAP_FOLDER, &v) < 0)
		return err_sys(EXIT_CANNOT, errno, "--swap: %s", SWAP_FOLDER);
	double free_bytes = (double)v.f_bavail * (double)v.f_frsize;
	double spare = (double)v.f_blocks * (double)v.f_frsize / 10;
	if (free_bytes - (double)bytes < spare)
		return err_new(
			EXIT_CANNOT,
			"--swap: %s has %.0f MB free; a swap file of %.0f MB would leave less than a tenth of the file system: ask for less, or make room",
			SWAP_FOLDER, free_bytes / 1e6, (double)bytes / 1e6);
	return NULL;
}

static error *take_into_use(const char *path)
{
	if (swapon(path, 0) == 0)
		return NULL;
	return err_sys(
		EXIT_CANNOT, errno,
		"--swap: the kernel refuses %s as swap (not every file system can hold a swap file, and containers usually may not)",
		path);
}

/* One that is there may be in use, by a run that had our pid: a name that is free. */
static char *free_name(void)
{
	char *path = xasprintf(SWAP_FILE_PREFIX "%d", (int)getpid());
	struct stat st;

	for (int i = 1; lstat(path, &st) == 0 && i < 1000; i++) {
		free(path);
		path = xasprintf(SWAP_FILE_PREFIX "%d-%d", (int)getpid(), i);
	}
	return path;
}

static error *add_file(struct settings *settings, uint64_t bytes, char **ret_path)
{
	unsigned char uuid[UUID_BYTES];
	char label[SWAP_LABEL_SIZE];
	_cleanup_free_ char *path = free_name();
	error *e = check_room(bytes);

	if (e || (e = new_uuid(uuid, label)) || (e = settings_note_swap(settings, path, label)))
		return e;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "--swap: cannot create %s", path);
	e = settings_note_made(settings, path);
	/* a hole in a swap file is refused */
	int full = 0;
	while (!e && (full = posix_fallocate(fd, 0, (off_t)bytes)) == EINTR)
		;
	if (!e)
		e = full ? err_sys(EXIT_CANNOT, full, "--swap: cannot allocate %s", path)
			 : write_header(fd, path, bytes, uuid);
	close(fd);
	if (!e)
		e = take_into_use(path);
	if (!e)
		*ret_path = STEAL(path);
	return e;
}

static error *add_zram(struct settings *settings, uint64_t bytes, char **ret_path)
{
	unsigned char uuid[UUID_BYTES];
	char label[SWAP_LABEL_SIZE];
	long long n = 0;
	error *e = new_uuid(uuid, label);

	if (e)
		return e;
	if (!fs_read_number(ZRAM_CONTROL "hot_add", &n))
		return err_new(
			EXIT_CANNOT,
			"--swap zram: this kernel has no zram, or its module is not loaded: 'modprobe zram', or use a swap file (--swap SIZE)");
	_cleanup_free_ char *size_file = xasprintf("/sys/block/zram%lld/disksize", n);
	_cleanup_free_ char *size = xasprintf("%llu", (unsigned long long)bytes);
	_cleanup_free_ char *path = xasprintf(SWAP_ZRAM_PREFIX "%lld", n);

	if ((e = settings_note_zram(settings, path, label)) || (e = fs_write_setting(size_file, size)))
		return e;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	e = fd < 0 ? err_sys(EXIT_CANNOT, errno, "--swap zram: %s", path)
		   : write_header(fd, path, bytes, uuid);
	if (fd >= 0)
		close(fd);
	if (!e)
		e = take_into_use(path);
	if (!e)
		*ret_path = STEAL(path);
	return e;
}

error *swap_add(struct settings *settings, const struct swap_spec *spec, char **ret_path)
{
	if (geteuid() != 0)
		return err_new(EXIT_CANNOT, "--swap: only root may add swap: run as root, or leave it out");
	return spec->zram ? add_zram(settings, spec->bytes, ret_path)
			  : add_file(settings, spec->bytes, ret_path);
}
