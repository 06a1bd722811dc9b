#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What is written is so: pages and README against the programs, the layers of the source, what is in git.
. "$(dirname "$0")/lib.sh"

cd "$t_root" || exit 1
T=$(t_tmp)

pages() {
	make --no-print-directory BUILD="$BUILD" man
}

# page_names PROGRAM COMMAND: every long option of it stands in the page, below its heading
page_names() {
	if [ "$1" = mvm ]; then
		"$BUILD/mvm" --list-options "$2" | grep -v -e '^-.$' -e '^--help$' >"$T/options"
	else
		"$BUILD/mvmscale" help --list-options "$2" >"$T/options"
	fi
	sed -n "/^\\.SS $1 $2\$/,/^\\.S/p" "$BUILD/man/$1.1" | sed '1b;/^\.SH/d' | sed 's/\\-/-/g' >"$T/section"
	[ -s "$T/section" ] || {
		echo "no section for $1 $2"
		return 1
	}
	while read -r o; do
		grep -Eq -- "(^|[ ,])$o([[ =]|\$)" "$T/section" || {
			echo "$1 $2: $o is not in the page"
			return 1
		}
	done <"$T/options"
}

# synopsis PROGRAM COMMAND...: each stands in the synopsis of its page, and nothing else does
synopsis() {
	sed -n '/^\.SH SYNOPSIS/,/^\.SH DESCRIPTION/p' "$t_root/man/$1.1.in" >"$T/synopsis"
	[ "$1" = mvm ] || sed -i 's/^\.RB \[ run \]/.B mvmscale run/' "$T/synopsis"
	sed -n "s/^\.B $1 \([a-z]*\).*/\1/p" "$T/synopsis" | sort >"$T/named"
	program=$1
	shift
	printf '%s\n' "$@" | sort | diff "$T/named" - >"$T/differ" || {
		echo "the synopsis of $program against its commands:"
		cat "$T/differ"
		return 1
	}
}

# well_printed COMMAND WORD...: options of its --help stand in one column, their texts in another
well_printed() {
	"$@" --help >"$T/help" || return
	# options begin at column 3 or 7; their text at 30, or in the next line where the option is too long
	awk '/^Mandatory or optional/ { exit }
		length($0) > 80 { print "too wide: " $0; bad = 1 }
		/^ *-/ { match($0, /^ */)
			if (RLENGTH == 29) next # the text goes on, with an option
			if (RLENGTH != 2 && RLENGTH != 6) { print "out of its column: " $0; bad = 1 }
			if (match($0, /^ +(-., )?--?[^ ]+ +[^ ]/) && RLENGTH != 30) { print "text begins at " RLENGTH ": " $0; bad = 1 } }
		END { exit bad }' "$T/help"
}

without_warnings() {
	for p in mvmscale mvm; do
		LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$BUILD/man/$p.1" 3>&1 >/dev/null 2>&3
	done >"$T/warnings"
	cat "$T/warnings"
	[ ! -s "$T/warnings" ]
}

# The commands of a document's code blocks and inline code, one a line, without prompts and comments
commands() {
	awk '/^```/ { inside = !inside; next } inside || /^    / { sub(/^    /, ""); print }' "$1"
	grep -o '`[^`]*`' "$1" | tr -d '`'
}

# Everything that begins with mvmscale or mvm: the command and its long options exist.
document_is_right() {
	commands "$1" | sed 's/^[$#] //; s/^sudo //; s/ #.*//; s/ |.*//; s/^build\/mvm/mvm/' |
		grep -E '^(mvmscale|mvm)( |$)' >"$T/lines" || return 0
	while read -r program verb rest; do
		case $program:$verb in
		mvmscale: | mvmscale:RUN* | mvm:) continue ;;
		mvmscale:-*)
			rest="$verb $rest"
			verb=run
			;;
		mvm:-*) continue ;;
		esac
		if [ "$program" = mvm ]; then
			"$BUILD/mvm" --list-verbs >"$T/verbs"
			"$BUILD/mvm" --list-options "$verb" >"$T/options" 2>/dev/null
		else
			"$BUILD/mvmscale" help --list-commands >"$T/verbs"
			"$BUILD/mvmscale" help --list-options "$verb" >"$T/options" 2>/dev/null
		fi
		printf '%s\n' --help --version COMMAND VERB >>"$T/options"
		grep -qx -e "$verb" "$T/verbs" || [ "$verb" = COMMAND ] || [ "$verb" = VERB ] || {
			echo "$1: '$program $verb' does not exist"
			return 1
		}
		# what stands in quotes is a value
		for word in $(printf '%s\n' "$rest" | sed "s/'[^']*'//g"); do
			case $word in
			--) "$BUILD/mvmscale" help --list-options run >"$T/options" ;; # of the runs that ab makes
			--*)
				grep -qx -e "${word%%=*}" "$T/options" || {
					echo "$1: $program $verb has no ${word%%=*}"
					return 1
				}
				;;
			esac
		done
	done <"$T/lines"
}

# Every make target that is written exists; every file that is linked to is there.
targets_exist() {
	commands README.md | sed 's/^sudo //; s/ #.*//' | grep '^make ' | while read -r _ rest; do
		for word in $rest; do
			case $word in
			*=*) ;;
			*) grep -Eq "^(\.PHONY:.* )?$word( |:|\$)" GNUmakefile || {
				echo "README.md: make $word"
				return 1
			} ;;
			esac
		done
	done
}
links_exist() {
	for f in README.md docs/*.md; do
		grep -o '](\([^)#]*\)' "$f" | sed 's/](//' | grep -v '^http' | while read -r to; do
			[ -z "$to" ] || [ -e "$(dirname "$f")/$to" ] || {
				echo "$f: $to is not there"
				return 1
			}
		done || return 1
	done
}

# Documents that name what can be chosen know all of it.
names_known() {
	for kind in backends presets profiles guests matrices; do
		"$BUILD/mvmscale" list "$kind" | while read -r name _; do
			grep -q -- "\`$name\`" README.md || {
				echo "README.md does not name the $kind \`$name\`"
				return 1
			}
		done || return 1
	done
	for code in 0 1 2 3 4 5 130; do
		grep -q "^| $code |" README.md || {
			echo "README.md: exit status $code"
			return 1
		}
	done
}

# run-format.md names every column that is no metric, and every group of metrics by its first.
columns_known() {
	"$BUILD/mvmscale" list metrics | sed -n 's/ .*(intervals.csv only)$//p' >"$T/columns"
	[ -s "$T/columns" ] || return 1
	while read -r name; do
		grep -q -- "$name" docs/run-format.md || {
			echo "docs/run-format.md: $name"
			return 1
		}
	done <"$T/columns"
	"$BUILD/mvmscale" list metrics | grep -v '(intervals.csv only)$' | while read -r name _; do
		grep -q -- "$name" docs/run-format.md || {
			echo "docs/run-format.md: $name"
			return 1
		}
	done
}

# rooms_of FILES...: "FILE ROOM" for each include of another file of the project
rooms_of() { grep -Ho '^#include "[a-z_]*/' "$@" 2>/dev/null | sed 's/:#include "/ /; s,/$,,'; }

# A room includes only itself, earlier rooms and base.
layers() {
	order=$(sed -n 's/^STAGES = //p' GNUmakefile)
	[ -n "$order" ] || return 1
	bad=0 allowed=
	for stage in $order cmd; do
		allowed="$allowed $stage"
		# shellcheck disable=SC2046 # words
		rooms_of $(find "harness/$stage" -name '*.[ch]') | sort -u >"$T/rooms"
		while read -r file used; do
			# what is loaded into QEMU shares one header with the backend
			[ "$stage:$used" != backend:preload ] || continue
			case " $allowed " in
			*" $used "*) ;;
			*)
				echo "$file includes $used/, which is not an earlier room than $stage"
				bad=1
				;;
			esac
		done <"$T/rooms"
	done
	for dir in harness/*/; do
		case " $order cmd preload init " in
		*" $(basename "$dir") "*) ;;
		*)
			echo "$dir is no room of the GNUmakefile"
			bad=1
			;;
		esac
	done
	return $bad
}

# What reads the record and what touches the machine meet in a run folder, and nowhere else.
wings() {
	# shellcheck disable=SC2046 # words
	rooms_of $(find harness/record harness/model harness/report harness/advise harness/compare -name '*.[ch]') |
		grep -E ' (host|backend|measure|run)$' >"$T/wings"
	cat "$T/wings"
	[ ! -s "$T/wings" ]
}

# What is loaded into QEMU must not depend on the harness.
preload_alone() {
	! grep -n '^#include "' harness/preload/*.[ch] 2>/dev/null | grep -v -e '"preload/' -e '"mvm_contract.h"'
}

short_files() {
	find harness tests -name '*.[ch]' | while read -r f; do
		n=$(wc -l <"$f")
		[ "$n" -le 1000 ] || {
			echo "$f has $n lines"
			return 1
		}
	done
}

tracked() {
	git ls-files --cached --others --exclude-standard
}

licensed() {
	bad=0
	for f in $(tracked | grep -E '\.([ch]|sh|asm|inc|gp|preset|profile|bash|in)$'); do
		[ -f "$f" ] || continue
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: GPL-3.0-or-later' || {
			echo "$f has no licence line"
			bad=1
		}
	done
	return $bad
}

no_machine_paths() {
	bad=0
	# a path below /tmp or a home is that of one machine; examples in prose may say /tmp itself
	for f in $(tracked | grep -v '^tests/fixtures/' | grep -v '^COPYING$'); do
		[ -f "$f" ] || continue
		grep -InE '(^|[^A-Za-z0-9_.$}/])/(work|home|root|Users)/[A-Za-z0-9]' "$f" /dev/null && bad=1
	done
	return $bad
}

no_binaries() {
	bad=0
	for f in $(tracked); do
		[ -f "$f" ] || continue
		case $f in
		build/* | runs/* | *.o | *.so | *.img | *.rom | *.bin | *.png | *.pdf | *.svg | *.gz)
			echo "$f is made by the build"
			bad=1
			;;
		esac
	done
	return $bad
}

t_ok "the pages are built" pages
# The last column of the table: a file of tests/e2e, and a text that is in it.
faults_tested() {
	sed -n '/^## Faults/,/^## /s/.*| `\([^`]*\)`: "\(.*\)" |$/\1 \2/p' docs/safety.md >"$T/faults"
	[ "$(wc -l <"$T/faults")" -ge 30 ] && [ "$(wc -l <"$T/faults")" = "$(($(sed -n '/^## Faults/,/^## /p' docs/safety.md | grep -c '^|') - 2))" ] ||
		return
	while read -r file text; do
		grep -Fq -- "$text" "tests/e2e/$file" || {
			echo "$file has no test '$text'"
			return 1
		}
	done <"$T/faults"
}
for c in $("$BUILD/mvmscale" help --list-commands); do
	t_ok "every option of mvmscale $c is in its page" page_names mvmscale "$c"
done
# shellcheck disable=SC2046 # one word each
t_ok "the synopsis of mvmscale names its commands" synopsis mvmscale $("$BUILD/mvmscale" help --list-commands)
# shellcheck disable=SC2046 # one word each
t_ok "the synopsis of mvm names its verbs" synopsis mvm $("$BUILD/mvm" --list-verbs)
for c in $("$BUILD/mvmscale" help --list-commands); do
	t_ok "mvmscale $c --help prints well" well_printed "$BUILD/mvmscale" "$c"
done
for v in $("$BUILD/mvm" --list-verbs); do
	t_ok "mvm $v --help prints well" well_printed "$BUILD/mvm" "$v"
	t_ok "every option of mvm $v is in its page" page_names mvm "$v"
done
if command -v man >/dev/null && command -v groff >/dev/null; then
	t_ok "the pages are formatted without warnings" without_warnings
else
	t_skip "the pages are formatted without warnings" "no man or groff"
fi
for f in README.md docs/*.md; do
	t_ok "the commands and options in $f exist" document_is_right "$f"
done
t_ok "every fault in docs/safety.md has its test" faults_tested
t_ok "the make targets in README.md exist" targets_exist
t_ok "what documents link to is there" links_exist
t_ok "README.md knows every backend, preset, profile, guest and exit status" names_known
t_ok "docs/run-format.md knows every column" columns_known
t_ok "a room includes only earlier ones" layers
t_ok "what reads the record includes nothing that touches the machine" wings
t_ok "what is loaded into QEMU includes nothing of the harness" preload_alone
t_ok "no C file is longer than 1,000 lines" short_files
if git rev-parse --git-dir >/dev/null 2>&1; then
	t_ok "every source file names its licence" licensed
	t_ok "no path of one machine is in the repository" no_machine_paths
	t_ok "nothing that the build makes is in the repository" no_binaries
else
	t_skip "what is in the repository" "not a git repository"
fi
t_done
