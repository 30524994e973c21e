/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What may be retained, and is delivered of it. */
#ifndef SHUNT_RETAIN_H
#define SHUNT_RETAIN_H

#include "broker/internal.h"
#include "broker/message.h"

/* May the message be retained, by max_retained_messages, _bytes, _payload and _levels? What takes the place of another may when it is not larger than that, however much is
 * retained; what has no payload removes, and always may; so may the broker's own. When memory is
 * short, nothing else may. By any worker under the subscription lock. */
bool retain_allowed(const struct broker *b, const struct message *m);

/* Find out whose retained messages are not delivered any more by the rules of today, option check_retain_source. While no worker
 * runs. */
void retain_review(struct broker *b);

#endif
