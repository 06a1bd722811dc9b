#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Files and programs that are named from the folder where one stands, or from that of the file that names them.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
cd "$T" || exit 1
qemu=$(command -v qemu-system-x86_64) || {
	t_skip "relative paths" "qemu-system-x86_64 is not installed"
	t_done
}
mkdir sub there
ln -s "$qemu" q
ln -s "$qemu" sub/q
printf '#!/bin/sh\nexec %s "$@"\n' "$qemu" >wrapped
chmod +x wrapped
cat >sub/mine.preset <<'END'
[preset]
summary = mine
launch = exec
[tcg]
binary = ./q
args = -machine isapc -accel tcg,tb-size=1 -m 1 -nodefaults -display none -L {folder} -bios {firmware}
boot = firmware
END
printf '[profile]\nguest = sleep\nsummary = mine\n' >sub/mine.profile
small="--max 1 --intervals 1"

run() {
	t_real --preset lean --max 1 --intervals 1 "$@"
}
uses() {
	grep -q "\"binary\": \"$2\"" "$1/run.json"
}
t_ok "run --qemu ./q" run --qemu ./q -o r1
t_ok "the record names it from the root" uses r1 "$T/q"
t_ok "run --qemu ../q, a script" sh -c 'cd there && exec "$@"' - "$M" run --quiet --qemu ../wrapped --preset lean \
	--accel tcg --threshold 99 --stop-on ram --settle 0.2 --samples 3 --sample-time 0.1 $small -o ../r2
t_ok "its record too" uses r2 "$T/there/../wrapped"
on_path() (
	PATH=$1:/usr/bin:/bin
	export PATH
	run --qemu "$2" -o "$3" && uses "$3" "$T/$2"
)
t_ok "a name that PATH finds in ." on_path . q r3
t_ok "and in an empty entry" on_path "" q r4
mkdir sub/bin
ln -s "$qemu" sub/bin/qemu-system-x86_64
t_ok "a preset's own program on such a PATH" sh -c 'PATH=./sub/bin:$PATH; export PATH; exec "$@"' - \
	"$M" run --quiet --preset lean --accel tcg --threshold 99 --stop-on ram --settle 0.2 --samples 3 --sample-time 0.1 \
	$small -o r5
t_ok "is found by the children" uses r5 "$T/sub/bin/qemu-system-x86_64"
t_ok "run with files by relative paths" sh -c "$(cat <<'END'
	cd there && exec "$0" run --quiet --preset ../sub/mine.preset --profile ../sub/mine.profile --accel tcg --threshold 99 \
		--stop-on ram --settle 0.2 --samples 3 --sample-time 0.1 --max 1 --intervals 1 -o ../r6
END
)" "$M"
t_ok "a preset's program lies beside it" uses r6 "$T/there/../sub/q"
t_ok "and {folder} is where it lies" grep -q "\"$T/there/../sub\"" r6/run.json
"$BUILD/mvm" build sleep -o sub/s.img >/dev/null
t_ok "run --image" run --image sub/s.img --qemu sub/q -o r7
t_fail "ab: each side its own" 4 inconclusive "$M" ab --quiet --a qemu=./q --b qemu=sub/q --rounds 1 --metric mem_per_vm_kb --out ab -- --preset lean --accel tcg --threshold 99 --stop-on ram --settle 0.2 --samples 3 \
	--sample-time 0.1 --max 4 --intervals 3
t_ok "ab: the sides' records" sh -c "grep -q '\"$T/q\"' ab/a-1/run.json && grep -q '\"$T/sub/q\"' ab/b-1/run.json"

cat >sub/m.matrix <<'END'
[matrix]
max = 1
intervals = 1
accel = tcg
settle = 0.2
samples = 3
sample_time = 0.1
options = --threshold 99 --stop-on ram
[config program]
qemu = ./q
preset = lean
[config files]
preset = mine.preset
profile = ./mine.profile
END
t_ok "matrix: its files are named from where it lies" "$M" matrix sub/m.matrix -q -o m
matrix_ran() {
	cat m/table.txt
	grep -q '"asked": "[^"]*/sub/q"' m/matrix.json && uses m/r1-*-files "$T/sub/q" &&
		grep -q '"profile": "mine"' m/r1-*-files/run.json
}
t_ok "and they are what ran" matrix_ran
t_ok "it goes on from another folder" sh -c 'cd there && exec "$@"' - "$M" matrix --resume ../m -q --rounds 2
t_ok "with the same files" uses m/r2-*-files "$T/sub/q"

t_ok "mvm boot --qemu ./q" sh -c 'echo ping | "$1" boot sub/s.img --qemu ./q --accel tcg --wait 1 | grep pong' - "$BUILD/mvm"
t_ok "mvm verify --qemu ./q" "$BUILD/mvm" verify ./sub/s.img --quick --accel tcg --qemu ./q
t_ok "mvm verify --launch" "$BUILD/mvm" verify ./sub/s.img --launch exec --accel tcg --qemu ./q

t_fail "what is not there is named" 3 "QEMU '$T/nix'" run --qemu ./nix -o no
t_fail "a folder is no program" 3 'no such program' run --qemu ./sub -o no
t_fail "nor is nothing" 2 "qemu '': needs a value" run --qemu '' -o no
t_fail "for mvm neither" 2 "qemu '': needs" "$BUILD/mvm" boot sub/s.img --qemu ''
runc=$(command -v runc)
if [ -n "$runc" ] && [ "$(id -u)" = 0 ]; then
	ln -s "$runc" rt
	t_ok "run --runtime ./rt" "$M" run --backend oci --runtime ./rt --quiet --stop-on ram --settle 0 --samples 2 \
		--sample-time 0.1 $small -o oci
else
	t_skip "run --runtime ./rt" "needs runc and root"
fi
t_done
