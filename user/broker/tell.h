/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A message for many clients on this host puts the same bytes into all their outputs. At the end of the turn what is the same
 * is written to all of them at once, by fp_tell(). What the bytes are does not matter: only that they are all there is in
 * the output, and next in its stream.
 */
#ifndef SHUNT_TELL_H
#define SHUNT_TELL_H

#include "broker/worker.h"

/* Prepare for it, if this kernel can. On the worker's thread, when it starts. */
void tell_open(struct worker *w);

/* Write what the outputs of these connections (by `dirty`) have in common. All else, and what was not taken, is
 * conn_flush()'s, which is still to be called for each of them. */
void tell_same(struct worker *w, struct list *dirty);

#endif
