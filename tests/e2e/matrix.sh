#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Matrices: on the null backend how they run, resume, fail and print; and a small pair of real ones.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
paper=$t_root/profiles/matrix/bratterud2013.csv
cd "$T" || exit 1

t_stop() {
	[ -z "${pid-}" ] || kill -KILL "$pid" 2>/dev/null
	t_remove
}
trap t_stop EXIT

# file NAME LINE...: a matrix file
file() {
	f=$1
	shift
	printf '%s\n' "$@" >"$f"
}
matrix() {
	timeout 60 "$M" matrix "$@"
}
holds() {
	grep -Eq -- "$2" "$1" || {
		cat "$1"
		echo "(lacks: $2)"
		return 1
	}
}
# counts FILE PATTERN N
counts() {
	n=$(grep -Ec -- "$2" "$1")
	echo "$n times: $2"
	[ "$n" = "$3" ]
}
# runs_made N COMMAND...: it makes so many runs
runs_made() {
	want=$1
	shift
	"$@" >"$T/runs.out" 2>&1 || return
	counts "$T/runs.out" '^\[[0-9]*/[0-9]*\] round' "$want"
}
within() {
	tries=$(($1 * 20))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			echo "still not: $*"
			return 1
		}
		sleep 0.05
	done
}
# left: processes that still have to do with our folder, besides ourselves
left() {
	for p in /proc/[0-9]*; do
		n=${p#/proc/}
		[ "$n" != $$ ] && tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -q "mvmscale.*$1" && echo "$n"
	done
}
none_left() {
	[ -z "$(left "$1")" ] && [ -z "$(ls -d "$MVMSCALE_STATE"/run-* 2>/dev/null)" ]
}
same_files() {
	cmp "$1" "$2"
}

file n.matrix '[matrix]' 'summary = null cells' 'backend = null' 'intervals = 2' 'rounds = 2' 'max = 20' 'samples = 2' \
	'[dimensions]' 'null_mem = 1000 2000' 'null_cpu = 0.01 0.02' \
	'[exclude both]' 'null_mem = 2000' 'null_cpu = 0.02' '[config big]' 'max = 30'

t_ok "the shipped matrices are listed" sh -c "'$M' list matrices | grep -q ^table1"
for name in $("$M" list matrices | cut -d' ' -f1); do
	t_ok "$name: a plan can be made here" matrix "$name" --dry-run --max 5
done
t_ok "a dry run makes no folder" sh -c "timeout 20 '$M' matrix n.matrix -o dry --dry-run && [ ! -e dry ]"
t_fail "it says how many runs" 0 '^8 runs to make' matrix n.matrix --dry-run

t_ok "a matrix of 4 cells and 2 rounds makes 8 runs" runs_made 8 matrix n.matrix -o a
t_ok "the second round goes backwards" sh -c "grep '^\[5/8\] round 2: big' '$T/runs.out'"
for f in matrix.json table.txt table.csv table.json table.md table.tex; do
	t_ok "$f is written" test -s "a/$f"
done
if command -v gnuplot >/dev/null; then
	for f in cpu.svg cpu.png ram.svg ram.png guests.svg; do
		t_ok "$f is drawn" test -s "a/$f"
	done
else
	t_skip "figures" "gnuplot is not installed"
fi
t_ok "the CSV begins with the columns of the published table" holds a/table.csv \
	'^sleep,kvm,arch_bits,mvms,cpu_pct,ram_pct,swap_pct,size_kb,minutes,'
t_ok "a cell's row has what its VMs cost" sh -c \
	"awk -F, '/null_mem=2000/ { exit !(\$4 == 20 && \$8 > 1900 && \$8 < 2100) }' a/table.csv"
t_ok "a config's own max counts" sh -c "awk -F, '/,big,/ { exit !(\$4 == 30) }' a/table.csv"
t_ok "LaTeX is escaped" holds a/table.tex 'null\\_mem=1000 null\\_cpu=0.01 & '
t_ok "the run folders are whole" test -s a/r2-04-big/intervals.csv
t_ok "every run's command line is recorded" holds a/matrix.json '"command": "mvmscale run --max=30 '
for format in text csv json md tex; do
	t_ok "--table --format $format" matrix --table a --format $format
done
t_ok "a printed table is the one in the folder" sh -c "'$M' matrix --table a -f csv | cmp - a/table.csv"
t_fail "rows can stand beside" 0 'bratterud2013 row 8 .*110239' matrix --table a --beside bratterud2013
t_fail "also those of another table" 0 '^table row 4 ' matrix --table a --beside a/table.csv
printf 'x,y\n1,2\n' >foreign.csv
t_fail "a table without the columns is refused" 2 "no column 'mvms'" matrix --table a --beside foreign.csv
t_ok "the shipped table is the published one" counts "$paper" '^[01],[01],(32|64),[0-9]+,' 8

cp a/table.csv before.csv
t_ok "the same again runs nothing" runs_made 0 matrix n.matrix -o a
t_ok "and the table is as before" same_files a/table.csv before.csv
t_ok "one more round makes 4 runs" runs_made 4 matrix n.matrix -o a --rounds 3
t_ok "the folder alone will do" runs_made 4 matrix --resume a --rounds 4
t_fail "fewer rounds are refused" 2 '4 rounds' matrix n.matrix -o a --rounds 1
t_fail "another --max is refused" 2 'without --max' matrix n.matrix -o a --max 5
sed 's/null_cpu = 0.01 0.02/null_cpu = 0.01 0.03/' n.matrix >other.matrix
t_fail "another file is refused, and what differs is told" 2 "line 10: 'null_cpu = 0.01 0.02' there" \
	matrix other.matrix -o a
rm -r a/r1-02-*
t_ok "a run folder that is gone is made again" runs_made 1 matrix --resume a
head -c 700 a/matrix.json >cut.json
cp a/matrix.json whole.json
cp cut.json a/matrix.json
t_fail "a damaged matrix.json is refused with its line" 2 'a/matrix.json: line [0-9]+: .*damaged' matrix n.matrix -o a
t_fail "also for --table" 2 'a/matrix.json: line [0-9]+: .*damaged' matrix --table a
t_ok "and left as it is" same_files a/matrix.json cut.json
cp whole.json a/matrix.json
t_ok "restored, it goes on" runs_made 0 matrix --resume a
t_fail "a folder without one is refused" 2 'no matrix.json' matrix --table dry

# what may go wrong with a cell
file missing.matrix '[matrix]' 'max = 10' 'intervals = 2' '[config good]' 'backend = null' \
	'[config bad]' 'qemu = /nonexistent/qemu' '[config worse]' 'backend = null' 'options = --verify all'
t_fail "a cell that cannot run does not keep the others" 0 'bad: cannot: /nonexistent/qemu' matrix missing.matrix -o miss
t_ok "nor does one that fails" holds miss/table.txt 'worse: failed: .*--verify'
t_ok "its error is kept" holds miss/matrix.json '"error": ".*--verify'
file died.matrix '[matrix]' 'backend = null' 'max = 100' 'intervals = 5' '[dimensions]' 'seed = 1'
t_fail "lost VMs make the whole untrusted: status 5" 5 'untrusted$' env MVMSCALE_FAULT=vm-dies:3 \
	"$M" matrix died.matrix -o died
file none.matrix '[config bad]' 'qemu = /nonexistent/qemu'
t_fail "nothing could run: status 3" 3 'bad: cannot' matrix none.matrix -o none
if ls /sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors >/dev/null 2>&1; then
	t_skip "no cpufreq" "this host has it"
else
	file governor.matrix '[matrix]' 'backend = null' 'max = 5' 'intervals = 1' '[dimensions]' \
		'governor = default powersave'
	t_fail "without cpufreq a governor's cells say so" 0 'powersave: cannot: .*no cpufreq' \
		matrix governor.matrix -o governor
fi

# Every key that is an option of run is one that run has.
keys_are_options() {
	file keys.matrix '[dimensions]' 'nix = 1'
	matrix keys.matrix 2>&1 | sed 's/.*known there are //' | tr ' ' '\n' >keys
	[ "$(wc -l <keys)" -gt 20 ] || return 1
	"$M" help --list-options run >run-options
	grep -vx -e arch -e governor keys | tr _ - | while read -r key; do
		grep -qx -e "--$key" run-options || {
			echo "run has no --$key"
			return 1
		}
	done
	while read -r key; do
		grep -q "\`$key\`" "$t_root/docs/matrix.md" || {
			echo "docs/matrix.md does not name $key"
			return 1
		}
	done <keys
}
t_ok "every key is an option of run, and documented" keys_are_options

# bad files
bad() {
	t_what=$1 t_words=$2
	shift 2
	file bad.matrix "$@"
	t_fail "$t_what" 2 "$t_words" matrix bad.matrix -o bad
}
bad "an unknown key is named with its line" 'bad.matrix:3: unknown key .speed.' '[matrix]' 'max = 3' 'speed = 9' \
	'[dimensions]' 'profile = idle'
bad "a bad value too" 'bad.matrix:2: .*whole number from 1 to' '[matrix]' 'max = none' '[dimensions]' 'profile = idle'
bad "an unknown section too" 'bad.matrix:2: unknown section' '[matrices]' 'max = 3'
bad "a rule that matches nothing too" 'bad.matrix:4: .*matches no combination' '[dimensions]' 'profile = idle' \
	'[exclude x]' 'profile = idel'
bad "an unknown preset stops it before any run" "unknown preset 'tiny'" '[dimensions]' 'preset = lean tiny'
bad "an unknown profile too" "unknown profile 'snore'" '[dimensions]' 'profile = snore'
bad "an unknown backend too" "unknown backend 'xen'" '[dimensions]' 'backend = xen'
bad "a file without cells" 'nothing to run' '[matrix]' 'max = 3'
t_ok "none of them left a folder" test ! -e bad
t_fail "an unknown name lists the known" 2 "unknown matrix 'nix': known are .*table1" matrix nix
t_fail "a missing file is named" 2 'gone.matrix' matrix ./gone.matrix
t_fail "no matrix at all" 2 'give one of' matrix
t_fail "--table runs nothing" 2 'does? not go|do not go' matrix --table a --max 3

# ended in the middle: 3 cells of about 1 s
file slow.matrix '[matrix]' 'backend = null' 'intervals = 4' 'max = 20' 'rate = 20' '[dimensions]' 'null_mem = 1000 2000 3000'
begun() {
	grep -q '"state": "running"' "$1/r1-02-"*/run.json
}
"$M" matrix slow.matrix -o kill >kill.out 2>&1 &
pid=$!
t_ok "a matrix in its second cell" within 20 begun kill
kill -KILL "$pid"
wait "$pid" 2>/dev/null
t_ok "SIGKILL: nothing runs on" within 10 none_left "$T/kill\|-o kill\|out=kill"
t_ok "the table of the first cell is there" holds kill/table.csv ',null_mem=1000,here,.*,done,'
t_fail "the cut one is known as such" 0 '^null_mem=2000 .*running' matrix --table kill
t_ok "resumed, only the others are run" runs_made 2 matrix slow.matrix -o kill
t_ok "what was cut short is kept beside" test -s kill/r1-02-null_mem=2000/run.json
t_ok "and was made again" test -s kill/r1-02-null_mem=2000-try2/intervals.csv
t_ok "the table is complete" counts kill/table.csv ',done,' 3

"$M" matrix slow.matrix -o int >int.out 2>&1 &
pid=$!
t_ok "a matrix in its second cell" within 20 begun int
t_fail "a second one in the same folder is refused" 3 'another mvmscale matrix works there' matrix slow.matrix -o int
kill -INT "$pid"
status=0
wait "$pid" || status=$?
t_ok "SIGINT: exit status 130" test "$status" = 130
t_ok "the table is printed" holds int.out '^null_mem=1000 .* max +done'
t_ok "with what is missing" holds int.out '^null_mem=3000 .*pending'
t_ok "the state is interrupted" holds int/matrix.json '"state": "interrupted"'
t_ok "the cell's run has saved its results" holds int/r1-02-null_mem=2000/run.json '"state": "interrupted"'
t_ok "nothing runs on" within 5 none_left "out=int"
t_ok "resumed, it goes on" runs_made 2 matrix --resume int

# two real ones
if ! command -v qemu-system-x86_64 >/dev/null; then
	t_skip "real VMs" "qemu-system-x86_64 is not installed"
else
	file real.matrix '[matrix]' 'preset = lean' 'accel = tcg' 'arch = x86_64' 'max = 6' 'intervals = 2' 'samples = 3' \
		'sample_time = 0.1' 'settle = 0.2' 'stop_on = ram' '[dimensions]' 'profile = idle sleep'
	t_ok "ticking and sleeping VMs" matrix real.matrix -o real
	t_ok "the first row: PIT on, TCG, 64 bit" holds real/table.csv '^0,0,64,6,'
	t_ok "the second row: PIT off" holds real/table.csv '^1,0,64,6,'
	t_ok "the program and what it emulates are recorded" holds real/matrix.json '"target": "x86_64"'
	t_ok "nothing is left" none_left "out=real"
fi
t_done
