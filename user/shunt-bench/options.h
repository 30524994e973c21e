/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What shunt-bench was asked to do. One table in options.c gives the parser, --help and the manual page. */
#ifndef SHUNT_BENCH_OPTIONS_H
#define SHUNT_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A kind of load: who publishes for whom, where the options do not say otherwise. */
struct bench_case {
	const char *name;
	const char *help;		  /* as in base/document.h */
	unsigned publishers, subscribers; /* subscribers 0: as many as publishers */
	unsigned topics;		  /* 0: one for each publisher, or subscriber if there are more */
	bool wildcard;			  /* subscribers take all topics by one filter with # */
	bool shared;			  /* and share them: each message goes to one of them */
	double rate;			  /* messages per second in all; 0: as fast as the broker takes them */
	uint64_t connections;		  /* not 0: connecting is the load, of so many, and there are no messages */
};

/* Numbers have the type the table can store; seconds may be fractions. */
struct options {
	const struct bench_case *load;
	const char *host;
	uint64_t port;
	const char *username, *password, *topic_prefix;
	uint64_t publishers, subscribers, topics, connections;
	uint64_t size, qos, messages;
	double rate, seconds, warmup, drain, wait;
	uint64_t batch, window, threads, keepalive, mqtt;
	uint64_t concurrency;
	const char *tls; /* file with certificates of CAs; NULL: in the clear */
	const char *cc;
	bool nagle, all_cpu, json, progress, persistent, resume;
	uint64_t pid;
};

enum options_result {
	OPTIONS_RUN,  /* go on */
	OPTIONS_DONE, /* the help or the manual was printed: exit with success */
	OPTIONS_BAD,  /* what is wrong was printed to stderr */
};

/* Read the command line, fill in what depends on the case, and check it. The strings point into argv. */
enum options_result options_parse(struct options *o, int argc, char **argv);

#endif
