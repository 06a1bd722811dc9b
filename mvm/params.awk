# SPDX-License-Identifier: GPL-3.0-or-later
# awk -f params.awk NAME.asm: what a guest's source declares of itself, as the data file NAME.params.
#	; NAME: one line that says what it is		(the first comment line but the license)
#	;@ needs disk					devices that it is of no use without
#	param_u32 NAME, DEFAULT, MIN, MAX, "UNIT", "HELP"	(param.inc)
BEGIN {
	size["u8"] = 1
	size["u16"] = 2
	size["u32"] = 4
	print "# made from the guest's source by mvm/params.awk"
	print "[guest]"
}

function fail(why) {
	print FILENAME ":" FNR ": " why > "/dev/stderr"
	failed = 1
	exit 1
}

# the arguments of a macro, texts without their quotes: arg[1..n]
function split_arguments(text, n, c, i, quoted) {
	n = 1
	arg[1] = ""
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "\"")
			quoted = !quoted
		else if (c == "," && !quoted)
			arg[++n] = ""
		else if (c == ";" && !quoted)
			break
		else if (quoted || c !~ /[ \t]/)
			arg[n] = arg[n] c
	}
	return n
}

!summary && /^; [a-z0-9-]+: / {
	summary = substr($0, index($0, ": ") + 2)
	print "summary = " summary
}

/^;@ needs / { print "needs = " substr($0, 10) }

/^[ \t]*param_(u8|u16|u32|text|bytes)[ \t]/ {
	type = substr($1, 7)
	n = split_arguments(substr($0, index($0, $1) + length($1)))
	if (n != (type == "text" ? 4 : type == "bytes" ? 3 : 6))
		fail(n " arguments of " $1)
	print ""
	print "[" arg[1] "]"
	print "type = " type
	print "offset = " offset + 0
	if (type == "text") {
		print "default = " arg[2]
		print "max = " arg[3]
		offset += arg[3] + 1
	} else if (type == "bytes") {
		print "size = " arg[2]
		offset += arg[2]
	} else {
		print "default = " arg[2]
		print "min = " arg[3]
		print "max = " arg[4]
		print "unit = " arg[5]
		offset += size[type]
	}
	print "help = " arg[n]
}

END { if (!failed && !summary) fail("no line '; NAME: what it is'") }
