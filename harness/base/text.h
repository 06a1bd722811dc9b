/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_TEXT_H
#define MVM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Texts that people read. All are pure but the last two; the caller frees what they return. */

/* A text that is written like a file. It must not be moved until it is closed; out of memory ends the
 * program.
 */
struct textbuf {
	FILE *f;
	char *text;
	size_t len;
};
FILE *textbuf_open(struct textbuf *b);
/* What was written, which is also in ->text, and its length in ->len. */
char *textbuf_close(struct textbuf *b);

/* "46,000", with as many decimals as asked. */
char *text_thousands(double v, int decimals);
/* Characters as they stand on a terminal, not bytes: those that go on with a character of UTF-8 do not count.
 */
size_t text_width(const char *s);
bool text_is_utf8(const char *s);
/* Fit for one line of a terminal and for JSON: a control character becomes a blank, a byte that is not UTF-8
   a '?'. */
char *text_line(const char *s);
/* Text from elsewhere (a guest, a program's complaint), for messages and records, in place: control
   characters but line ends and tabs become '?', and so does what lies beyond ASCII where the whole is no
   UTF-8. */
void text_clean(char *s);
/* In a cell of a Markdown table: on one line, and nothing in it is a mark. */
char *text_markdown(const char *s);
/* As it is typed in a POSIX shell: in quotes where the shell would take it apart. */
char *text_shell(const char *s);
/* Whether moving about is wanted there: a terminal of a kind that is known (TERM is set) and not dumb;
   colours: also no NO_COLOR. */
bool text_terminal(FILE *out);
bool text_colour(FILE *out);

#endif
