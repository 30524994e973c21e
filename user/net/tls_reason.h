/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Why TLS with a client failed, in words. No state of its own. */
#ifndef SHUNT_TLS_REASON_H
#define SHUNT_TLS_REASON_H

#include "net/tls_internal.h"

/* Write the reason of a stream for the first error of OpenSSL's queue, which is emptied. */
void tls_reason(struct tls_stream *s);

#endif
