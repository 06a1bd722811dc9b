# SPDX-License-Identifier: GPL-3.0-or-later
# The CPU of one VM: what its waveform asks for and what its process used. The program writes, before this is
# loaded: width_pt and height_pt, figure_title, line, x_max and y_max; and beside it wave.dat: seconds, asked, got.
set lmargin at screen sx(34)
set rmargin at screen 1 - sx(10)
set tmargin at screen down(30)
set bmargin at screen up(46)
set label figure_title at screen sx(6), screen down(10) left font bold
set label line at screen sx(6), screen down(21) left font small textcolor rgb grey
set label 'seconds' at screen (sx(34) + 1 - sx(10)) / 2, screen up(25) center font text
set label 'CPU of the VM (%)' at screen sx(6), screen up(46) + (down(30) - up(46)) / 2 center rotate font text
set xrange [0:x_max]
set yrange [0:y_max * 1.05]
set arrow from screen sx(34), screen up(9) to screen sx(58), screen up(9) nohead linetype 102 \
	linecolor rgb colour[3] linewidth 1
set label 'asked' at screen sx(62), screen up(9) left font small
set arrow from screen sx(110), screen up(9) to screen sx(134), screen up(9) nohead linetype 101 \
	linecolor rgb colour[1] linewidth 1
set label 'measured' at screen sx(138), screen up(9) left font small
plot 'wave.dat' using 1:3 with histeps linetype 101 linewidth 1 linecolor rgb colour[1], \
	'wave.dat' using 1:2 with histeps linetype 102 linewidth 1 linecolor rgb colour[3]
set output
