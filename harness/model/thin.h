/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_THIN_H
#define MVM_MODEL_THIN_H

#include "record/read.h"

/* More intervals than this make no fit better, and robust fits are costly. */
#define THIN_ROWS 2000

/*
 * Leaves at most THIN_ROWS intervals of a record, evenly by row, the first and the last among them; the note
 * says so. The VMs that were asked in an interval that went count in the next one that stays. Shorter records
 * stay as they are.
 */
void run_record_thin(struct run_record *r);

#endif
