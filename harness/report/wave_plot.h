/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_WAVE_PLOT_H
#define MVM_REPORT_WAVE_PLOT_H

#include "base/err.h"
#include "model/fidelity.h"

/* What a VM was asked for and what it did, in one figure, to out_path (.svg, .png, .pdf). */
error *wave_plot(const struct wave_measured *m, const char *profile, const char *out_path) ERR_MUST_CHECK;

#endif
