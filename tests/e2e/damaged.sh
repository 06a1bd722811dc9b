#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Damaged records, each made here from a good one, and all that reads records: nothing crashes, hangs or passes
# silently; what is wrong is named.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
cd "$T" || exit 1
GOOD=$t_root/tests/fixtures/runs/sleep
cp -r "$GOOD" good
MVMSCALE_HISTORY=$T/history.db
export MVMSCALE_HISTORY

# What gnuplot draws is the business of a few of them (below); it takes longer than all the rest.
mkdir fake
cat >fake/gnuplot <<'EOF'
#!/bin/sh
out=$(sed -n "s/^set output '\(figure\..*\)'/\1/p" figure.gp)
echo '<?xml' >"$out"
EOF
chmod +x fake/gnuplot

# A matrix of one cell, whose run is replaced.
printf '[matrix]\nbackend = null\nmax = 20\nintervals = 2\n[config one]\nnull_mem = 500\n' >one.matrix
"$M" matrix ./one.matrix -o matrix --quiet >/dev/null 2>&1
cell=$(dirname "$(find matrix -name run.json | head -n 1)")

# Each line: name|file|filter from the good one. awk sees fields by commas; $2 is CPU, $4 RAM, $6 swap.
variants() {
	cat <<'EOF'
json-empty|run.json|:
json-cut|run.json|head -c 300
json-array|run.json|echo '[]'
json-null|run.json|echo null
json-number|run.json|echo 7
json-words|run.json|echo 'no JSON at all'
json-zeros|run.json|head -c 4096 /dev/zero
json-deep|run.json|awk 'BEGIN { for (i = 0; i < 100000; i++) printf "[" }'
json-bare|run.json|echo '{"format":1,"state":"complete"}'
json-format-2|run.json|sed 's/"format": 1/"format": 2/'
json-format-text|run.json|sed 's/"format": 1/"format": "1"/'
json-state-number|run.json|sed 's/"state": "complete"/"state": 5/'
json-state-failed|run.json|sed 's/"state": "complete"/"state": "failed"/'
json-huge-number|run.json|sed 's/"ram_kb": [0-9]*/"ram_kb": 1e400/'
json-large-ram|run.json|sed 's/"ram_kb": [0-9]*/"ram_kb": 1e308/'
json-no-ram|run.json|sed 's/"ram_kb": [0-9]*/"ram_kb": 0/'
json-negative-ram|run.json|sed 's/"ram_kb": [0-9]*/"ram_kb": -1/'
json-no-cores|run.json|sed 's/"cores": [0-9]*/"cores": 0/'
json-threshold-text|run.json|sed 's/"threshold_pct": 90/"threshold_pct": "90"/'
json-threshold-huge|run.json|sed 's/"threshold_pct": 90/"threshold_pct": 1e300/'
json-threshold-negative|run.json|sed 's/"threshold_pct": 90/"threshold_pct": -90/'
json-host-list|run.json|sed 's/"host": {/"host": [], "hosts": {/'
json-stop-text|run.json|sed 's/"stop": {/"stop": "threshold", "stopped": {/'
json-stop-limit|run.json|sed 's/"kind": "threshold"/"kind": "limit"/'
json-limits-odd|run.json|sed 's/"repeats": 1/"limits": [5, {}, {"name": 3}, {"name": "x", "vms_now": 1e308, "vms_raised": -4}], "repeats": 1/'
json-limits-huge|run.json|sed 's/"kind": "threshold"/"kind": "max"/; s/"repeats": 1/"limits": [{"name": "pid_max", "vms_now": 1e308}], "repeats": 1/'
json-teardown-odd|run.json|sed 's/"repeats": 1/"teardown": {"vms": 0, "seconds": 1e308}, "repeats": 1/'
json-latin1|run.json|printf '{"format":1,"state":"complete","name":"\344"}'
json-control|run.json|sed 's/"name": ""/"name": "a\\u001b[2J\\nb\\u0007"/'
json-long-name|run.json|awk '{ if (/"name": ""/) { printf " \"name\": \""; for (i = 0; i < 100000; i++) printf "x"; print "\"," } else print }'
csv-empty|intervals.csv|:
csv-header-only|intervals.csv|head -n 1
csv-header-cut|intervals.csv|head -c 20
csv-no-last-line-end|intervals.csv|head -c 500
csv-baseline-only|intervals.csv|head -n 2
csv-two-rows|intervals.csv|head -n 3
csv-no-baseline|intervals.csv|sed 2d
csv-no-header|intervals.csv|sed 1d
csv-other-header|intervals.csv|sed '1s/.*/a,b,c/'
csv-missing-column|intervals.csv|cut -d, -f1-3,5-
csv-one-column|intervals.csv|cut -d, -f1
csv-columns-only-nine|intervals.csv|cut -d, -f1-9
csv-twice-the-column|intervals.csv|sed '1s/ram_pct_mean/cpu_pct_mean/'
csv-crlf|intervals.csv|sed 's/$/\r/'
csv-bom|intervals.csv|sed '1s/^/\xef\xbb\xbf/'
csv-utf16|intervals.csv|iconv -t UTF-16
csv-semicolons|intervals.csv|tr , ';'
csv-quotes|intervals.csv|sed 's/,/","/g; s/^/"/; s/$/"/'
csv-open-quote|intervals.csv|sed '5s/^/"/'
csv-blank-lines|intervals.csv|sed 's/$/\n/'
csv-zero-bytes|intervals.csv|sed '5s/,/\x00,/'
csv-all-zero-bytes|intervals.csv|head -c 4096 /dev/zero
csv-binary|intervals.csv|head -c 20000 "$M"
csv-long-line|intervals.csv|awk 'NR == 5 { for (i = 0; i < 2000000; i++) printf "9" } { print }'
csv-many-columns|intervals.csv|awk 'NR == 1 { for (i = 0; i < 5000; i++) printf "c%d,", i } { print }'
csv-many-fields|intervals.csv|awk 'NR == 6 { for (i = 0; i < 5000; i++) printf "%d,", i } { print }'
csv-few-fields|intervals.csv|sed '7s/,.*/,/'
csv-words|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $1 = "n" $1 } { print }'
csv-all-empty|intervals.csv|awk 'NR == 1 { print } NR > 1 { print ",,,,,,,,,,,,," }'
csv-all-nan|intervals.csv|awk -F, -vOFS=, 'NR > 1 { for (i = 2; i <= NF; i++) $i = "nan" } { print }'
csv-all-inf|intervals.csv|awk -F, -vOFS=, 'NR > 1 { for (i = 2; i <= NF; i++) $i = i % 2 ? "inf" : "-inf" } { print }'
csv-counts-nan|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $1 = "nan" } { print }'
csv-all-zero|intervals.csv|awk -F, -vOFS=, 'NR > 1 { for (i = 1; i <= NF; i++) $i = 0 } { print }'
csv-zero-values|intervals.csv|awk -F, -vOFS=, 'NR > 1 { for (i = 2; i <= NF; i++) $i = 0 } { print }'
csv-one-count|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $1 = 1000 } { print }'
csv-backward|intervals.csv|awk 'NR == 1 { print; next } { l[NR] = $0 } END { for (i = NR; i > 1; i--) print l[i] }'
csv-doubled-rows|intervals.csv|sed '2,$p'
csv-one-out-of-order|intervals.csv|sed '6s/^[0-9]*/3/'
csv-count-huge|intervals.csv|sed '9s/^[0-9]*/1e308/'
csv-counts-huge|intervals.csv|sed '2,$s/^\([0-9]*\)/\1e300/'
csv-count-billion|intervals.csv|sed '$s/^[0-9]*/999999999/'
csv-count-negative|intervals.csv|sed '9s/^/-/'
csv-counts-negative|intervals.csv|sed '2,$s/^/-/'
csv-fractions|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $1 = $1 / 1e9 } { print }'
csv-cpu-negative|intervals.csv|awk -F, -vOFS=, 'NR == 9 { $2 = -40 } { print }'
csv-ram-above|intervals.csv|awk -F, -vOFS=, 'NR == 9 { $4 = 250 } { print }'
csv-values-huge|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $2 = $4 = "1e308" } { print }'
csv-values-at-the-end|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $2 = $4 = 100 } { print }'
csv-tiny|intervals.csv|awk -F, -vOFS=, 'NR > 1 { for (i = 2; i <= NF; i++) $i = "1e-320" } { print }'
csv-sd-huge|intervals.csv|awk -F, -vOFS=, 'NR == 9 { $3 = "1e300" } { print }'
csv-hex|intervals.csv|awk -F, -vOFS=, 'NR == 9 { $2 = "0x10" } { print }'
csv-never-settled|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $9 = 0 } { print }'
csv-no-samples|intervals.csv|awk -F, -vOFS=, 'NR > 1 { $8 = 0 } { print }'
EOF
}

special() {
	case $1 in
	no-json) rm "$1/run.json" ;;
	no-csv) rm "$1/intervals.csv" ;;
	json-pipe) rm "$1/run.json" && mkfifo "$1/run.json" ;;
	csv-pipe) rm "$1/intervals.csv" && mkfifo "$1/intervals.csv" ;;
	samples-pipe) rm "$1/intervals.csv" && mkfifo "$1/samples.csv" ;;
	hosts-pipe) mkfifo "$1/hosts.csv" ;;
	csv-device) rm "$1/intervals.csv" && ln -s /dev/zero "$1/intervals.csv" ;;
	csv-folder) rm "$1/intervals.csv" && mkdir "$1/intervals.csv" ;;
	json-folder) rm "$1/run.json" && mkdir "$1/run.json" ;;
	csv-loop) ln -sf intervals.csv "$1/intervals.csv" ;;
	csv-sparse) truncate -s 3G "$1/intervals.csv" ;;
	hosts-damaged) printf 'host,state,vm_count\n"a,up,1\nb\n' >"$1/hosts.csv" ;;
	hosts-empty) : >"$1/hosts.csv" ;;
	samples-only) rm "$1/intervals.csv" && printf 'time_s,vm_count,cpu_pct,ram_pct,swap_pct,phase\n1,0,2,4,0,2\n2,1e300,4,4,0,2\n3,10,-70,4,0,2\n4,20,1,5,0,2\n5,7\n6,30' >"$1/samples.csv" ;;
	esac
}

# one NAME VERB...: that verb ends in time, with a documented status, and says of what it speaks
one() {
	name=$1
	shift
	status=0
	PATH="$T/fake:$PATH" timeout -k 1 10 "$M" "$@" >out.1 2>out.2 </dev/null || status=$?
	case $status in
	0 | 3) ;;
	4 | 5) [ -s out.1 ] || [ -s out.2 ] || echo "$name: $*: ended with $status and says nothing" ;;
	2)
		grep -qE "$name|intervals\.csv|run\.json|samples\.csv" out.1 out.2 || {
			echo "$name: $*: ended with $status and names no file:"
			head -c 600 out.2
		}
		;;
	*)
		echo "$name: $*: ended with $status:"
		head -c 600 out.2
		;;
	esac
	# figures of hundreds of digits say nothing
	if grep -qE '[1-9][0-9]{40}' out.1 out.2; then
		echo "$name: $*: prints a number without end"
	fi
}

every_verb() {
	name=$1
	one "$name" advise "$name"
	one "$name" advise --json --target 1000 "$name"
	one "$name" classify "$name"
	one "$name" compare good "$name"
	one "$name" compare "$name" "$name"
	[ "$status" != 0 ] || echo "$name: compared with itself it passes"
	one "$name" table "$name"
	one "$name" plot "$name" -o fig.svg
	one "$name" plot "$name" -m slab_kb -o fig.svg
	one "$name" history add "$name"
	rm -rf "$cell" && cp -R "$name" "$cell" 2>/dev/null
	one "$cell" matrix --table matrix
	rm -rf "$cell"
}

survives() {
	every_verb "$1" >said 2>&1
	cat said
	[ ! -s said ]
}

variants >table
while IFS='|' read -r name file filter; do
	cp -r good "$name"
	eval "$filter" <"good/$file" >"$name/$file"
	t_ok "$name" survives "$name"
	case $name in csv-[btz]* | csv-all* | csv-one* | csv-count* | csv-values*) ;; *) rm -rf "$name" ;; esac
done <table
for name in no-json no-csv json-pipe csv-pipe samples-pipe hosts-pipe csv-device csv-folder json-folder csv-loop csv-sparse \
	hosts-damaged hosts-empty samples-only; do
	cp -r good "$name"
	special "$name"
	t_ok "$name" survives "$name"
	rm -rf "$name"
done

# What gnuplot itself would trip over: no value, no range.
drawn() {
	for name in csv-all-nan csv-all-zero csv-zero-values csv-one-count csv-baseline-only csv-two-rows csv-tiny csv-values-at-the-end \
		csv-count-billion; do
		for more in "" "-m slab_kb"; do
			status=0
			# shellcheck disable=SC2086 # words
			"$M" plot "$name" $more -o fig.svg >out 2>&1 || status=$?
			[ "$status" = 0 ] || { [ "$status" = 2 ] || [ "$status" = 4 ]; } && grep -q "$name\|fig.svg" out || {
				echo "$name $more: $status"
				cat out
				return 1
			}
		done
	done
}
if command -v gnuplot >/dev/null; then
	t_ok "curves without a value or a range are drawn or refused by name" drawn
else
	t_skip "curves without a value or a range are drawn or refused by name" "gnuplot is not installed"
fi
t_fail "of no value at all there is no figure" 4 'csv-all-nan: no interval has a value' "$M" plot csv-all-nan -o fig.svg
t_fail "a good row out of place is named" 0 'csv-one-out-of-order: intervals.csv: 1 damaged row is left out: line 6 has a vm_count of 3, out of order' \
	"$M" table csv-one-out-of-order
t_fail "and so is an impossible count" 0 'line 9 has a vm_count of 1e\+308' "$M" table csv-count-huge
t_done
