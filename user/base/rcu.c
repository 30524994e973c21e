// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/rcu.h"

#ifdef SHUNT_TSAN
/* The one address all annotations of rcu.h name. */
char rcu_tsan_sync;
#endif

/* An empty file is no C. */
_Static_assert(sizeof(struct rcu_later) >= sizeof(struct rcu_head), "struct rcu_later holds a struct rcu_head");
