/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Of the fifty libraries that a distribution's QEMU loads, a sleeping guest needs a
 * handful; yet each costs every copy five mappings, a dirty page and page tables. So
 * copies are made without them (MADV_DONTFORK). What the template had written into them
 * is kept in one file in memory; the rest is in the library's own file. A copy that
 * touches such a library gets a fault, maps it all to its old place, and goes on. The one
 * thing this cannot catch is a system call that is handed a pointer into a library none
 * of whose code ever ran in this copy.
 */
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "preload/zygote.h"

#define MAX_LIBS 192
#define MAX_SEGMENTS 1024

struct segment {
	uintptr_t start, end;
	off_t offset; /* in the keep, or in the library's file */
	int prot;
	bool kept;
};

struct lib {
	uintptr_t start, end;
	unsigned first, count; /* its segments */
	uintptr_t data;	       /* where what may have been written begins */
	const char *path;      /* owned by the dynamic linker */
	dev_t device;
	ino_t inode;
	volatile int state; /* in a copy: 0 left out, 1 being mapped, 2 there */
	volatile int late;  /* faults of other threads that were told of only when it was there */
};

static struct lib libs[MAX_LIBS];
static struct segment segments[MAX_SEGMENTS];
static unsigned lib_count, segment_count;
static int keep = -1;
static pid_t template_pid;

/* Needed by every wake: to leave them out would only cost time. */
static bool is_needed(const char *name)
{
	static const char *const needed[] = { "/libc.so", "/ld-linux", "/libglib-2", "linux-vdso",
					      "mvmzygote" };

	if (!*name)
		return true; /* the program itself */
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (strstr(name, needed[i]))
			return true;
	return false;
}

static int note_lib(struct dl_phdr_info *info, size_t size, void *user)
{
	uintptr_t low = UINTPTR_MAX, high = 0, data = UINTPTR_MAX;
	struct stat st;

	(void)size;
	(void)user;
	if (is_needed(info->dlpi_name) || lib_count == MAX_LIBS)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_LOAD)
			continue;
		uintptr_t from = info->dlpi_addr + ph->p_vaddr, to = from + ph->p_memsz;
		low = from < low ? from : low;
		high = to > high ? to : high;
		if (ph->p_flags & PF_W)
			data = from < data ? from : data;
	}
	if (low < high && stat(info->dlpi_name, &st) == 0)
		libs[lib_count++] = (struct lib){ .start = low & ~4095UL,
						  .end = (high + 4095) & ~4095UL,
						  .data = data & ~4095UL,
						  .path = info->dlpi_name,
						  .device = st.st_dev,
						  .inode = st.st_ino };
	return 0;
}

static struct lib *lib_at(uintptr_t addr)
{
	for (unsigned i = 0; i < lib_count; i++)
		if (addr >= libs[i].start && addr < libs[i].end)
			return &libs[i];
	return NULL;
}

static bool copy_to_keep(const struct segment *s)
{
	for (uintptr_t at = s->start; at < s->end;) {
		ssize_t n = pwrite(keep, (const void *)at, s->end - at, s->offset + (off_t)(at - s->start));

		if (n <= 0)
			return false;
		at += (uintptr_t)n;
	}
	return true;
}

/* One line of /proc/self/maps; false when it is no part of a library that may be left out. */
static bool note_segment(const char *line, off_t *offset)
{
	unsigned long start, end, file_offset;
	char perms[5];

	if (sscanf(line, "%lx-%lx %4s %lx", &start, &end, perms, &file_offset) != 4 ||
	    segment_count == MAX_SEGMENTS)
		return false;
	struct lib *lib = lib_at(start);
	if (!lib || end > lib->end || perms[0] != 'r' || perms[3] != 'p')
		return false;
	struct segment *s = &segments[segment_count];
	*s = (struct segment){ .start = start,
			       .end = end,
			       .kept = start >= lib->data,
			       .prot = PROT_READ | (perms[1] == 'w' ? PROT_WRITE : 0) |
				       (perms[2] == 'x' ? PROT_EXEC : 0) };
	s->offset = s->kept ? *offset : (off_t)file_offset;
	if (s->kept && !copy_to_keep(s))
		return false;
	if (!lib->count)
		lib->first = segment_count;
	lib->count++;
	segment_count++;
	if (s->kept)
		*offset += (off_t)(end - start);
	return true;
}

/* Raw calls: this runs in a signal handler of a process whose libc may be busy. */
static void map_lib(struct lib *lib)
{
	struct stat st;
	int file = (int)syscall(SYS_openat, AT_FDCWD, lib->path, O_RDONLY | O_CLOEXEC);

	/* a library that was replaced on disk meanwhile is another one */
	if (file < 0 || fstat(file, &st) < 0 || st.st_dev != lib->device || st.st_ino != lib->inode)
		_exit(125);
	for (unsigned i = lib->first; i < lib->first + lib->count; i++) {
		const struct segment *s = &segments[i];
		long got = syscall(SYS_mmap, s->start, s->end - s->start, s->prot, MAP_PRIVATE | MAP_FIXED,
				   s->kept ? keep : file, s->offset);
		if (got != (long)s->start)
			_exit(125);
	}
	syscall(SYS_close, file);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct lib *lib = lib_at((uintptr_t)info->si_addr);
	int left_out = 0;

	(void)context;
	if (lib && syscall(SYS_getpid) != template_pid &&
	    __atomic_compare_exchange_n(&lib->state, &left_out, 1, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST)) {
		map_lib(lib);
		__atomic_store_n(&lib->state, 2, __ATOMIC_SEQ_CST);
		return;
	}
	if (lib && left_out == 1) {
		syscall(SYS_sched_yield); /* another thread is at it; the access is tried again */
		return;
	}
	/* or it was, when this one faulted. Each thread can be late once; more is no such accident. */
	if (lib && left_out == 2 && info->si_code == SEGV_MAPERR &&
	    __atomic_fetch_add(&lib->late, 1, __ATOMIC_SEQ_CST) < MAX_THREADS)
		return;
	/* a fault of QEMU's own: let it die of it */
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigaction(sig, &sa, NULL);
}

unsigned libs_leave_out(void)
{
	static unsigned done;
	char line[512];
	off_t offset = 0;

	if (lib_count)
		return done;
	template_pid = getpid();
	if (keep < 0)
		keep = memfd_create("mvmscale-libs", MFD_CLOEXEC);
	FILE *maps = keep < 0 ? NULL : fopen("/proc/self/maps", "re");
	if (!maps)
		return 0;
	dl_iterate_phdr(note_lib, NULL);
	while (fgets(line, sizeof(line), maps))
		note_segment(line, &offset);
	fclose(maps);
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER };
	sigaction(SIGSEGV, &sa, NULL);
	for (unsigned i = 0; i < segment_count; i++)
		syscall(SYS_madvise, segments[i].start, segments[i].end - segments[i].start, MADV_DONTFORK);
	for (unsigned i = 0; i < lib_count; i++)
		done += libs[i].count > 0;
	return done;
}
