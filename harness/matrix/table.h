/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_TABLE_H
#define MVM_MATRIX_TABLE_H

#include "base/csv.h"
#include "base/table.h"
#include "matrix/matrix.h"
#include "record/read.h"

/*
 * The columns of the table: numbers N(symbol, name, head, spread, meaning), then texts T(symbol, name,
 * head, meaning). The first nine are those of Table I of Bratterud & Haugerud 2013, in its order. With
 * spread, <name>_min and <name>_max follow in CSV and JSON when there were several rounds.
 */
#define MATRIX_NUMBERS(N)                                                                        \
	N(SLEEP, "sleep", "sleep", 0, "1: the guest's timer (PIT) is stopped; 0: it ticks")      \
	N(KVM, "kvm", "KVM", 0, "1: KVM; 0: TCG")                                                \
	N(ARCH, "arch_bits", "arch", 0, "32 or 64: the emulator's target, not the guest's mode") \
	N(MVMS, "mvms", "MVMs", 1, "VMs at the last step")                                       \
	N(CPU, "cpu_pct", "%CPU", 1, "CPU in use, of the whole host, at the last step")          \
	N(RAM, "ram_pct", "%RAM", 1, "RAM in use, of the whole host, at the last step")          \
	N(SWAP, "swap_pct", "%swap", 1, "swap in use at the last step")                          \
	N(SIZE, "size_kb", "size/kB", 1, "drop of MemAvailable since the baseline, per VM")      \
	N(MINUTES, "minutes", "minutes", 1, "length of the run, measuring included")             \
	N(BOOT, "boot_per_s", "boot/s", 1, "VMs ready per second spent launching")               \
	N(GUESTS, "cpu_guests_pct", "%guests", 1, "CPU that the VMs themselves used")            \
	N(ROUNDS, "rounds", "rounds", 0, "rounds that were measured")
#define MATRIX_TEXTS(T)                                                                                  \
	T(CELL, "configuration", "configuration", "as the matrix names it")                              \
	T(SOURCE, "source", "source", "here: measured; else the file of a row beside")                   \
	T(PRESET, "preset", "preset", "how QEMU is run")                                                 \
	T(PROFILE, "profile", "profile", "what the guest does")                                          \
	T(LAUNCH, "launch", "launch", "how a VM comes to be")                                            \
	T(QEMU, "qemu", "QEMU", "version")                                                               \
	T(GOVERNOR, "governor", "governor", "cpufreq governor that was set")                             \
	T(STOP, "stop", "stopped by", "what ended the ramp; several where the rounds differ")            \
	T(STATE, "state", "state", "done, untrusted (VMs were lost or silent), failed, cannot, pending") \
	T(NOTE, "note", "note", "why there is no measurement")

enum matrix_number {
#define NUMBER_SYMBOL(sym, name, head, spread, meaning) NUMBER_##sym,
	MATRIX_NUMBERS(NUMBER_SYMBOL)
#undef NUMBER_SYMBOL
		NUMBER_COUNT
};
enum matrix_text {
#define TEXT_SYMBOL(sym, name, head, meaning) TEXT_##sym,
	MATRIX_TEXTS(TEXT_SYMBOL)
#undef TEXT_SYMBOL
		TEXT_COUNT
};
struct matrix_column {
	const char *name, *head, *meaning;
	bool spread;
	const char *min, *max; /* the names of its spread */
};
extern const struct matrix_column matrix_numbers[NUMBER_COUNT], matrix_texts[TEXT_COUNT];

/* Medians over the rounds; NAN and NULL where there is nothing. */
struct matrix_row {
	double median[NUMBER_COUNT], min[NUMBER_COUNT], max[NUMBER_COUNT];
	char *text[TEXT_COUNT];
};
struct matrix_table {
	char *name, *title, *host; /* host: its facts in one line; title may be "" */
	struct matrix_row *rows;
	size_t count;
};

/* One row per cell, from the run folders. Folders that cannot be read make a row without numbers whose note
   says why. */
void matrix_table_read(const struct matrix *m, struct matrix_table *ret);
/* The row of one cell from the records of its rounds. Pure. */
void matrix_row_of(struct run_record *const *records, size_t n, struct matrix_row *ret);
/* Adds the rows of a CSV with columns of that name (any of the numbers; mvms must be there), labelled
   `label`. Pure. */
error *matrix_table_add_beside(struct matrix_table *t, const struct csv *csv,
			       const char *label) ERR_MUST_CHECK;
void matrix_table_clear(struct matrix_table *t);

/* The whole table as text; the caller frees it. Pure. */
char *matrix_table_render(const struct matrix_table *t, enum table_format f);

/* plot.c: draws CPU, RAM, swap and the guests' CPU of all measured cells into the matrix' folder, as
   <metric>[-<value>].svg and .png; `made` gets their names. EXIT_CANNOT without gnuplot. */
error *matrix_draw(const struct matrix *m, struct strlist *made) ERR_MUST_CHECK;
/* The records of a cell's measured rounds; returns how many. Free them and the array. */
size_t matrix_records(const struct matrix *m, size_t cell, struct run_record ***ret, char **ret_note);
void matrix_records_free(struct run_record **records, size_t n);

#endif
