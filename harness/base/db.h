/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_DB_H
#define MVM_BASE_DB_H

#include <sqlite3.h>
#include <stdbool.h>

/*
 * SQLite databases that outlive runs (the history, the ledger of forecasts), which several programs may use
 * at once. What is in them, which versions are read and what to say of a broken one is for their owners.
 */

/* flags: SQLITE_OPEN_*. A link in place of the file is not followed. Waits for others that hold it. False
   when it could not be opened: *ret is then closed like any other, and db_why() says why. */
bool db_open(const char *path, int flags, sqlite3 **ret);
/* What went wrong last, in words; borrowed from db. */
const char *db_why(sqlite3 *db);
void db_close(sqlite3 **db);
/* The first column of the first row, -1 where it cannot be read. */
int db_number(sqlite3 *db, const char *sql);

#endif
