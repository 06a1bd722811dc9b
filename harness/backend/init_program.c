/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/init_program.h"

#include <unistd.h>

#include "base/fs.h"

error *init_program_find(const struct backend_config *cfg, struct init_program *ret)
{
	error *e;

	ret->path = fs_find_data("lib", "mvminit");
	if (!ret->path)
		return err_new(EXIT_CANNOT,
			       "mvminit is missing beside the program: build or install it again");
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
