/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Numbers as people write them in configurations and on command lines. */
#ifndef SHUNT_NUMBER_H
#define SHUNT_NUMBER_H

#include <stdint.h>

/* Read `text`, decimal digits and nothing else, into *out. 0; -EINVAL when it is no such number; -ERANGE when it is
 * above `max`. *out is written only on success. */
int number_parse(const char *text, uint64_t max, uint64_t *out);

#endif
