/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/image.h"
#include "guest/profile.h"

struct build {
	struct strlist profile;
	const char *output;
	bool firmware;
	long seed, phase; /* -1: as the profile says */
	long pad_bytes;	  /* 0: none */
};

/* A number of bytes with K, M or G behind it. */
static error *take_pad(const struct option_row *o, const char *arg, void *config)
{
	static const char units[] = "KMG";
	size_t len = strlen(arg);
	const char *unit = len ? strchr(units, arg[len - 1]) : NULL;
	_cleanup_free_ char *digits = xasprintf("%.*s", (int)(unit && *unit ? len - 1 : len), arg);
	int shift = unit && *unit ? 10 * ((int)(unit - units) + 1) : 0;
	long v = 0;

	(void)o;
	if (!parse_long(digits, 1, (1L << 40) >> shift, &v) || (v << shift) % MVM_IMAGE_SIZE)
		return err_new(EXIT_BAD_INPUT,
			       "--pad %s: needs a size such as 1M: whole sectors of %d bytes, at most 1024G",
			       arg, MVM_IMAGE_SIZE);
	((struct build *)config)->pad_bytes = v << shift;
	return NULL;
}

/* A long, for -1 says that none was given. */
static error *take_number(const struct option_row *o, const char *arg, void *config)
{
	*(long *)((char *)config + o->offset) = strtol(arg, NULL, 10);
	return NULL;
}

#define AT(field) offsetof(struct build, field)

static const struct option_row options[] = {
	{ "output", 'o', "IMG", NULL, OPT_ANY, AT(output), .help = "Write the image here (needed)" },
	{ "firmware", 0, NULL, NULL, OPT_FLAG, AT(firmware),
	  .help = "Write a 64 KiB firmware ROM for QEMU's -bios that holds the image, instead of the image" },
	{ "pad", 0, "SIZE", NULL, OPT_ANY, AT(pad_bytes), .take = take_pad,
	  .help = "Fill the image up with zeros to this size (such as 1M), for BIOSes and clouds that take no disk of 512 bytes" },
	{ "seed", 0, "N", NULL, OPT_WHOLE, AT(seed), .take = take_number, .max = UINT32_MAX,
	  .help = "Seed, instead of the profile's: 0 to 4294967295" },
	{ "phase", 0, "MS", NULL, OPT_WHOLE, AT(phase), .take = take_number, .max = UINT32_MAX,
	  .help = "Shift of its workload in milliseconds, instead of the profile's" },
	{ 0 },
};

static error *check(void *config)
{
	const struct build *b = config;

	if (!b->output)
		return err_new(EXIT_BAD_INPUT, "where to? Give -o IMG");
	return b->pad_bytes && b->firmware
		       ? err_new(EXIT_BAD_INPUT, "--pad is for disks, and --firmware makes none")
		       : NULL;
}

static error *write_output(const struct build *b, const struct guest_image *img)
{
	_cleanup_free_ char *template = NULL;

	if (!b->firmware)
		return fs_write_padded(b->output, img->bytes, sizeof(img->bytes), b->pad_bytes);
	error *e = firmware_find_template(&template);
	return e ? e : firmware_write(img, template, b->output);
}

static int run(int argc, char **argv)
{
	struct build b = { .seed = -1, .phase = -1 };
	_cleanup_(profile_freep) struct profile *p = NULL;
	struct guest_image img;

	cmd_parse(&mvm_build, argc, argv, &b);
	error *e = profile_load(b.profile.items[0], &p);
	strlist_clear(&b.profile);
	if (!e)
		e = image_from_profile(p, &img);
	if (e)
		return cmd_fail(e);
	if (b.seed >= 0)
		image_set_seed(&img, (uint32_t)b.seed);
	if (b.phase >= 0)
		image_set_phase(&img, (uint32_t)b.phase);
	e = write_output(&b, &img);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command mvm_build = {
	.name = "build",
	.summary = "make a bootable image (or firmware ROM) from a profile",
	.usage = "PROFILE -o IMG",
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
	.options = options,
	.words = AT(profile),
	.most = 1,
	.too_many = "one profile at a time: '%s' is too many",
	.none = "which profile? 'mvm list' shows them",
	.check = check,
	.run = run,
};
