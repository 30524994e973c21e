/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The command line of shuntd. */
#ifndef SHUNT_ARGUMENTS_H
#define SHUNT_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct arguments {
	const char *file;		/* -c; NULL: none */
	uint16_t ports[CONF_PORTS_MAX]; /* -p */
	size_t nports;
	bool daemon;	    /* -d */
	bool quiet;	    /* -q */
	bool verbose;	    /* -v */
	bool test_config;   /* --test-config */
	const char **lines; /* -o, in order; allocated */
	size_t nlines;
};

enum {
	ARGUMENTS_GO_ON = -1, /* any other result is the status to exit with */
};

/* Read the command line, and do what is only a print (--help, --version, --man). */
int arguments_read(struct arguments *a, int argc, char **argv);
void arguments_free(struct arguments *a);

#endif
