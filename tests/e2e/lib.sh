# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Sourced by the tests: assertions that print TAP (testanything.org), for any POSIX shell.
#	t_ok DESCRIPTION COMMAND...			COMMAND ends with 0
#	t_fail DESCRIPTION STATUS PATTERN COMMAND...	it ends with STATUS, its output matches PATTERN (grep -E)
#	t_skip DESCRIPTION REASON			a test that cannot be made here
#	t_tmp						prints a new folder, removed at the end
#	t_cell_is FILE ROW COLUMN VALUE			for t_ok: that cell of a CSV file has that value
#	t_done						the plan; the last line of every test
# A COMMAND may be a shell function. Where the tests run on their own, nothing they do reaches
# the state folder or the data files of an installed mvmscale.

t_count=0
t_bad=0
t_base=$(mktemp -d "${TMPDIR:-/tmp}/mt.XXXXXX")
t_root=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=$(cd "${BUILD:-$t_root/build}" && pwd)
export BUILD

t_remove() {
	rm -rf "$t_base"
}
trap t_remove EXIT
trap 'exit 130' INT TERM HUP

# Never that of the caller's shell: tests tell runs by this folder, and kill some.
MVMSCALE_STATE=${MVM_TESTS_STATE:-$t_base/state}
export MVMSCALE_STATE
# Forecasts of tests are no experience.
if [ -z "${MVMSCALE_LEDGER-}" ]; then
	MVMSCALE_LEDGER=$t_base/ledger.db
	export MVMSCALE_LEDGER
fi
MVMSCALE_DATA=${MVMSCALE_DATA:-$BUILD/data}
export MVMSCALE_DATA

t_tmp() {
	mktemp -d "$t_base/tmp.XXXXXX"
}

# t_report OK DESCRIPTION: the output stands in $t_base/out, and is shown only on failure
t_report() {
	t_count=$((t_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $t_count - $2"
		return
	fi
	t_bad=$((t_bad + 1))
	echo "not ok $t_count - $2"
	head -n 60 "$t_base/out" | sed 's/^/# /'
}

t_ok() {
	t_what=$1
	shift
	t_status=0
	"$@" >"$t_base/out" 2>&1 </dev/null || t_status=$?
	[ "$t_status" = 0 ] || echo "(ended with $t_status)" >>"$t_base/out"
	t_report "$t_status" "$t_what"
}

t_fail() {
	t_what=$1 t_want=$2 t_pattern=$3
	shift 3
	t_status=0
	"$@" >"$t_base/out" 2>&1 </dev/null || t_status=$?
	t_good=0
	if [ "$t_status" != "$t_want" ]; then
		echo "(ended with $t_status instead of $t_want)" >>"$t_base/out"
		t_good=1
	elif ! grep -Eq -- "$t_pattern" "$t_base/out"; then
		echo "(the output lacks: $t_pattern)" >>"$t_base/out"
		t_good=1
	fi
	t_report "$t_good" "$t_what"
}

t_skip() {
	t_count=$((t_count + 1))
	echo "ok $t_count - $1 # SKIP $2"
}

# t_real OPTION... -o DIR: a brief run of real VMs under TCG, which something else that keeps all cores of this
# host busy does not end.
t_real() {
	"$BUILD/mvmscale" run --quiet --accel tcg --threshold 99 --stop-on ram --settle 0.2 --samples 3 --sample-time 0.1 "$@"
}

# t_cell FILE ROW COLUMN: row 1 is the first below the header
t_cell() {
	awk -F, -v row="$2" -v name="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
		NR == row + 1 { print $at }' "$1"
}
# t_cell_is FILE ROW COLUMN VALUE
t_cell_is() {
	got=$(t_cell "$1" "$2" "$3")
	echo "$3 of row $2 is '$got'"
	[ "$got" = "$4" ]
}

t_done() {
	echo "1..$t_count"
	[ "$t_bad" = 0 ] || exit 1
	exit 0
}
