/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Swap is taken out of use and removed only when it is the very area that was made for a run. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "host/swap.h"
#include "host/undo.h"

/* Whoever looks at new devices (udev) may have it open for a moment. */
#define RESET_TRIES 20
#define RESET_WAIT_NS 50000000ULL

static enum swap_use use_of(const char *path)
{
	_cleanup_free_ char *swaps = NULL;
	_cleanup_err_ error *e = fs_read("/proc/swaps", &swaps, NULL);

	return e ? SWAP_UNUSED : swaps_list(swaps, path);
}

/* UNDO_DONE: it was in use, and is so no longer. */
static enum undo_result out_of_use(const char *path, char **said)
{
	int got;

	if (use_of(path) != SWAP_USED)
		return UNDO_NOTHING;
	while ((got = swapoff(path)) < 0 && errno == EINTR)
		;
	if (got == 0)
		return UNDO_DONE;
	*said = xasprintf("not restored: cannot take swap %s out of use: %s", path, strerror(errno));
	return UNDO_FAILED;
}

/* The label of a swap area, "" for none; *ret_blank: its first page holds nothing. */
static void read_label(int fd, char label[SWAP_LABEL_SIZE], bool *ret_blank)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	_cleanup_free_ unsigned char *page = xcalloc(1, size);
	ssize_t n = pread(fd, page, size, 0);

	*label = '\0';
	*ret_blank = n == (ssize_t)size;
	for (size_t i = 0; *ret_blank && i < size; i++)
		*ret_blank = !page[i];
	if (n == (ssize_t)size)
		swap_label(page, size, label);
}

/* An entry without inode is of a run that was killed before anything stood in the file. */
static bool is_ours(const json_t *entry, int fd, const struct stat *st)
{
	const char *wanted = json_string_value(json_object_get(entry, "value"));
	char label[SWAP_LABEL_SIZE];
	bool blank;

	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_nlink != 1)
		return false;
	if (st->st_size == 0 || (json_object_get(entry, "ino") && undo_is_made(entry, st)))
		return true;
	read_label(fd, label, &blank);
	return wanted && *wanted && str_eq(label, wanted);
}

static enum undo_result not_ours(const char *path, char **said)
{
	*said = xasprintf("left %s: it is not the swap that was made", path);
	return UNDO_FOREIGN;
}

enum undo_result undo_swap(const json_t *entry, const char *path, bool same_boot, char **said)
{
	const char *number = path + strlen(SWAP_FILE_PREFIX);
	struct stat st, now;

	if (!str_starts(path, SWAP_FILE_PREFIX) || !isdigit((unsigned char)*number) ||
	    number[strspn(number, "0123456789-")]) {
		*said = xasprintf("not removed: %s is not named as our swap files are", path);
		return UNDO_FAILED;
	}
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		if (!same_boot || use_of(path) != SWAP_DELETED)
			return UNDO_NOTHING;
		*said = xasprintf("not restored: %s was deleted while it was in use as swap, and is until "
				  "the next boot",
				  path);
		return UNDO_FAILED;
	}
	if (fd < 0 || fstat(fd, &st) < 0 || !is_ours(entry, fd, &st))
		return not_ours(path, said);
	enum undo_result off = same_boot ? out_of_use(path, said) : UNDO_NOTHING;
	if (off == UNDO_FAILED)
		return off;
	if (lstat(path, &now) < 0 || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
		return not_ours(path, said);
	if (unlink(path) < 0) {
		*said = xasprintf("not removed: %s: %s", path, strerror(errno));
		return UNDO_FAILED;
	}
	*said = xasprintf("removed swap file %s", path);
	return UNDO_DONE;
}

static error *write_again(const char *path, const char *value)
{
	error *e;

	for (int i = 0; (e = fs_write_setting(path, value)) && e->sys == EBUSY && i < RESET_TRIES; i++) {
		err_free(e);
		clock_sleep_ns(RESET_WAIT_NS);
	}
	return e;
}

enum undo_result undo_zram(const char *path, const char *label, char **said)
{
	const char *number = path + strlen(SWAP_ZRAM_PREFIX);
	char found[SWAP_LABEL_SIZE] = "";
	bool blank = false;
	long long size = 0;
	long n;

	if (!str_starts(path, SWAP_ZRAM_PREFIX) || !parse_long(number, 0, INT_MAX, &n)) {
		*said = xasprintf("not removed: %s is no zram device", path);
		return UNDO_FAILED;
	}
	_cleanup_free_ char *size_file = xasprintf("/sys/block/zram%ld/disksize", n);
	_cleanup_free_ char *reset = xasprintf("/sys/block/zram%ld/reset", n);
	if (!fs_read_number(size_file, &size))
		return UNDO_NOTHING;
	int fd = size ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		read_label(fd, found, &blank);
		close(fd); /* nobody may have it open when it is reset */
	}
	/* blank: killed before the header was written */
	if (size && !(*label && str_eq(found, label)) && (!blank || use_of(path) == SWAP_USED))
		return not_ours(path, said);
	if (out_of_use(path, said) == UNDO_FAILED)
		return UNDO_FAILED;
	error *e = write_again(reset, "1");
	if (!e)
		e = write_again("/sys/class/zram-control/hot_remove", number);
	if (e)
		return undo_failed(said, e);
	*said = xasprintf("removed swap device %s", path);
	return UNDO_DONE;
}
