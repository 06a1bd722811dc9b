# SPDX-License-Identifier: GPL-3.0-or-later
# What an advice rests on. The program writes, before this is loaded: the sizes *_pt, the words, threshold,
# scatter, measured_to, has_safe, safe, lower, upper, vms, residuals and the axes; and beside it points.dat (VMs,
# value, sd) and model.dat (VMs, fit, lower, upper).
left_pt = 36
right_pt = 10
set lmargin at screen sx(left_pt)
set rmargin at screen 1 - sx(right_pt)
set tmargin at screen down(above_pt)
set bmargin at screen up(below_pt)

set label figure_title at screen sx(6), screen down(10) left font bold
do for [i=1:n_lines] {
	set label line[i] at screen sx(6), screen down(title_pt + 4 + small_pt * (i - 0.4)) \
		left font small textcolor rgb grey
}
set label 'number of VMs' at screen (sx(left_pt) + 1 - sx(right_pt)) / 2, screen up(below_pt - 22) \
	center font text
set label y_label at screen sx(6), screen up(below_pt) + (down(above_pt) - up(below_pt)) / 2 \
	center rotate font text

set xrange [0:x_max]
set yrange [y_min:y_max]
band = '#b5d3e8'
point = 0.45 * (is_svg ? 2.2 : 1)  # svg knows no pointscale

# Legend: a row of three.
y0 = up(below_pt - axis_pt - small_pt * 0.5)
set label '' at screen sx(left_pt + 6), screen y0 point pointtype filled[1] pointsize point linecolor rgb colour[1]
set label (residuals ? 'interval less fit' : 'interval, mean and sd') at screen sx(left_pt + 12), screen y0 left font small
if (!residuals) {
	set arrow from screen sx(left_pt + 94), screen y0 to screen sx(left_pt + 110), screen y0 nohead \
		linecolor rgb colour[2] linewidth 1.2
	set label 'fit' at screen sx(left_pt + 113), screen y0 left font small
	set object rectangle from screen sx(left_pt + 130), screen y0 - up(3) to screen sx(left_pt + 146), screen y0 + up(3) \
		fillcolor rgb band fillstyle solid noborder
	set label '95 % prediction' at screen sx(left_pt + 149), screen y0 left font small
}

if (!residuals) {
	set arrow from graph 0, first threshold to graph 1, first threshold nohead \
		linecolor rgb grey linewidth 0.7 dashtype (6,4) back
	set label sprintf('threshold %g %%', threshold) at graph 0.02, first threshold left offset 0,0.5 \
		font small textcolor rgb grey
	if (measured_to < 0.98 * x_max / 1.04) {
		set arrow from first measured_to, graph 0 to first measured_to, graph 0.06 nohead \
			linecolor rgb grey linewidth 0.7
		set label 'measured to here' at first measured_to, graph 0.03 right offset -0.5,0 \
			font small textcolor rgb grey
	}
	if (has_safe) {
		set arrow from first safe, graph 0 to first safe, first threshold nohead \
			linecolor rgb colour[4] linewidth 1.2 front
		set label safe_words at first safe, graph 0.12 right offset -0.5,0 font small \
			textcolor rgb '#006b4f' front
	}
} else {
	set label sprintf('lines: 0 and 2 sd (%.2g)', 2 * scatter) at screen sx(left_pt + 100), screen y0 left font small
}

if (residuals) {
	set arrow from graph 0, first 0 to graph 1, first 0 nohead linecolor rgb colour[2] linewidth 1.2 back
	do for [s in '-2 2'] {
		set arrow from graph 0, first s * scatter to graph 1, first s * scatter nohead \
			linecolor rgb grey linewidth 0.7 dashtype (6,4) back
	}
	plot 'points.dat' using 1:2 with points pointtype filled[1] pointsize point linecolor rgb colour[1]
} else {
	plot 'model.dat' using 1:3:4 with filledcurves linecolor rgb band fillstyle solid, \
		'model.dat' using 1:2 with lines linecolor rgb colour[2] linewidth 1.2, \
		'points.dat' using 1:($2 - $3):(0):(2 * $3) with vectors heads size graph 0.006,90 linewidth 0.6 \
			linecolor rgb colour[1], \
		'points.dat' using 1:2 with points pointtype filled[1] pointsize point linecolor rgb colour[1]
}
set output
