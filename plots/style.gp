# SPDX-License-Identifier: GPL-3.0-or-later
# The look of every figure. Colours: Okabe and Ito's set for colour-blind readers,
# those that keep 3:1 contrast on white; markers and dashes carry the same in grey.
set encoding utf8
set key off
set border 3 linewidth 0.6 linecolor rgb '#333333'
set tics nomirror out scale 0.5,0.25 textcolor rgb '#000000'
set grid ytics linetype 1 linewidth 0.35 linecolor rgb '#cfcfcf'

array colour[5] = ['#0072B2', '#D55E00', '#000000', '#009E73', '#CC79A7']
array filled[5] = [7, 5, 9, 13, 11]
array hollow[5] = [6, 4, 8, 12, 10]
# Short dashes: twenty markers leave little room between them.
set linetype 101 dashtype solid
set linetype 102 dashtype (6,3)
set linetype 103 dashtype (1.5,2)
set linetype 104 dashtype (8,2,1.5,2)
set linetype 105 dashtype (3,1.5)
grey = '#555555'
face = is_svg ? 'sans-serif' : 'Sans'
bold = face . (is_svg ? ' Bold,9' : ':Bold,9')  # each terminal has its own word for it
text = face . ',8'
small = face . ',7'

set xtics font text offset 0,(is_svg ? -0.25 : 0.25)
set ytics font text offset 0.4,0

# Places are given in points from the upper left or lower left corner of the figure.
# (1.0: gnuplot divides whole numbers as C does.)
sx(pt) = 1.0 * pt / width_pt
up(pt) = 1.0 * pt / height_pt
down(pt) = 1 - 1.0 * pt / height_pt
