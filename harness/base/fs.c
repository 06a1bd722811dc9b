/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"

#ifndef MVM_DATADIR
#define MVM_DATADIR "/usr/local/share/mvmscale"
#endif

/* No file of ours comes near it; a device or a mistaken name may be without end. */
#define READ_MAX_BYTES (1UL << 30)

static error *read_whole(int fd, const char *path, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, size = 0;
	struct stat st;

	bool too_long = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)READ_MAX_BYTES;
	for (;;) {
		if (too_long || len > READ_MAX_BYTES)
			return err_new(EXIT_BAD_INPUT, "cannot read %s: it is longer than %lu MiB", path,
				       READ_MAX_BYTES >> 20);
		if (size - len < 2) {
			size = size ? size * 2 : 4096;
			buf = xrealloc(buf, size, 1);
		}
		ssize_t n = read(fd, buf + len, size - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(EXIT_BAD_INPUT, errno, "cannot read %s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret = STEAL(buf);
	return NULL;
}

error *fs_read(const char *path, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(EXIT_BAD_INPUT, errno, "cannot read %s", path)
		      : read_whole(fd, path, ret, ret_len);
}

error *fs_read_regular(const char *path, char **ret, size_t *ret_len)
{
	/* opening a named pipe would wait for its writer */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(EXIT_BAD_INPUT, errno, "cannot read %s", path);
	if (S_ISDIR(st.st_mode))
		return err_sys(EXIT_BAD_INPUT, EISDIR, "cannot read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_new(EXIT_BAD_INPUT, "cannot read %s: it is no regular file but a %s", path,
			       S_ISFIFO(st.st_mode) ? "named pipe" : "device or socket");
	return read_whole(fd, path, ret, ret_len);
}

size_t fs_pread_text(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;

	/* a file of many records (disks, interfaces) comes a page at a time, however much is asked for */
	while (fd >= 0 && len < size - 1 &&
	       ((n = pread(fd, buf + len, size - 1 - len, (off_t)len)) > 0 || (n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	/* the number at its end would be read as another one */
	for (bool cut = len == size - 1; cut && len > 0 && buf[len - 1] != '\n';)
		len--;
	buf[len] = '\0';
	return len;
}

bool fs_read_number(const char *path, long long *ret)
{
	char buf[64], *end;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	errno = 0;
	long long v = strtoll(buf, &end, 10);
	if (end == buf || errno)
		return false;
	*ret = v;
	return true;
}

error *fs_write_atomic(const char *path, const void *data, size_t len)
{
	return fs_write_padded(path, data, len, 0);
}

error *fs_write_padded(const char *path, const void *data, size_t len, off_t size)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	_cleanup_free_ char *parent =
		slash ? xasprintf("%.*s", (int)MAX(slash - path, 1L), path) : xstrdup(".");
	struct dir d;

	if (!*name)
		return err_new(EXIT_BAD_INPUT, "cannot write '%s': it names no file", path);
	error *e = dir_open(parent, 0, &d);
	if (e)
		return err_wrap(e, "cannot write %s", path);
	e = dir_replace_padded(&d, name, data, len, size);
	dir_close(&d);
	return e;
}

error *fs_write_setting(const char *path, const char *value)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot set %s", path);
	if (write(fd, value, strlen(value)) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot set %s to '%s'", path, value);
	return NULL;
}

error *fs_mkdirs(const char *path)
{
	struct dir d;
	error *e = dir_open(path, DIR_CREATE, &d);

	dir_close(&d);
	return e;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void fs_remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

error *fs_list(const char *path, const char *prefix, struct strlist *ret)
{
	struct dirent **found = NULL;
	int n = scandir(path, &found, NULL, alphasort);

	if (n < 0 && errno != ENOENT)
		return err_sys(EXIT_CANNOT, errno, "cannot list %s", path);
	for (int i = 0; i < n; i++) {
		if (str_starts(found[i]->d_name, prefix))
			strlist_add(ret, found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return NULL;
}

error *fs_sha256(const char *path, char **ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "rbe");
	unsigned char buf[65536], digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	size_t got;

	if (!f)
		return err_sys(EXIT_BAD_INPUT, errno, "cannot read %s", path);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	while ((got = fread(buf, 1, sizeof(buf), f)) > 0)
		EVP_DigestUpdate(ctx, buf, got);
	EVP_DigestFinal_ex(ctx, digest, &n);
	EVP_MD_CTX_free(ctx);
	if (ferror(f))
		return err_sys(EXIT_BAD_INPUT, errno, "cannot read %s", path);
	char *hex = xcalloc(2 * (size_t)n + 1, 1);
	for (unsigned int i = 0; i < n; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
	*ret = hex;
	return NULL;
}

char *fs_path_in(const char *folder, const char *path)
{
	if (*path == '/' || !*path)
		return xstrdup(path);
	while (str_starts(path, "./"))
		for (path++; *path == '/'; path++)
			;
	return xasprintf("%s%s%s", folder, str_eq(folder, "/") ? "" : "/", path);
}

char *fs_absolute(const char *path)
{
	/* a folder that is gone has no name: nothing can be found from there anyway */
	_cleanup_free_ char *here = *path == '/' ? NULL : getcwd(NULL, 0);

	return here ? fs_path_in(here, path) : xstrdup(path);
}

char *fs_folder_of(const char *path)
{
	_cleanup_free_ char *whole = fs_absolute(path);
	const char *slash = strrchr(whole, '/');

	if (!slash)
		return xstrdup(".");
	return slash == whole ? xstrdup("/") : xasprintf("%.*s", (int)(slash - whole), whole);
}

static bool is_program(const char *path)
{
	struct stat st;

	return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *fs_find_program(const char *name)
{
	if (strchr(name, '/'))
		return is_program(name) ? fs_absolute(name) : NULL;
	const char *path = getenv("PATH");
	_cleanup_free_ char *copy =
		xstrdup(path && *path ? path : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	char *rest = copy, *dir;

	while ((dir = strsep(&rest, ":"))) {
		_cleanup_free_ char *candidate = xasprintf("%s/%s", *dir ? dir : ".", name);

		if (is_program(candidate))
			return fs_absolute(candidate);
	}
	return NULL;
}

char *fs_program(const char *name)
{
	char *found = fs_find_program(name);

	return found ? found : strchr(name, '/') ? fs_absolute(name) : xstrdup(name);
}

enum data_place { PLACE_ENVIRONMENT, PLACE_TREE, PLACE_INSTALLED, PLACE_PREFIX, PLACE_COUNT };

static char *binary_dir(void)
{
	char buf[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);

	if (n <= 0)
		return xstrdup(".");
	buf[n] = '\0';
	return xstrdup(dirname(buf));
}

/* The folder of a kind, with programs ("lib") beside the binary in a build tree, and below lib/ where
 * installed. */
static char *data_candidate(const char *kind, enum data_place place)
{
	const char *env = getenv("MVMSCALE_DATA");
	bool programs = str_eq(kind, "lib");

	if (place == PLACE_ENVIRONMENT)
		return env && *env ? xasprintf("%s/%s", env, kind) : NULL;
	if (place == PLACE_PREFIX)
		return xasprintf("%s/%s", MVM_DATADIR, kind);
	_cleanup_free_ char *dir = binary_dir();
	char *base = strrchr(dir, '/');
	if (base && str_eq(base, "/tests"))
		*base = '\0';
	if (place == PLACE_INSTALLED)
		return programs ? xasprintf("%s/../lib/mvmscale", dir)
				: xasprintf("%s/../share/mvmscale/%s", dir, kind);
	return programs ? STEAL(dir) : xasprintf("%s/data/%s", dir, kind);
}

char *fs_find_data(const char *kind, const char *name)
{
	for (enum data_place p = 0; p < PLACE_COUNT; p++) {
		_cleanup_free_ char *dir = data_candidate(kind, p);

		if (!dir)
			continue;
		char *path = xasprintf("%s/%s", dir, name);
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

char *fs_data_dir(const char *kind)
{
	for (enum data_place p = 0; p < PLACE_COUNT; p++) {
		char *dir = data_candidate(kind, p);

		if (dir && access(dir, R_OK | X_OK) == 0)
			return dir;
		free(dir);
	}
	return NULL;
}

/* A folder of the environment without slashes at its end; NULL where it is not set or relative. */
static char *folder_of(const char *variable)
{
	const char *v = getenv(variable);

	if (!v || *v != '/')
		return NULL;
	char *folder = xstrdup(v);
	for (size_t n = strlen(folder); n && folder[n - 1] == '/'; n--)
		folder[n - 1] = '\0';
	return folder;
}

char *fs_state_path(const char *own_variable, const char *name)
{
	const char *own = getenv(own_variable);
	_cleanup_free_ char *state = folder_of("XDG_STATE_HOME"), *home = folder_of("HOME");

	if (own && *own)
		return xstrdup(own);
	if (state)
		return xasprintf("%s/mvmscale/%s", state, name);
	return home ? xasprintf("%s/.local/state/mvmscale/%s", home, name) : NULL;
}
