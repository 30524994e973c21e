/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How much may be retained: max_retained_messages, _bytes, _payload and _levels. Called by any worker under the
 * subscription lock. */
#ifndef SHUNT_RETAIN_H
#define SHUNT_RETAIN_H

#include "broker/internal.h"
#include "broker/message.h"

/* May the message be retained? What takes the place of another may when it is not larger than that, however much is
 * retained; what has no payload removes, and always may; so may the broker's own. When memory is
 * short, nothing else may. */
bool retain_allowed(const struct broker *b, const struct message *m);

#endif
