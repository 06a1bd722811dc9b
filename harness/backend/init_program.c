/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/init_program.h"

#include <unistd.h>

#include "base/fs.h"

error *init_program_probe(void)
{
	_cleanup_free_ char *path = fs_find_data("lib", "mvminit");

	return path ? NULL
		    : err_new(EXIT_CANNOT,
			      "mvminit is missing beside the program: build or install it again");
}

error *init_program_find(const struct backend_config *cfg, struct init_program *ret)
{
	error *e = init_program_probe();

	if (e)
		return e;
	ret->path = fs_find_data("lib", "mvminit");
	ret->image = xasprintf("%s/guest.img", cfg->runtime_dir);
	if ((e = image_write(cfg->image, ret->image)))
		return e;
	return fs_sha256(ret->path, &ret->sha256);
}

void init_program_clear(struct init_program *i)
{
	if (i->image)
		unlink(i->image);
	free(i->path);
	free(i->sha256);
	free(i->image);
	*i = (struct init_program){ 0 };
}
