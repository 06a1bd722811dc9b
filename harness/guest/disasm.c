/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guest/disasm.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/text.h"

#define TEXT_MIN 3
#define DISASM_TIMEOUT_MS 20000

static const struct {
	unsigned int port;
	const char *name;
} ports[] = {
	{ 0x20, "PIC master: command" },
	{ 0x21, "PIC master: mask" },
	{ 0x40, "PIT channel 0: count" },
	{ 0x42, "PIT channel 2: count" },
	{ 0x43, "PIT: control" },
	{ 0x61, "speaker and PIT gate" },
	{ 0x70, "RTC: register number" },
	{ 0x71, "RTC: data" },
	{ 0x92, "A20 gate" },
	{ 0xA0, "PIC slave: command" },
	{ 0xA1, "PIC slave: mask" },
	{ MVM_COM1_PORT, "COM1: data, or divisor low" },
	{ MVM_COM1_PORT + 1, "COM1: interrupt enable, or divisor high" },
	{ MVM_COM1_PORT + 2, "COM1: interrupt cause, FIFO control" },
	{ MVM_COM1_PORT + 3, "COM1: line control" },
	{ MVM_COM1_PORT + 4, "COM1: modem control" },
	{ MVM_COM1_PORT + 5, "COM1: line status" },
};

static const struct {
	unsigned int offset;
	const char *name;
} fields[] = {
	{ MVM_PARAM_OFF_MAGIC, "magic" },    { MVM_PARAM_OFF_VERSION, "version" },
	{ MVM_PARAM_OFF_LENGTH, "length" },  { MVM_PARAM_OFF_FLAGS, "flags" },
	{ MVM_PARAM_OFF_GUEST, "guest" },    { MVM_PARAM_OFF_SEED, "seed" },
	{ MVM_PARAM_OFF_PHASE, "phase_ms" }, { MVM_PARAM_OFF_PAYLOAD, "payload" },
};

static const char *port_name(unsigned long port)
{
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (ports[i].port == port)
			return ports[i].name;
	return NULL;
}

/* The parameter that an address inside the block belongs to. */
static const char *field_name(unsigned long address, const struct guest_schema *schema)
{
	unsigned long block = MVM_LOAD_ADDRESS + MVM_PARAM_OFFSET;
	const char *name = NULL;

	if (address < block || address >= block + MVM_PARAM_SIZE)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (fields[i].offset <= address - block)
			name = fields[i].name;
	const char *own = address - block >= MVM_PARAM_OFF_PAYLOAD
				  ? schema_field_at(schema, address - block - MVM_PARAM_OFF_PAYLOAD)
				  : NULL;
	return own ? own : name;
}

static bool is_text(unsigned char c)
{
	return isprint(c) || c == '\n' || c == '\r' || c == '\t';
}

size_t disasm_text_length(const unsigned char *p, size_t len)
{
	size_t n = 0;

	while (n < len && is_text(p[n]))
		n++;
	return n < len && p[n] == 0 && n >= TEXT_MIN ? n + 1 : 0;
}

static void put_text(const unsigned char *p, size_t len, FILE *out)
{
	fprintf(out, "db \"");
	for (size_t i = 0; i < len && p[i]; i++) {
		if (p[i] == '\n')
			fputs("\\n", out);
		else if (p[i] == '\r')
			fputs("\\r", out);
		else if (p[i] == '\t')
			fputs("\\t", out);
		else
			fprintf(out, "%s%c", p[i] == '"' || p[i] == '\\' ? "\\" : "", p[i]);
	}
	fprintf(out, "\\0\"");
}

/* What an instruction touches; *dx follows the port number that was loaded last. */
static const char *note_for(const char *insn, const struct guest_schema *schema, unsigned long *dx)
{
	const char *number = strstr(insn, ",0x"), *bracket = strstr(insn, "[0x");
	unsigned long value = number ? strtoul(number + 1, NULL, 16) : 0;

	if (str_starts(insn, "mov dx,0x")) {
		*dx = value;
		return port_name(*dx);
	}
	/* ports of one device share their high byte */
	if (str_starts(insn, "mov dl,0x")) {
		*dx = (*dx & 0xFF00) | (value & 0xFF);
		return port_name(*dx);
	}
	if (str_eq(insn, "inc dx"))
		return port_name(++*dx);
	if (str_starts(insn, "out 0x"))
		return port_name(strtoul(insn + 4, NULL, 16));
	if (str_starts(insn, "in ") && number)
		return port_name(value);
	if (str_starts(insn, "out dx,") || (str_starts(insn, "in ") && strstr(insn, ",dx")))
		return port_name(*dx);
	if (bracket)
		return field_name(strtoul(bracket + 1, NULL, 16), schema);
	/* the address of a text, not the text */
	return str_starts(insn, "mov si,0x") || str_starts(insn, "mov di,0x") ? field_name(value, schema)
									      : NULL;
}

/* One line of ndisasm: "00007C12  B0FF              mov al,0xff", or "00007D08  skipping 0x11 bytes". */
static void annotate_line(const char *line, const struct guest_image *img, const struct guest_schema *schema,
			  unsigned long *dx, FILE *out)
{
	enum { AT_BYTES = 10, AT_INSN = 28 };
	char *end;
	unsigned long address = strtoul(line, &end, 16);

	if (end == line || strlen(line) < AT_BYTES || address < MVM_LOAD_ADDRESS ||
	    address - MVM_LOAD_ADDRESS >= MVM_SIGNATURE_OFFSET) {
		fprintf(out, "%s\n", line);
		return;
	}
	if (str_starts(line + AT_BYTES, "skipping")) {
		size_t at = address - MVM_LOAD_ADDRESS;

		fprintf(out, "%.*s%*s", AT_BYTES, line, AT_INSN - AT_BYTES, "");
		put_text(img->bytes + at, MVM_SIGNATURE_OFFSET - at, out);
		fputc('\n', out);
		return;
	}
	const char *note = strlen(line) > AT_INSN ? note_for(line + AT_INSN, schema, dx) : NULL;
	if (note)
		fprintf(out, "%-58s ; %s\n", line, note);
	else
		fprintf(out, "%s\n", line);
}

void disasm_annotate(const char *listing, const struct guest_image *img, const struct guest_schema *schema,
		     FILE *out)
{
	_cleanup_free_ char *copy = xstrdup(listing);
	char *rest = copy, *line;
	unsigned long dx = 0;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			annotate_line(line, img, schema, &dx, out);
}

/* The command line: 16-bit code at its load address, with the texts skipped. */
static void build_command(const struct guest_image *img, size_t len, int code_fd, const char *program,
			  struct strlist *cmd)
{
	strlist_add(cmd, program);
	strlist_add(cmd, "-b16");
	strlist_addf(cmd, "-o0x%x", MVM_LOAD_ADDRESS);
	for (size_t at = 0; at < len; at++) {
		/* The code ends at its last byte that is not 0: the text's NUL is behind it. */
		size_t n = disasm_text_length(img->bytes + at, image_code_limit(img) - at);

		if (!n)
			continue;
		strlist_addf(cmd, "-k0x%zx,%zu", MVM_LOAD_ADDRESS + at, n);
		at += n - 1;
	}
	strlist_addf(cmd, "/proc/%d/fd/%d", (int)getpid(), code_fd);
}

error *disasm_image(const struct guest_image *img, const struct guest_schema *schema, char **ret)
{
	_cleanup_(strlist_clear) struct strlist cmd = { 0 };
	_cleanup_free_ char *program = fs_find_program("ndisasm"), *listing = NULL;
	size_t len = image_code_size(img);
	struct textbuf buf;
	int status = 0;

	*ret = NULL;
	if (!program)
		return NULL;
	_cleanup_close_ int code_fd = memfd_create("mvm-code", MFD_CLOEXEC);
	if (code_fd < 0 || write(code_fd, img->bytes, len) != (ssize_t)len)
		return err_sys(EXIT_CANNOT, errno, "cannot hand the code to %s", program);
	build_command(img, len, code_fd, program, &cmd);
	error *e = child_capture(cmd.items, DISASM_TIMEOUT_MS, &listing, &status);
	if (e)
		return e;
	if (status)
		return err_new(EXIT_CANNOT, "%s failed (wait status 0x%x): the image cannot be disassembled",
			       program, (unsigned int)status);
	disasm_annotate(listing, img, schema, textbuf_open(&buf));
	*ret = textbuf_close(&buf);
	return NULL;
}
