/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/db.h"

#include <stddef.h>

#define BUSY_MS 10000

bool db_open(const char *path, int flags, sqlite3 **ret)
{
	if (sqlite3_open_v2(path, ret, flags, NULL) != SQLITE_OK)
		return false;
	sqlite3_busy_timeout(*ret, BUSY_MS);
	return true;
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
