/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_TEST_EXAMPLE_H
#define MVM_TEST_EXAMPLE_H

#include "backend/backend.h"

/* The backend that docs/backends.md walks through. No part of the product. */
extern const struct backend_ops backend_example;

#endif
