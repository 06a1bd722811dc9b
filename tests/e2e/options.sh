#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every option of every command: named once, explained, and known to completion and man page.
. "$(dirname "$0")/lib.sh"

T=$(t_tmp)

# options_of PROGRAM COMMAND: as completion gets them
options_of() {
	case $1 in
	mvm) "$BUILD/mvm" --list-options "$2" ;;
	*) "$BUILD/mvmscale" help --list-options "$2" ;;
	esac
}
unique() {
	options_of "$1" "$2" >"$T/options" && sort "$T/options" | uniq -d >"$T/twice" && [ ! -s "$T/twice" ]
}
# Each stands in the command's --help, with words behind it.
explained() {
	"$BUILD/$1" "$2" --help >"$T/help" || return
	options_of "$1" "$2" | grep '^--' | while read -r o; do
		grep -Eq -- "$o([ =[].*)?( +[A-Za-z0-9].*|\$)" "$T/help" || {
			echo "$o is not in the help"
			return 1
		}
	done
}
in_man() {
	options_of mvmscale "$1" | sed 's/-/\\\\-/g' | while read -r o; do
		grep -q -- "$o" "$T/man" || {
			echo "$o is not in the man page"
			return 1
		}
	done
}
has_lines() {
	[ "$("$@" 2>/dev/null | wc -l)" -ge 2 ]
}

t_ok "mvmscale --help" "$BUILD/mvmscale" --help
t_ok "mvmscale --version" "$BUILD/mvmscale" --version
t_ok "mvmscale help" "$BUILD/mvmscale" help
t_ok "mvm --help" "$BUILD/mvm" --help
t_ok "mvm --version" "$BUILD/mvm" --version
t_fail "mvm alone" 2 'verb' "$BUILD/mvm"
t_fail "mvm surplus" 2 'unknown verb' "$BUILD/mvm" surplus
t_fail "mvmscale help surplus" 2 'unknown command' "$BUILD/mvmscale" help surplus
"$BUILD/mvmscale" help --man >"$T/man"
for c in $("$BUILD/mvmscale" help --list-commands); do
	t_ok "mvmscale $c: each option once" unique mvmscale "$c"
	t_ok "mvmscale $c: each is explained" explained mvmscale "$c"
	t_ok "mvmscale $c: each is in the man page" in_man "$c"
	t_fail "mvmscale $c: an unknown one is refused" 2 'mvmscale' "$BUILD/mvmscale" "$c" --no-such-option
done
for c in $("$BUILD/mvm" --list-verbs); do
	t_ok "mvm $c: each option once" unique mvm "$c"
	t_ok "mvm $c: each is explained" explained mvm "$c"
	t_fail "mvm $c: an unknown one is refused" 2 'mvm' "$BUILD/mvm" "$c" --no-such-option
done
for what in backends presets profiles guests metrics matrices; do
	t_ok "list $what" has_lines "$BUILD/mvmscale" list "$what"
done
t_fail "list surplus" 2 'surplus' "$BUILD/mvmscale" list surplus
t_ok "mvm list" has_lines "$BUILD/mvm" list
t_done
