/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest/image.h"

#include <assert.h>
#include <dirent.h>
#include <string.h>

#include "base/fs.h"

static_assert(MVM_PARAM_OFFSET + MVM_PARAM_SIZE == MVM_SIGNATURE_OFFSET, "the block ends at the signature");
static_assert(MVM_PARAM_OFF_PAYLOAD + MVM_PARAM_PAYLOAD_SIZE == MVM_PARAM_SIZE, "the payload ends the block");

static uint32_t get_le(const unsigned char *p, size_t bytes)
{
	uint32_t v = 0;

	for (size_t i = bytes; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static void put_le32(unsigned char *p, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i & 0xFF);
}

/* Names go into messages, file names and JSON: only harmless characters, padded with NUL alone. */
static bool take_guest_name(const unsigned char *p, char *ret)
{
	size_t n = 0;

	while (n < MVM_PARAM_GUEST_SIZE && p[n]) {
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", p[n]))
			return false;
		ret[n] = (char)p[n];
		n++;
	}
	for (size_t i = n; i < MVM_PARAM_GUEST_SIZE; i++)
		if (p[i])
			return false;
	ret[n] = '\0';
	return n > 0;
}

static error *parse_params(const char *what, struct guest_image *img)
{
	const unsigned char *p = img->bytes + MVM_PARAM_OFFSET;
	unsigned int length = p[MVM_PARAM_OFF_LENGTH];

	img->version = p[MVM_PARAM_OFF_VERSION];
	if (img->version != MVM_PARAM_VERSION)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: its parameter block is of version %u, this program knows version %d: rebuild the image with 'mvm build', or use the program that it was built with",
			what, img->version, MVM_PARAM_VERSION);
	if (length != MVM_PARAM_SIZE)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: its parameter block says that it has %u bytes instead of %d, so the image is damaged: rebuild it with 'mvm build'",
			what, length, MVM_PARAM_SIZE);
	if (!take_guest_name(p + MVM_PARAM_OFF_GUEST, img->guest))
		return err_new(
			EXIT_BAD_INPUT,
			"%s: its parameter block holds no guest name of lower-case letters and digits, so the image is damaged: rebuild it with 'mvm build'",
			what);
	img->flags = get_le(p + MVM_PARAM_OFF_FLAGS, 2);
	img->seed = get_le(p + MVM_PARAM_OFF_SEED, 4);
	img->phase_ms = get_le(p + MVM_PARAM_OFF_PHASE, 4);
	img->has_params = true;
	return NULL;
}

error *image_parse(const void *data, size_t len, const char *what, struct guest_image *ret)
{
	struct guest_image img = { 0 };

	if (len == MVM_FIRMWARE_SIZE)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: has %zu bytes, the size of a firmware ROM: an image has %d, and the ROM was built from one ('mvm build' without --firmware)",
			what, len, MVM_IMAGE_SIZE);
	if (len != MVM_IMAGE_SIZE)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: has %zu bytes, a guest image has exactly %d: give a boot sector, such as one made by 'mvm build'",
			what, len, MVM_IMAGE_SIZE);
	memcpy(img.bytes, data, len);
	if (get_le(img.bytes + MVM_SIGNATURE_OFFSET, 2) != MVM_SIGNATURE)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: has no boot signature (0x55 0xAA at byte %d, there is 0x%02X 0x%02X), so no firmware would start it: give a boot sector, such as one made by 'mvm build'",
			what, MVM_SIGNATURE_OFFSET, img.bytes[MVM_SIGNATURE_OFFSET],
			img.bytes[MVM_SIGNATURE_OFFSET + 1]);
	if (get_le(img.bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_MAGIC, 4) == MVM_PARAM_MAGIC) {
		error *e = parse_params(what, &img);

		if (e)
			return e;
	}
	*ret = img;
	return NULL;
}

error *image_load(const char *path, struct guest_image *ret)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	error *e = fs_read(path, &data, &len);

	return e ? e : image_parse(data, len, path, ret);
}

error *image_load_guest(const char *guest, struct guest_image *ret)
{
	_cleanup_free_ char *file = xasprintf("%s.img", guest);
	_cleanup_free_ char *path = strchr(guest, '/') ? NULL : fs_find_data("guests", file);

	if (path)
		return image_load(path, ret);
	_cleanup_(strlist_clear) struct strlist names = { 0 };
	guest_names(&names);
	if (!names.count)
		return err_new(
			EXIT_CANNOT,
			"guest '%s': no guest images are built or installed: run 'make', or set MVMSCALE_DATA to the folder that holds guests/",
			guest);
	_cleanup_free_ char *known = strlist_join(&names);
	return err_new(EXIT_BAD_INPUT, "unknown guest '%s': there is no such image; known guests: %s", guest,
		       known);
}

void image_set_seed(struct guest_image *img, uint32_t seed)
{
	assert(img->has_params);
	img->seed = seed;
	put_le32(img->bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_SEED, seed);
}

void image_set_phase(struct guest_image *img, uint32_t phase_ms)
{
	assert(img->has_params);
	img->phase_ms = phase_ms;
	put_le32(img->bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PHASE, phase_ms);
}

size_t image_code_limit(const struct guest_image *img)
{
	return img->has_params ? MVM_PARAM_OFFSET : MVM_SIGNATURE_OFFSET;
}

size_t image_code_size(const struct guest_image *img)
{
	size_t n = image_code_limit(img);

	while (n > 0 && !img->bytes[n - 1])
		n--;
	return n;
}

error *image_write(const struct guest_image *img, const char *path)
{
	return fs_write_atomic(path, img->bytes, sizeof(img->bytes));
}

error *firmware_fill(const struct guest_image *img, const char *what, char *rom, size_t len)
{
	/* 0xEA is the far jump that every PC's ROM has at its reset vector. */
	if (len != MVM_FIRMWARE_SIZE || (unsigned char)rom[MVM_FIRMWARE_RESET] != 0xEA)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: is not the toolkit's firmware (%zu bytes instead of %d, or no jump at its reset vector): rebuild it with 'make'",
			what, len, MVM_FIRMWARE_SIZE);
	memcpy(rom + MVM_FIRMWARE_SLOT, img->bytes, sizeof(img->bytes));
	return NULL;
}

error *firmware_write(const struct guest_image *img, const char *template_path, const char *path)
{
	_cleanup_free_ char *rom = NULL;
	size_t len = 0;
	error *e = fs_read(template_path, &rom, &len);

	if (!e)
		e = firmware_fill(img, template_path, rom, len);
	return e ? e : fs_write_atomic(path, rom, len);
}

error *firmware_find_template(char **ret)
{
	*ret = fs_find_data("guests", "firmware.bin");
	if (*ret)
		return NULL;
	return err_new(
		EXIT_CANNOT,
		"the firmware (guests/firmware.bin) is neither built nor installed: run 'make', or set MVMSCALE_DATA to the folder that holds guests/");
}

void guest_data_names(const char *kind, const char *suffix, struct strlist *ret)
{
	_cleanup_free_ char *dir = fs_data_dir(kind);
	struct dirent **found = NULL;
	size_t suffix_len = strlen(suffix);
	int n = dir ? scandir(dir, &found, NULL, alphasort) : 0;

	*ret = (struct strlist){ 0 };
	for (int i = 0; i < n; i++) {
		const char *name = found[i]->d_name;
		size_t len = strlen(name);

		if (*name != '.' && len > suffix_len && str_eq(name + len - suffix_len, suffix))
			strlist_addf(ret, "%.*s", (int)(len - suffix_len), name);
		free(found[i]);
	}
	free(found);
}

char *guest_data_find(const char *kind, const char *suffix, const char *name, char **ret_known)
{
	_cleanup_(strlist_clear) struct strlist names = { 0 };
	_cleanup_free_ char *file = xasprintf("%s%s", name, suffix);

	*ret_known = NULL;
	if (strchr(name, '/') || strstr(name, suffix))
		return xstrdup(name);
	char *path = fs_find_data(kind, file);
	if (path)
		return path;
	guest_data_names(kind, suffix, &names);
	*ret_known = names.count ? strlist_join(&names) : NULL;
	return NULL;
}

void guest_names(struct strlist *ret)
{
	guest_data_names("guests", ".img", ret);
}
