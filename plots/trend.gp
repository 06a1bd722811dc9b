# SPDX-License-Identifier: GPL-3.0-or-later
# One figure over the runs of a history. The program writes before this is loaded: width_pt, height_pt,
# figure_title, y_label, n_values, n_changes, change1.., the xtics; and beside it trend.dat, in two blocks: number of
# the run and value; the ends of each level.
set lmargin at screen sx(44)
set rmargin at screen 1 - sx(10)
set tmargin at screen down(22)
set bmargin at screen up(46)
set label figure_title at screen sx(6), screen down(10) left font bold
set label y_label at screen sx(6), screen up(46) + (down(22) - up(46)) / 2 center rotate font text
set label 'runs in order of time; labelled where the version changes' \
	at screen sx(6), screen up(8) left font small textcolor rgb grey
set xtics font small rotate by 30 right
set ytics font text
set xrange [0.5:n_values + 0.5]
set offsets 0, 0, graph 0.08, graph 0.08
do for [i=1:n_changes] {
	x = value(sprintf('change%d', i))
	set arrow from first x, graph 0 to first x, graph 1 nohead linecolor rgb grey linewidth 0.7 dashtype (6,4) back
}
plot 'trend.dat' index 0 using 1:2 with points pointtype 6 pointsize (is_svg ? 0.9 : 0.4) linecolor rgb colour[1], \
	'' index 1 using 1:2 with lines linetype 101 linewidth 1.4 linecolor rgb colour[2]
set output
