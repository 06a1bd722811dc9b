/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/host_spec.h"

#include <math.h>
#include <string.h>

#include "base/util.h"

/* kB of "128G"; a size needs its unit, as 128 alone could mean anything. */
bool host_size_parse(const char *s, double *ret)
{
	if (!parse_bytes(s, ret))
		return false;
	*ret /= 1024;
	return true;
}

static bool take_part(const char *part, struct host_spec *spec)
{
	if (str_starts(part, "cores="))
		return parse_double(part + 6, 1, 1e6, &spec->cores);
	if (str_starts(part, "ram="))
		return host_size_parse(part + 4, &spec->ram_kb) && spec->ram_kb > 0;
	if (str_starts(part, "swap="))
		return host_size_parse(part + 5, &spec->swap_kb);
	if (str_starts(part, "nodes="))
		return parse_double(part + 6, 1, 4096, &spec->nodes) && spec->nodes == floor(spec->nodes);
	return false;
}

error *host_spec_parse(const char *text, struct host_spec *ret)
{
	_cleanup_free_ char *copy = xstrdup(text);
	struct host_spec spec = { (double)NAN, (double)NAN, (double)NAN, (double)NAN };
	char *rest = copy, *part;

	while ((part = strsep(&rest, ",")))
		if (!take_part(part, &spec))
			return err_new(
				EXIT_BAD_INPUT,
				"--host '%s': '%s' is not understood: write it like cores=48,ram=128G,swap=0,nodes=2; cores from 1 to 1000000, whole nodes from 1 to 4096, sizes with K, M, G or T, swap also 0",
				text, part);
	*ret = spec;
	return NULL;
}
