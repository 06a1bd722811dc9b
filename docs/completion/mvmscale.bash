# SPDX-License-Identifier: GPL-3.0-or-later
# Completion of mvmscale and mvm for bash; zsh reads it too:
#	autoload -U +X bashcompinit && bashcompinit && source mvmscale.bash
# The programs themselves say which commands, options and names there are, so this file knows none.

# _mvm_match CANDIDATES: those that begin with the word being typed
_mvm_match() {
	local word
	COMPREPLY=()
	while IFS= read -r word; do
		[ -n "$word" ] && COMPREPLY+=("$word")
	done < <(compgen -W "$1" -- "$cur")
}

# Files and folders, besides what is there already.
_mvm_files() {
	local word
	compopt -o filenames 2>/dev/null
	while IFS= read -r word; do
		COMPREPLY+=("$word")
	done < <(compgen "$1" -- "$cur")
}

# Names of a kind: the first word of every line of "mvmscale list KIND"
_mvm_names() {
	"$program" list "$1" 2>/dev/null | while read -r name _; do echo "$name"; done
}

# The value of an option; false when it takes none that can be known.
_mvmscale_value() {
	case $1 in
	--backend) _mvm_match "$(_mvm_names backends)" ;;
	--preset)
		_mvm_match "$(_mvm_names presets)"
		_mvm_files -f
		;;
	--profile)
		_mvm_match "$(_mvm_names profiles)"
		_mvm_files -f
		;;
	--metric | -m) _mvm_match "$(_mvm_names metrics)" ;;
	--accel) _mvm_match "auto tcg kvm" ;;
	--tune) _mvm_match "$(_mvm_names techniques | sed "s/^/+/;p;s/^+/-/")" ;;
	--launch) if [ "${program##*/}" = mvm ]; then _mvm_match "exec fork clone all"; else _mvm_match "auto exec fork clone"; fi ;;
	--format) _mvm_match "text csv json md tex" ;;
	--settle) _mvm_match auto ;;
	--verify) _mvm_match all ;;
	--vmlinuz | --slo | --db) _mvm_files -f ;;
	--qemu | --image | --output | --beside | -o) _mvm_files -f ;;
	--out | --resume | --table) _mvm_files -d ;;
	*) return 1 ;;
	esac
}

_mvmscale() {
	local program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=run
	COMPREPLY=()

	# bash splits --preset=lean at the "="
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case ${COMP_WORDS[1]} in
	-* | "") ;;
	*) [ "$COMP_CWORD" -eq 1 ] || verb=${COMP_WORDS[1]} ;;
	esac
	_mvmscale_value "$prev" && return
	if [ "${cur#-}" != "$cur" ]; then
		_mvm_match "$("$program" help --list-options "$verb" 2>/dev/null) --help"
	elif [ "$COMP_CWORD" -eq 1 ]; then
		_mvm_match "$("$program" help --list-commands 2>/dev/null)"
	elif [ "$verb" = history ] && [ "$COMP_CWORD" -eq 2 ]; then
		_mvm_match "add list trend baseline"
	elif [ "$verb" = list ]; then
		_mvm_match "backends presets profiles guests metrics techniques matrices"
	elif [ "$verb" = matrix ]; then
		_mvm_match "$(_mvm_names matrices)"
		_mvm_files -f
	elif [ "$verb" = help ]; then
		_mvm_match "$("$program" help --list-commands 2>/dev/null)"
	elif [ "$verb" != run ] && [ "$verb" != doctor ]; then
		_mvm_files -d
	fi
}

_mvm() {
	local program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}
	local names
	COMPREPLY=()

	if [ "$COMP_CWORD" -eq 1 ]; then
		_mvm_match "$("$program" --list-verbs 2>/dev/null) --help --version"
		return
	fi
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	--accel) _mvm_match "auto tcg kvm" && return ;;
	--machine) _mvm_match "isapc pc microvm" && return ;;
	# of build it is a switch, of boot it says whose
	--firmware) [ "$verb" = boot ] && _mvm_match "own seabios" && return ;;
	-o | --output | --qemu) _mvm_files -f && return ;;
	esac
	if [ "${cur#-}" != "$cur" ]; then
		_mvm_match "$("$program" --list-options "$verb" 2>/dev/null)"
	elif [ "$verb" = build ] || [ "$verb" = wave ]; then
		# the names stand indented below the heading "Profiles"
		names=$("$program" list 2>/dev/null | sed -n '/^Profiles/,$s/^  *\([a-z0-9_-]*\) .*/\1/p')
		_mvm_match "$names"
		_mvm_files -f
	elif [ "$verb" != list ]; then
		_mvm_files -f
	fi
}

complete -F _mvmscale mvmscale
complete -F _mvm mvm
