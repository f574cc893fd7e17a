// SPDX-License-Identifier: MIT
/* Scripts: lines with a name, executed by `run`, at the stop of a point, or at every stop for a reason. */
#ifndef KDB_SCRIPT_H
#define KDB_SCRIPT_H

#include "kdb/engine.h"

#define SCRIPTS 16u
#define SCRIPT_NAME 16u
#define SCRIPT_TEXT 256u

/* The n-th script that belongs to this reason (enum debug_reason); NULL: no more. */
const char *script_at(unsigned reason, unsigned n);

/* prompt.c */
const char *kdb_reason_name(unsigned reason); /* "bp", "call", ...; NULL: there is no such reason */

#endif
