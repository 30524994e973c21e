/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The version of everything that is built from this tree. */
#ifndef SHUNT_VERSION_H
#define SHUNT_VERSION_H

#define SHUNT_VERSION "0.1.0"

#endif
