/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_TABLE_H
#define MVM_MATRIX_TABLE_H

#include "base/csv.h"
#include "matrix/matrix.h"
#include "record/read.h"

/*
 * The columns of the table: numbers N(symbol, name, head, spread, meaning), then texts T(symbol, name,
 * head, meaning). The first nine are those of Table I of Bratterud & Haugerud 2013, in its order. With
 * spread, <name>_min and <name>_max follow in CSV and JSON when there were several rounds.
 */
#define TABLE_NUMBERS(N)                                                                         \
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
#define TABLE_TEXTS(T)                                                                                   \
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

enum table_number {
#define TABLE_NUMBER(sym, name, head, spread, meaning) NUMBER_##sym,
	TABLE_NUMBERS(TABLE_NUMBER)
#undef TABLE_NUMBER
		NUMBER_COUNT
};
enum table_text {
#define TABLE_TEXT(sym, name, head, meaning) TEXT_##sym,
	TABLE_TEXTS(TABLE_TEXT)
#undef TABLE_TEXT
		TEXT_COUNT
};
struct table_column {
	const char *name, *head, *meaning;
	bool spread;
};
extern const struct table_column table_numbers[NUMBER_COUNT], table_texts[TEXT_COUNT];

/* Medians over the rounds; NAN and NULL where there is nothing. */
struct table_row {
	double median[NUMBER_COUNT], min[NUMBER_COUNT], max[NUMBER_COUNT];
	char *text[TEXT_COUNT];
};
struct table {
	char *name, *title, *host; /* host: its facts in one line; title may be "" */
	struct table_row *rows;
	size_t count;
};

/* One row per cell, from the run folders. Folders that cannot be read make a row without numbers whose note
   says why. */
void table_of_matrix(const struct matrix *m, struct table *ret);
/* The row of one cell from the records of its rounds. Pure. */
void table_row_of(struct run_record *const *records, size_t n, struct table_row *ret);
/* Adds the rows of a CSV with columns of that name (any of the numbers; mvms must be there), labelled
   `label`. Pure. */
error *table_add_beside(struct table *t, const struct csv *csv, const char *label) ERR_MUST_CHECK;
void table_clear(struct table *t);

enum table_format { FORMAT_TEXT, FORMAT_CSV, FORMAT_JSON, FORMAT_MARKDOWN, FORMAT_LATEX, FORMAT_COUNT };
/* As in --format, and the ending of its file. */
extern const char *const table_format_names[FORMAT_COUNT], *const table_format_endings[FORMAT_COUNT];
/* The whole table as text; the caller frees it. Pure. */
char *table_render(const struct table *t, enum table_format f);
/* Text made safe for one format. Pure; the caller frees it. */
char *table_escape(const char *text, enum table_format f);

/* figures.c: draws CPU, RAM, swap and the guests' CPU of all measured cells into the matrix' folder, as
   <metric>[-<value>].svg and .png; `made` gets their names. EXIT_CANNOT without gnuplot. */
error *matrix_draw(const struct matrix *m, struct strlist *made) ERR_MUST_CHECK;
/* The records of a cell's measured rounds; returns how many. Free them and the array. */
size_t matrix_records(const struct matrix *m, size_t cell, struct run_record ***ret, char **ret_note);
void matrix_records_free(struct run_record **records, size_t n);

#endif
