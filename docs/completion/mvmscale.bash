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

# _mvm_value LIST OPTION: completes the value of OPTION by what LIST ("--accel auto|tcg|kvm" a line) says that
# it is; false when it takes none. Small letters are words to choose from, capitals say what kind of thing it is.
_mvm_value() {
	local kind word words=
	kind=$(sed -n "s/^$2 //p" <<<"$1")
	[ -n "$kind" ] || return 1
	for word in ${kind//|/ }; do
		case $word in
		*[!a-z0-9-]*) ;;
		*) words="$words $word" ;;
		esac
	done
	_mvm_match "$words"
	case $kind in
	*FILE* | *PATH* | *IMG* | *CSV*) _mvm_files -f ;;
	*DIR* | RUN*) _mvm_files -d ;;
	esac
	return 0
}

# The value of an option of mvmscale; false when it takes none.
_mvmscale_value() {
	local list
	[ "${1#-}" != "$1" ] || return 1
	list=$("$program" help --list-arguments "$verb" 2>/dev/null)
	_mvm_value "$list" "$1" || return 1
	case $verb:$1 in
	*:--backend) words=$(_mvm_names backends) ;;
	*:--preset) words=$(_mvm_names presets) ;;
	*:--profile) words=$(_mvm_names profiles) ;;
	plot:--metric | plot:-m) words=$(_mvm_names metrics) ;;
	*:--metric | *:-m) words=$("$program" compare --list 2>/dev/null | sed '1d;s/ .*//') ;;
	*:--tune) words=$(_mvm_names techniques | sed "s/^/+/;p;s/^+/-/") ;;
	*) return 0 ;;
	esac
	local given=("${COMPREPLY[@]}")
	_mvm_match "$words"
	COMPREPLY+=("${given[@]}")
}

_mvmscale() {
	local program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=run words
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
	# behind "--" of ab and kernel stand options of run
	[[ " ${COMP_WORDS[*]:1:COMP_CWORD-1} " == *" -- "* ]] && verb=run
	_mvmscale_value "$prev" && return
	if [ "${cur#-}" != "$cur" ]; then
		_mvm_match "$("$program" help --list-options "$verb" 2>/dev/null) --help"
	elif [ "$COMP_CWORD" -eq 1 ]; then
		_mvm_match "$("$program" help --list-commands 2>/dev/null)"
	elif [ "$verb" = history ] && [ "$COMP_CWORD" -eq 2 ]; then
		_mvm_match "add list trend baseline"
	elif [ "$verb" = list ]; then
		[ "$COMP_CWORD" -eq 2 ] && _mvm_match "backends presets profiles guests metrics techniques matrices"
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
	if [ "${prev#-}" != "$prev" ]; then
		_mvm_value "$("$program" --list-arguments "$verb" 2>/dev/null)" "$prev" && return
	fi
	if [ "${cur#-}" != "$cur" ]; then
		_mvm_match "$("$program" --list-options "$verb" 2>/dev/null)"
	elif [ "$verb" = build ] || [ "$verb" = wave ] || [ "$verb" = verify ]; then
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
