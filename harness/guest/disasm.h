/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_GUEST_DISASM_H
#define MVM_GUEST_DISASM_H

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "guest/image.h"
#include "guest/schema.h"

/*
 * The code of an image as assembly text, through the program ndisasm: text in it is shown as text,
 * and accesses to ports and parameters are named as the contract and the guest's schema have them. *ret is
 * NULL where ndisasm is not installed. The caller frees it.
 */
error *disasm_image(const struct guest_image *img, const struct guest_schema *schema,
		    char **ret) ERR_MUST_CHECK;

/* Length of the text at p: at least 3 characters and their NUL, or 0 where there is none. Pure. */
size_t disasm_text_length(const unsigned char *p, size_t len);
/* ndisasm's output with names and texts put in. Pure. */
void disasm_annotate(const char *listing, const struct guest_image *img, const struct guest_schema *schema,
		     FILE *out);

#endif
