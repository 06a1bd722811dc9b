#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What runs in several threads: the libvirt backend's workers, libvirt's event thread, those that open a fleet, and
# the one that takes in dead QEMUs. Brief runs that end as they should; `make check-tsan` makes them with a build in
# which ThreadSanitizer looks for data races, of which one is enough to fail.
. "$(dirname "$0")/lib.sh"

T=$(t_tmp)
MVMSCALE_STATE=$t_base/s
export MVMSCALE_STATE
bin=$BUILD/mvmscale

lv() {
	"$bin" run --quiet --backend libvirt --intervals 2 --settle 0.1 --samples 2 --sample-time 0.1 --threshold 99 \
		--stop-on ram "$@"
}
ready() { # ready FOLDER VMS
	[ "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "vm_count") n = i } END { print $n }' "$1/intervals.csv")" = "$2" ]
}

# the names of a ramp's domains are those of the ramp before: its last events must not be taken for theirs
t_ok "workers and the event thread: three ramps of 40 domains" \
	lv --connect test:///default --jobs 16 --max 40 --repeat 3 -o "$T/mock"
t_ok "all of them are counted" ready "$T/mock" 40
for i in 1 2 3 4 5 6; do
	echo '<node></node>' >"$T/node$i.xml" # each a host of its own
	printf '[h%s]\nuri = test://%s\nmax = 5\n' $i "$T/node$i.xml"
done >"$T/hosts"
t_ok "six hosts are opened at once" lv --hosts "$T/hosts" --jobs 8 --max 30 -o "$T/fleet"
t_ok "all of their domains are counted" ready "$T/fleet" 30
status=0
lv --accel tcg --jobs 4 --max 6 --verify all -o "$T/embed" >"$T/why" 2>&1 </dev/null || status=$?
if [ $status = 3 ]; then
	t_skip "QEMUs of the driver in our own process are taken in" "$(head -n 1 "$T/why")"
else
	t_ok "QEMUs of the driver in our own process are taken in" test $status = 0
	t_ok "all of them are counted" ready "$T/embed" 6
fi
t_done
