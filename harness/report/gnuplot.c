/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/util.h"
#include "report/plot_text.h"

extern char **environ;

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
		return err_new(EXIT_CANNOT,
			       "plots/%s is not found: install mvmscale with 'make install' or point "
			       "MVMSCALE_DATA to its data folder",
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
			"set terminal pdfcairo noenhanced size %.4fin,%.4fin font 'Sans,8' fontscale 0.75 "
			"linewidth 2 "
			"pointscale 1.1\n",
			width / 72, height / 72);
	else if (strcmp(ending, "png") == 0)
		fprintf(out,
			"set terminal pngcairo noenhanced size %.0f,%.0f font 'Sans,8' fontscale 3 "
			"dashlength 1.6 "
			"linewidth 4 pointscale 4\n",
			width * 4, height * 4);
	else
		fprintf(out,
			"set terminal svg noenhanced size %.0f,%.0f font 'sans-serif,8' fontscale 2.5 "
			"linewidth 2.5 dashlength 1.2 background 'white'\n",
			width * 2.5, height * 2.5);
	fprintf(out, "is_svg = %d\n", strcmp(ending, "svg") == 0);
	fprintf(out, "set output 'figure.%s'\n", ending);
}

/* Runs gnuplot in dir; what it says on stderr is kept for the error. */
static error *run_gnuplot(char *program, const char *dir)
{
	_cleanup_free_ char *log = xasprintf("%s/gnuplot.log", dir), *said = NULL;
	char *argv[] = { program, (char *)"-d", (char *)"figure.gp", NULL };
	posix_spawn_file_actions_t act;
	pid_t pid;
	int status = 0;

	posix_spawn_file_actions_init(&act);
	posix_spawn_file_actions_addchdir_np(&act, dir);
	posix_spawn_file_actions_addopen(&act, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&act, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&act, STDERR_FILENO, "gnuplot.log", O_WRONLY | O_CREAT | O_TRUNC,
					 0600);
	int sys = posix_spawn(&pid, program, &act, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&act);
	if (sys)
		return err_sys(EXIT_CANNOT, sys, "cannot start %s", program);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return NULL;
	err_free(fs_read(log, &said, NULL));
	return err_new(EXIT_CANNOT, "%s could not draw the figure (version 5.2 or later is needed): %s",
		       program, said ? said + strspn(said, " \t\r\n") : "it said nothing");
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
		return err_new(EXIT_CANNOT,
			       "gnuplot is not installed, figures need it: install the package gnuplot-nox "
			       "(Debian, Ubuntu) or gnuplot");
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
