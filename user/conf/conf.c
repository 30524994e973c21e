// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The configuration as a whole: defaults before it is read, and what follows once all of it is. */
#include "conf/conf.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/option.h"

enum { DEFAULT_PORT = 1883 };

int conf_init(struct conf *c)
{
	*c = (struct conf){.allow_anonymous = -1};
	if (conf_set_defaults(c, CONF_GLOBAL))
		return -ENOMEM;
	c->log_types_given = c->log_dests_given = false;
	return 0;
}

void conf_free(struct conf *c)
{
	for (size_t i = 0; i < c->nlisteners; i++) {
		free(c->listeners[i].address);
		free(c->listeners[i].where);
	}
	free(c->listeners);
	free(c->auto_id_prefix);
	free(c->server_reference);
	free(c->response_information);
	free(c->scram_file);
	free(c->log_file);
	free(c->log_timestamp_format);
	free(c->user);
	free(c->pid_file);
	free(c->bpf_pin_path);
	free(c->control_socket);
	*c = (struct conf){0};
}

static bool has_ipv6_loopback(void)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return false;
	has = !bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
	return has;
}

/* Without a listener line: the loopback addresses. */
static int listen_locally(struct conf *c, uint16_t port)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	unsigned number = port ? port : DEFAULT_PORT;
	char line[64];

	for (size_t i = 0; i < 1U + has_ipv6_loopback(); i++) {
		snprintf(line, sizeof(line), "listener %u %s", number, addresses[i]);
		if (conf_line(c, line, conf_default_where))
			return -1;
	}
	return 0;
}

static bool same_address(const struct conf_listener *a, const struct conf_listener *b)
{
	if (a->port != b->port || !a->address != !b->address)
		return false;
	return !a->address || !strcasecmp(a->address, b->address);
}

int conf_finish(struct conf *c, uint16_t port)
{
	int err = 0;

	c->local_only = !c->nlisteners;
	if (c->local_only)
		err = listen_locally(c, port);

	for (size_t i = 0; i < c->nlisteners; i++) {
		struct conf_listener *l = &c->listeners[i];

		l->allow_anonymous = c->allow_anonymous < 0 ? c->local_only : c->allow_anonymous;
		for (size_t j = 0; j < i; j++) {
			if (same_address(l, &c->listeners[j]))
				err |= conf_error(l->where,
						  "listener: port %u of this address is taken by the listener in %s",
						  l->port, c->listeners[j].where);
		}
	}
	return err;
}

void conf_hint(const struct conf *c, uint16_t port)
{
	if (port && !c->local_only)
		log_warning("Warning: -p %u does nothing, because the configuration has a listener (%s).", port,
			    c->listeners[0].where);
	if (c->allow_anonymous == 0)
		log_warning(
			"Warning: allow_anonymous is false and this version has no password file: nobody can connect.");
	else if (c->allow_anonymous < 0 && !c->local_only)
		log_warning(
			"Warning: A listener is configured, so clients without a user name are refused, and this version has "
			"no password file: nobody can connect. Add \"allow_anonymous true\" to let everybody in.");
}
