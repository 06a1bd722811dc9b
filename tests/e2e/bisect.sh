#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The recipe of docs/compare.md: git bisect run finds the commit that made a VM larger, over one that does not build.
. "$(dirname "$0")/lib.sh"

if ! command -v git >/dev/null; then
	t_skip "git bisect run" "git is not installed"
	t_done
fi

T=$(t_tmp)
M=$BUILD/mvmscale
cd "$T" || exit 1
GIT_CONFIG_GLOBAL=/dev/null
GIT_CONFIG_SYSTEM=/dev/null
export GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM

# Eight commits; a "build" writes the memory of a VM. The fourth and fifth do not build, from the seventh on a VM is larger.
history_made() {
	git init -q -b main repo && cd repo || return
	git config user.name test && git config user.email test@localhost
	for i in 1 2 3 4 5 6 7 8; do
		mem=$((i >= 7 ? 1100 : 1000))
		printf '#!/bin/sh\n%s\necho %s >built # %s\n' "$(! { [ $i = 4 ] || [ $i = 5 ]; } || echo 'exit 1')" $mem $i >build.sh
		git add build.sh && git commit -q -m "commit $i" || return
	done
}
cat >step.sh <<EOF
#!/bin/sh
sh ./build.sh || exit 125
out=\$(mktemp -d "$T/ab.XXXXXX")
exec "$M" ab --bisect --quiet --out "\$out/runs" --rounds 5 --metric mem_per_vm_kb --gate mem_per_vm_kb=5% \\
	--a null-mem=1000 --b "null-mem=\$(cat built)" -- --backend null --max 40 --intervals 3
EOF
chmod +x step.sh

bisected() {
	cd repo && git bisect start HEAD HEAD~7 && git bisect run ../step.sh
}
passed_over() {
	git -C repo bisect log | grep -q '^git bisect skip'
}
first_bad() {
	git -C repo log -1 --format=%s refs/bisect/bad | grep -qx 'commit 7'
}
stops() {
	cd repo && git bisect reset >/dev/null && git bisect start HEAD HEAD~7 &&
		git bisect run "$M" ab --bisect --a nix=1 --b '' --out "$T/none"
}

t_ok "(a small repository)" history_made
cd "$T" || exit 1
t_fail "git bisect run ends" 0 'is the first bad commit' bisected
cd "$T" || exit 1
t_ok "and names the right commit" first_bad
t_ok "over a commit that does not build" passed_over
t_fail "a wrong option stops it instead of blaming a commit" 128 "'nix' is no option" stops
t_done
