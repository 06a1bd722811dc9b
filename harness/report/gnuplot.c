/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "base/util.h"
#include "report/plot_text.h"

/* Of one figure; the largest take some seconds. */
#define GNUPLOT_LIMIT_S 120.0

static const char *ending_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < 3; i++)
		if (strcmp(dot, (const char *const[]){ ".svg", ".png", ".pdf" }[i]) == 0)
			return dot + 1;
	return NULL;
}

error *gnuplot_check_path(const char *out_path)
{
	return ending_of(out_path)
		       ? NULL
		       : err_new(EXIT_BAD_INPUT, "%s: the ending says the format: use .svg, .png or .pdf",
				 out_path);
}

error *gnuplot_script(const char *name, char **ret)
{
	_cleanup_free_ char *found = fs_find_data("plots", name);

	if (!found)
		return err_new(
			EXIT_CANNOT,
			"plots/%s is not found: install mvmscale with 'make install' or point MVMSCALE_DATA to its data folder",
			name);
	*ret = realpath(found, NULL);
	if (!*ret)
		*ret = STEAL(found);
	return NULL;
}

void gnuplot_string(FILE *out, const char *name, const char *text)
{
	_cleanup_free_ char *quoted = plot_quote(text);

	fprintf(out, "%s = %s\n", name, quoted);
}

void gnuplot_load(FILE *out, const char *script)
{
	_cleanup_free_ char *quoted = plot_quote(script);

	fprintf(out, "load %s\n", quoted);
}

/* Fonts, lines and markers grow with the canvas, so all three formats look the same. */
void gnuplot_terminal(FILE *out, const char *ending, double width, double height)
{
	if (strcmp(ending, "pdf") == 0)
		fprintf(out,
			"set terminal pdfcairo noenhanced size %.4fin,%.4fin font 'Sans,8' fontscale 0.75 linewidth 2 pointscale 1.1\n",
			width / 72, height / 72);
	else if (strcmp(ending, "png") == 0)
		fprintf(out,
			"set terminal pngcairo noenhanced size %.0f,%.0f font 'Sans,8' fontscale 3 dashlength 1.6 linewidth 4 pointscale 4\n",
			width * 4, height * 4);
	else
		fprintf(out,
			"set terminal svg noenhanced size %.0f,%.0f font 'sans-serif,8' fontscale 2.5 linewidth 2.5 dashlength 1.2 background 'white'\n",
			width * 2.5, height * 2.5);
	fprintf(out, "is_svg = %d\n", strcmp(ending, "svg") == 0);
	fprintf(out, "set output 'figure.%s'\n", ending);
}

static double time_limit(void)
{
	const char *given = getenv("MVMSCALE_GNUPLOT_TIMEOUT");
	double s = GNUPLOT_LIMIT_S;

	return given && parse_double(given, 0.1, 1e6, &s) ? s : GNUPLOT_LIMIT_S;
}

/* Runs gnuplot in dir; what it says is kept for the error. */
static error *run_gnuplot(char *program, const char *dir)
{
	_cleanup_free_ char *log = xasprintf("%s/gnuplot.log", dir), *said = NULL;
	_cleanup_close_ int log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *argv[] = { program, (char *)"-d", (char *)"figure.gp", NULL };
	struct spawn_spec spec = { .path = program,
				   .argv = argv,
				   .envp = environ,
				   .cwd = dir,
				   .stderr_fd = log_fd,
				   .cgroup_procs_fd = -1,
				   .own_group = true };
	double limit_s = time_limit();
	int status = 0;
	pid_t pid;
	error *e = spawn_process(&spec, &pid);

	if (e)
		return e;
	if (!child_wait_until(pid, clock_ns() + (uint64_t)(limit_s * 1e9), &status))
		return err_new(
			EXIT_CANNOT,
			"%s was not done after %g s and was ended: MVMSCALE_GNUPLOT_TIMEOUT=SECONDS gives it more time",
			program, limit_s);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return NULL;
	err_free(fs_read(log, &said, NULL));
	const char *words = said ? said + strspn(said, " \t\r\n") : "";
	return err_new(EXIT_CANNOT, "%s could not draw the figure (version 5.2 or later is needed): %s",
		       program, *words ? words : "it said nothing");
}

error *gnuplot_draw(const char *out_path, gnuplot_writer *write, const void *user)
{
	const char *tmp = getenv("TMPDIR"), *ending = ending_of(out_path);
	_cleanup_free_ char *dir = xasprintf("%s/mvmscale-plot-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
	_cleanup_free_ char *drawn = NULL, *program = fs_find_program("gnuplot");
	char *image = NULL;
	size_t len = 0;
	error *e;

	if (!program)
		return err_new(
			EXIT_CANNOT,
			"gnuplot is not installed, figures need it: install the package gnuplot-nox (Debian, Ubuntu) or gnuplot");
	if (!mkdtemp(dir))
		return err_sys(EXIT_CANNOT, errno, "cannot create a temporary folder %s (see TMPDIR)", dir);
	drawn = xasprintf("%s/figure.%s", dir, ending);
	e = write(user, ending, dir);
	if (!e)
		e = run_gnuplot(program, dir);
	if (!e)
		e = fs_read(drawn, &image, &len);
	if (!e)
		e = fs_write_atomic(out_path, image, len);
	free(image);
	fs_remove_tree(dir);
	return e;
}
