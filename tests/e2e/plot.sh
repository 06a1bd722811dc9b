#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Figures of recorded runs: formats, overlays, names, damage, a host without gnuplot.
. "$(dirname "$0")/lib.sh"

M=${BUILD:-build}/mvmscale
RUNS=$(dirname "$0")/../fixtures/runs
T=$(t_tmp)

# begins FILE BYTES: the file exists and begins so
begins() {
	[ -s "$1" ] && head -c 64 "$1" | grep -aqE "$2"
}
# draws FILE BYTES ARG...: mvmscale plot ARG... -o FILE makes such a file and prints its path
draws() {
	file=$1 start=$2
	shift 2
	[ "$("$M" plot "$@" -o "$file" 2>/dev/null)" = "$file" ] && begins "$file" "$start"
}
holds() {
	grep -qF -- "$2" "$1"
}
lacks() {
	! grep -qF -- "$2" "$1"
}
empty_folder() {
	[ -z "$(ls -A "$1")" ]
}
fresh() {
	cp -r "$RUNS/$1" "$T/$1"
}

t_fail "no run is a usage error" 2 'name at least one run' "$M" plot
t_fail "six runs are too many" 2 'at most 5' "$M" plot a b c d e f
t_fail "an unknown ending is refused" 2 '\.svg, \.png or \.pdf' "$M" plot "$RUNS/sleep" -o "$T/x.gif"
t_fail "a missing folder is named" 2 'nowhere' "$M" plot "$RUNS/nowhere" -o "$T/x.svg"
t_fail "a cut run.json is named with its line" 2 'damaged-json/run.json: line' \
	"$M" plot "$RUNS/damaged-json" -o "$T/x.svg"
t_fail "a row of the wrong length is left out by its line" 0 'intervals.csv: 1 damaged row is left out: line 3' \
	"$M" plot "$RUNS/damaged-fields" -o "$T/x.svg"
t_fail "an unknown metric is refused" 2 'list metrics' "$M" plot "$RUNS/sleep" -m nix -o "$T/x.svg"
t_fail "without gnuplot it says what to install" 3 'install.*gnuplot' \
	env PATH=/nonexistent "$(realpath "$M")" plot "$RUNS/sleep" -o "$T/x.svg"

mkdir "$T/slow"
printf '#!/bin/sh\nsleep 60 &\necho $! >"%s"\nwait\n' "$T/sleeper" >"$T/slow/gnuplot"
chmod +x "$T/slow/gnuplot"
t_fail "one that does not end is ended" 3 'gnuplot was not done after 0.5 s' \
	env PATH="$T/slow:$PATH" MVMSCALE_GNUPLOT_TIMEOUT=0.5 TMPDIR="$T" "$(realpath "$M")" plot "$RUNS/sleep" -o "$T/slow.svg"
gone() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		# it may wait for somebody to take note of its end
		grep -q '^State:.[^Z]' "/proc/$(cat "$T/sleeper")/status" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}
t_ok "and what it started" gone
no_trace() {
	! ls -d "$T"/slow.svg* "$T"/mvmscale-plot-* 2>/dev/null
}
t_ok "nothing of the figure is left" no_trace

t_fail "a run on one host has no curves of hosts" 2 'has no hosts.csv' \
	"$M" plot "$RUNS/sleep" --hosts -o "$T/x.svg"
t_fail "the hosts of two runs are a usage error" 2 'draws one run' "$M" plot "$RUNS/fleet" "$RUNS/sleep" --hosts

if ! command -v gnuplot >/dev/null; then
	t_skip "figures" "gnuplot is not installed"
	t_done
	exit
fi

t_ok "SVG" draws "$T/a.svg" '<\?xml' "$RUNS/sleep"
t_ok "PNG" draws "$T/a.png" 'PNG' "$RUNS/sleep"
t_ok "PDF" draws "$T/a.pdf" '^%PDF' "$RUNS/sleep"
t_ok "the title says the values" holds "$T/a.svg" '46,000 sleep VMs, stopped by RAM at 90 %'
t_ok "the threshold is labelled" holds "$T/a.svg" 'threshold 90 %'
t_ok "the subtitle names host and QEMU" holds "$T/a.svg" 'QEMU 7.2.22 (tcg, isapc)'
t_ok "a host without swap says so" holds "$T/a.svg" 'no swap'
t_ok "two runs share a figure" draws "$T/two.svg" '<\?xml' "$RUNS/idle" "$RUNS/sleep"
t_ok "its legend names the first" holds "$T/two.svg" 'qemu dense idle'
t_ok "its legend names the second" holds "$T/two.svg" 'qemu dense sleep'
t_ok "five runs share a figure" draws "$T/five.pdf" '^%PDF' \
	"$RUNS/idle" "$RUNS/sleep" "$RUNS/limit" "$RUNS/swap" "$RUNS/killed"
t_ok "quotes and underscores in a name are text" draws "$T/name.svg" '<\?xml' "$RUNS/swap" "$RUNS/idle"
t_ok "and reach the figure unchanged" holds "$T/name.svg" 'zram_1'
# shellcheck disable=SC2016 # the backquotes are for gnuplot, not for this shell
t_ok "a title cannot run commands" draws "$T/title.svg" '<\?xml' "$RUNS/sleep" \
	-t "'; "'`touch '"$T"'/owned` @x "\ %s'
t_ok "nothing was run" test ! -e "$T/owned"
t_ok "a metric of the table" draws "$T/slab.svg" '<\?xml' "$RUNS/sleep" "$RUNS/limit" --metric slab_kb
t_ok "it is in a readable unit" holds "$T/slab.svg" '(GiB)'
t_ok "it has no threshold" lacks "$T/slab.svg" 'threshold'
t_ok "any column of intervals.csv" draws "$T/boot.svg" '<\?xml' "$RUNS/sleep" --metric boot_p50_ms
t_ok "a killed run has a figure" draws "$T/killed.svg" '<\?xml' "$RUNS/killed"
t_ok "which says so" holds "$T/killed.svg" 'run not ended'

t_ok "the hosts of a fleet" draws "$T/hosts.svg" '<\?xml' "$RUNS/fleet" --hosts
t_ok "with all together" holds "$T/hosts.svg" '>all hosts<'
t_ok "one is full" holds "$T/hosts.svg" '>full with 180 VMs<'
t_ok "one is lost, its values kept" holds "$T/hosts.svg" 'lost with 120 VMs<'
t_ok "as PDF" draws "$T/hosts.pdf" '^%PDF' "$RUNS/fleet" --hosts
t_ok "(a copy of it)" fresh fleet
t_ok "without -o both are drawn" "$M" plot "$T/fleet"
t_ok "the total curve" begins "$T/fleet/plot.png" 'PNG'
t_ok "and the hosts" begins "$T/fleet/plot-hosts.png" 'PNG'

t_ok "(a copy of a run folder)" fresh sleep
t_ok "without -o" "$M" plot "$T/sleep"
t_ok "plot.svg is in the folder" begins "$T/sleep/plot.svg" '<\?xml'
t_ok "plot.png is in the folder" begins "$T/sleep/plot.png" 'PNG'
t_fail "a folder that cannot be written is named" 3 'cannot write .*/none/x.svg' \
	"$M" plot "$RUNS/sleep" -o "$T/none/x.svg"
mkdir "$T/tmp"
t_ok "TMPDIR is used" env TMPDIR="$T/tmp" "$M" plot "$RUNS/sleep" -o "$T/b.svg"
t_ok "and left empty" empty_folder "$T/tmp"
t_fail "a missing TMPDIR is named" 3 'TMPDIR' env TMPDIR="$T/none" "$M" plot "$RUNS/sleep" -o "$T/b.svg"
t_done
