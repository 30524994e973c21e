// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/number.h"

#include <errno.h>

int number_parse(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	int err = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (digit > 9)
			return -EINVAL;
		if (n > (UINT64_MAX - digit) / 10)
			err = -ERANGE; /* go on: a letter behind makes it no number at all */
		else
			n = n * 10 + digit;
	}
	if (err || n > max)
		return -ERANGE;
	*out = n;
	return 0;
}
