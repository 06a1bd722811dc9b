/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/nodes.h"

const char *const node_column_names[NODE_COLUMN_COUNT] = {
#define NODE_NAME(sym, name, meaning) [NODE_##sym] = (name),
	NODE_COLUMNS(NODE_NAME)
#undef NODE_NAME
};
const char *const node_column_meanings[NODE_COLUMN_COUNT] = {
#define NODE_MEANING(sym, name, meaning) [NODE_##sym] = (meaning),
	NODE_COLUMNS(NODE_MEANING)
#undef NODE_MEANING
};
