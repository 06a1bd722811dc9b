/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <argp.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/image.h"
#include "guest/profile.h"

enum {
	OPT_FIRMWARE = 0x100,
	OPT_SEED,
	OPT_PHASE,
	OPT_PAD,
};

struct build {
	const char *profile, *output;
	bool firmware;
	long seed, phase; /* -1: as the profile says */
	long pad_bytes;	  /* 0: none */
};

static const struct argp_option options[] = {
	{ "output", 'o', "IMG", 0, "Write the image here (needed)", 0 },
	{ "firmware", OPT_FIRMWARE, NULL, 0,
	  "Write a 64 KiB firmware ROM for QEMU's -bios that holds the image, instead of the image", 0 },
	{ "pad", OPT_PAD, "SIZE", 0,
	  "Fill the image up with zeros to this size (such as 1M), for BIOSes and clouds that take no disk of 512 bytes",
	  0 },
	{ "seed", OPT_SEED, "N", 0, "Seed, instead of the profile's: 0 to 4294967295", 0 },
	{ "phase", OPT_PHASE, "MS", 0, "Shift of its workload in milliseconds, instead of the profile's", 0 },
	{ 0 },
};

/* A number of bytes with K, M or G behind it. */
static long size(struct argp_state *state, const char *arg)
{
	static const char units[] = "KMG";
	size_t len = strlen(arg);
	const char *unit = len ? strchr(units, arg[len - 1]) : NULL;
	_cleanup_free_ char *digits = xasprintf("%.*s", (int)(unit && *unit ? len - 1 : len), arg);
	int shift = unit && *unit ? 10 * ((int)(unit - units) + 1) : 0;
	long v = 0;

	if (!parse_long(digits, 1, (1L << 40) >> shift, &v) || (v << shift) % MVM_IMAGE_SIZE)
		argp_error(state,
			   "--pad %s: needs a size such as 1M: whole sectors of %d bytes, at most 1024G", arg,
			   MVM_IMAGE_SIZE);
	return v << shift;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct build *b = state->input;

	switch (key) {
	case 'o':
		b->output = arg;
		return 0;
	case OPT_FIRMWARE:
		b->firmware = true;
		return 0;
	case OPT_SEED:
		b->seed = mvm_whole(state, "seed", arg, 0, UINT32_MAX);
		return 0;
	case OPT_PAD:
		b->pad_bytes = size(state, arg);
		return 0;
	case OPT_PHASE:
		b->phase = mvm_whole(state, "phase", arg, 0, UINT32_MAX);
		return 0;
	case ARGP_KEY_ARG:
		if (b->profile)
			argp_error(state, "one profile at a time: '%s' is too many", arg);
		b->profile = arg;
		return 0;
	case ARGP_KEY_END:
		if (!b->profile)
			argp_error(state, "which profile? 'mvm list' shows them");
		if (!b->output)
			argp_error(state, "where to? Give -o IMG");
		if (b->pad_bytes && b->firmware)
			argp_error(state, "--pad is for disks, and --firmware makes none");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mvm_build_argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "PROFILE -o IMG",
	.doc = "Makes a bootable 512-byte image from PROFILE: a name that 'mvm list' shows, or the path of a .profile file. No assembler is needed: the profile's parameters are patched into the guest as "
	       "built."
	       "\v"
	       "Examples:\n"
	       "  mvm build sleep -o sleep.img\n"
	       "  qemu-system-x86_64 -drive file=sleep.img,format=raw -nographic\n"
	       "  mvm build sleep -o sleep.raw --pad 1M\n"
	       "  qemu-system-x86_64 -M q35 -drive file=sleep.raw,format=raw -nographic\n"
	       "  mvm build sleep -o sleep.rom --firmware\n"
	       "  qemu-system-x86_64 -M isapc -m 1 -bios sleep.rom -nographic",
};

static error *write_output(const struct build *b, const struct guest_image *img)
{
	_cleanup_free_ char *template = NULL;

	if (!b->firmware)
		return fs_write_padded(b->output, img->bytes, sizeof(img->bytes), b->pad_bytes);
	error *e = firmware_find_template(&template);
	return e ? e : firmware_write(img, template, b->output);
}

int mvm_build(int argc, char **argv)
{
	struct build b = { .seed = -1, .phase = -1 };
	_cleanup_(profile_freep) struct profile *p = NULL;
	struct guest_image img;

	mvm_parse(&mvm_build_argp, argc, argv, &b);
	error *e = profile_load(b.profile, &p);
	if (!e)
		e = image_from_profile(p, &img);
	if (e)
		return mvm_fail(e);
	if (b.seed >= 0)
		image_set_seed(&img, (uint32_t)b.seed);
	if (b.phase >= 0)
		image_set_phase(&img, (uint32_t)b.phase);
	e = write_output(&b, &img);
	return e ? mvm_fail(e) : EXIT_DONE;
}
