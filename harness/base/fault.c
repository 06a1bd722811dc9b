/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[FAULT_COUNT] = {
	[FAULT_FORK_EAGAIN] = "fork-eagain",
	[FAULT_VM_DIES] = "vm-dies",
	[FAULT_ENOSPC] = "enospc",
	[FAULT_PROC_FIELDS] = "proc-fields",
	[FAULT_NO_KVM] = "no-kvm",
	[FAULT_PID_VANISHED] = "pid-vanished",
	[FAULT_NO_PRELOAD] = "no-preload",
	[FAULT_NO_KSM] = "no-ksm",
	[FAULT_NO_ASLR_OFF] = "no-aslr-off",
	[FAULT_TEMPLATE_DIES] = "template-dies",
	[FAULT_RUNNER_HANGS] = "runner-hangs",
	[FAULT_NO_ANSWER] = "no-answer",
};

bool fault_hit(enum fault f)
{
	static long occasions[FAULT_COUNT];
	const char *asked = getenv("MVMSCALE_FAULT");
	size_t n = strlen(names[f]);

	while (asked && *asked) {
		if (strncmp(asked, names[f], n) == 0 &&
		    (asked[n] == '\0' || asked[n] == ':' || asked[n] == ',')) {
			long skip = asked[n] == ':' ? strtol(asked + n + 1, NULL, 10) : 0;

			return occasions[f]++ >= skip;
		}
		asked = strchr(asked, ',');
		if (asked)
			asked++;
	}
	return false;
}
