/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* malloc() and its kin for a test program that is linked with --wrap of the three: one call of them fails. */
#ifndef SHUNT_FAILING_MALLOC_H
#define SHUNT_FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* How many allocations succeed until one fails; negative: all do. */
static long left = -1;

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

#endif
