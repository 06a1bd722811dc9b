# SPDX-License-Identifier: GPL-3.0-or-later
# Use of the host over the VM count. The program writes, before this is loaded: the
# sizes *_pt, the words, n_runs, n_series, run_name, series_name, shown, threshold1.. and
# the axes; and beside it run<N>.dat: x, then mean and sd of each series.
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

set xrange [0:x_max * 1.03]
set yrange [y_min:y_max]

do for [i=1:n_thresholds] {
	t = value(sprintf('threshold%d', i))
	set arrow from graph 0, first t to graph 1, first t nohead \
		linecolor rgb grey linewidth 0.7 dashtype (6,4) back
	set label sprintf('threshold %g %%', t) at graph value(sprintf('label_at%d', i)), first t left offset 0,0.5 \
		font small textcolor rgb grey
}

# Several runs: colour and fill say the metric, shape and dash the run. One run: all
# four say the metric. One metric of several runs: all four say the run.
key_of(r, s) = n_runs == 1 ? s : r
colour_of(r, s) = colour[n_series == 1 ? r : s]
marker_of(r, s) = (n_runs > 1 && n_series > 1) ? (s == 1 ? filled[r] : hollow[r]) : \
	(key_of(r, s) % 2 == 1 ? filled[key_of(r, s)] : hollow[key_of(r, s)])
size_of(s) = (s == 3 ? 0.35 : 0.45) * (is_svg ? 2.2 : 1)  # svg knows no pointscale

# The legend is a table: a row for each run, a column for each metric.
legend_pt = below_pt - axis_pt
stroke_pt = 24
if (n_runs == 1 && n_series > 1) {
	y = up(legend_pt - small_pt * 0.5)
	do for [s=1:n_series] {
		x = left_pt + (s - 1) * (n_series > 3 ? 50 : 70)
		if (shown[s]) {
			set arrow from screen sx(x), screen y to screen sx(x + stroke_pt), screen y nohead \
				linetype 100 + s linecolor rgb colour_of(1, s) linewidth 1
			set label '' at screen sx(x + stroke_pt / 2), screen y \
				point pointtype marker_of(1, s) pointsize size_of(s) linecolor rgb colour_of(1, s)
			set label series_name[s] at screen sx(x + stroke_pt + 4), screen y left font small
		} else {
			set label 'no swap' at screen sx(x), screen y left font small textcolor rgb grey
		}
	}
}
if (n_runs > 1) {
	first_pt = n_series > 1 ? 150 : 36
	head = n_series > 1 ? 1 : 0
	do for [s=1:n_series] {
		x = first_pt + (s - 1) * 34 + stroke_pt / 2
		if (head) {
			set label series_name[s] at screen sx(x), screen up(legend_pt - small_pt * 0.5) \
				center font small
		}
		do for [r=1:n_runs] {
			y = up(legend_pt - small_pt * (r + head - 0.5))
			if (shown[(r - 1) * n_series + s]) {
				set arrow from screen sx(x - stroke_pt / 2), screen y \
					to screen sx(x + stroke_pt / 2), screen y nohead \
					linetype 100 + r linecolor rgb colour_of(r, s) linewidth 1
				set label '' at screen sx(x), screen y point pointtype marker_of(r, s) \
					pointsize size_of(s) linecolor rgb colour_of(r, s)
			} else {
				set label 'no swap' at screen sx(x), screen y center font small textcolor rgb grey
			}
		}
	}
	do for [r=1:n_runs] {
		y = up(legend_pt - small_pt * (r + head - 0.5))
		if (n_series > 1) {
			set label run_name[r] at screen sx(6), screen y left font small
		} else {
			set label run_name[r] at screen sx(first_pt + stroke_pt + 6), screen y left font small
		}
	}
}

plot for [s=1:n_series] for [r=1:n_runs] sprintf('run%d.dat', r) \
		using 1:(column(2 * s) - column(2 * s + 1)):(0):(2 * column(2 * s + 1)) \
		with vectors heads size graph 0.006,90 linewidth 0.6 linecolor rgb colour_of(r, s), \
	for [s=1:n_series] for [r=1:n_runs] sprintf('run%d.dat', r) \
		using 1:(column(2 * s)) with lines linetype 100 + key_of(r, s) linewidth 1 \
		linecolor rgb colour_of(r, s), \
	for [s=1:n_series] for [r=1:n_runs] sprintf('run%d.dat', r) \
		using 1:(column(2 * s)) with points pointtype marker_of(r, s) pointsize size_of(s) linecolor rgb colour_of(r, s)
set output
