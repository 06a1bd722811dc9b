/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_LIBVIRT_TEMPLATE_H
#define MVM_BACKEND_LIBVIRT_TEMPLATE_H

#include <stdbool.h>

#include "base/err.h"

/*
 * A file that says how a domain of one libvirt driver looks: an INI section [template],
 * then, from the first line that begins with '<', the domain's XML with placeholders.
 */
struct lv_template {
	char *name, *path;
	char *xml;
	bool console;	  /* ready = console: the guest's ready line counts; else that libvirt says running */
	bool uses_accel;  /* has {type}: may run under KVM or TCG */
	bool uses_files;  /* has {image}, {firmware} or {init} */
	bool uses_serial; /* has {serial}: a pty each, through a daemon */
	bool uses_cpuset, uses_numatune, uses_emulator, uses_init; /* has these placeholders */
	long tasks, fds, ptys, mem_kb, commit_kb; /* declared cost of one domain, without a pty of {serial} */
};

/* What the placeholders stand for; texts are escaped when they are put in. */
struct lv_values {
	const char *name, *uuid, *image, *firmware, *type;
	const char *guest; /* {guest}: name of the guest */
	const char *init;  /* the program that does what a guest does, for containers */
	/* XML already: elements, and attributes of <vcpu> */
	const char *serial, *emulator, *tcg, *numatune, *cpuset;
};

/* A name is looked up among profiles/libvirt/NAME.domain; anything with a slash or ".domain" is a file. */
error *lv_template_load(const char *name_or_path, struct lv_template **ret) ERR_MUST_CHECK;
error *lv_template_parse(const char *text, const char *path, struct lv_template **ret) ERR_MUST_CHECK;
void lv_template_free(struct lv_template *t);
static inline void lv_template_freep(struct lv_template **t)
{
	lv_template_free(*t);
}
/* A text as it may stand in an element or an attribute; the caller frees it. All XML that we make of names
 * and paths takes them from here. */
char *lv_xml_escaped(const char *s);
/* The XML of one domain; the caller frees it. */
char *lv_template_fill(const struct lv_template *t, const struct lv_values *v);

#endif
