# SPDX-License-Identifier: GPL-3.0-or-later
# CPU and RAM of a fleet: what stands around its panels. The program writes, before this is loaded: width_pt and
# height_pt, title_pt, small_pt, figure_title, n_lines and line. After it hosts-panel.gp is loaded for each panel,
# of which the first draws these words.
set label figure_title at screen sx(6), screen down(10) left font bold
do for [i=1:n_lines] {
	set label line[i] at screen sx(6), screen down(title_pt + 4 + small_pt * (i - 0.4)) \
		left font small textcolor rgb grey
}
set label 'number of VMs' at screen 0.5, screen up(20) center font text
set label 'share of the host (%)' at screen sx(6), screen 0.5 center rotate font text

point = 0.4 * (is_svg ? 2.2 : 1)  # svg knows no pointscale
array series[2] = ['CPU', 'RAM']
do for [s=1:2] {
	x = 34 + (s - 1) * 60
	set arrow from screen sx(x), screen up(7) to screen sx(x + 24), screen up(7) nohead \
		linetype 100 + s linecolor rgb colour[s] linewidth 1
	set label '' at screen sx(x + 12), screen up(7) point pointtype filled[s] pointsize point linecolor rgb colour[s]
	set label series[s] at screen sx(x + 28), screen up(7) left font small
}
set arrow from screen sx(154), screen up(7) to screen sx(178), screen up(7) nohead \
	linecolor rgb grey linewidth 0.7 dashtype (6,4)
set label 'threshold' at screen sx(182), screen up(7) left font small
set yrange [0:100]
set ytics (0, 50, 100) font small
set multiplot
