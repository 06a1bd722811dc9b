/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/db.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define BUSY_MS 10000

/* The same file with a folder that has no links on its way: SQLite would refuse all of them. */
static char *through_real_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder =
		xasprintf("%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	_cleanup_free_ char *real = realpath(folder, NULL);

	return real ? xasprintf("%s/%s", real, slash ? slash + 1 : path) : xstrdup(path);
}

bool db_open(const char *path, int flags, sqlite3 **ret)
{
	_cleanup_free_ char *real = through_real_folder(path);

	if (sqlite3_open_v2(real, ret, flags | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK)
		return false;
	sqlite3_busy_timeout(*ret, BUSY_MS);
	return true;
}

const char *db_why(sqlite3 *db)
{
	return sqlite3_extended_errcode(db) == SQLITE_CANTOPEN_SYMLINK ? "it is a symbolic link"
								       : sqlite3_errmsg(db);
}

void db_close(sqlite3 **db)
{
	sqlite3_close(*db);
}

int db_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int n = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return n;
}
