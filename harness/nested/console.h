/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_CONSOLE_H
#define MVM_NESTED_CONSOLE_H

/* What the console of a kernel that ended too soon tells. Both pure, on its text; results are the caller's.
 */

/* The cause, and what to do about it, in a sentence; NULL when nothing in it is known. */
char *console_cause(const char *text);
/* Its last lines, without what terminals would hide. */
char *console_tail(const char *text);

#endif
