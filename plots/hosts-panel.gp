# SPDX-License-Identifier: GPL-3.0-or-later
# One panel of a fleet's figure. The program writes, before this is loaded: left_pt, wide_pt, top_pt and high_pt (its
# frame), panel_name and panel_state, panel_data (VMs, mean and sd of CPU, mean and sd of RAM), x_max and its ticks, threshold (0:
# none), and with has_end end_x, end_cpu, end_ram: the last values of a host that was lost.
set lmargin at screen sx(left_pt)
set rmargin at screen sx(left_pt + wide_pt)
set tmargin at screen down(top_pt)
set bmargin at screen down(top_pt + high_pt)
set xtics font small
set xrange [0:x_max * 1.04]
set label panel_name at screen sx(left_pt), screen down(top_pt - (strlen(panel_state) ? 15 : 6)) left font small
set label panel_state at screen sx(left_pt), screen down(top_pt - 6) left font small textcolor rgb grey
if (threshold > 0) {
	set arrow from graph 0, first threshold to graph 1, first threshold nohead \
		linecolor rgb grey linewidth 0.7 dashtype (6,4) back
}
if (has_end) {
	set label '' at first end_x, first end_cpu point pointtype 2 pointsize 2.4 * point linecolor rgb colour[3] front
	set label '' at first end_x, first end_ram point pointtype 2 pointsize 2.4 * point linecolor rgb colour[3] front
}
plot for [s=1:2] panel_data \
		using 1:(column(2 * s) - column(2 * s + 1)):(0):(2 * column(2 * s + 1)) \
		with vectors heads size graph 0.012,90 linewidth 0.6 linecolor rgb colour[s], \
	for [s=1:2] panel_data using 1:(column(2 * s)) with lines linetype 100 + s linewidth 1 linecolor rgb colour[s], \
	for [s=1:2] panel_data using 1:(column(2 * s)) with points pointtype filled[s] pointsize point linecolor rgb colour[s]
unset label
unset arrow
