// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The configuration as a whole: defaults before it is read, and what follows once all of it is. */
#include "conf/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/option.h"

int conf_init(struct conf *c)
{
	*c = (struct conf){
		.allow_anonymous = -1,
		.log_facility = -1,
		.present_listener = CONF_NO_LISTENER,
		.default_listener = CONF_NO_LISTENER,
	};
	if (conf_set_defaults(c, CONF_GLOBAL))
		return -ENOMEM;
	c->log_types_given = c->log_dests_given = false;
	return 0;
}

void conf_free(struct conf *c)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		conf_free_listener(&c->listeners[i]);
	free(c->listeners);
	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope != CONF_GLOBAL)
			continue;
		if (o->type == CONF_STRING)
			free(*(char **)((char *)c + o->offset));
		else if (o->type == CONF_LIST)
			conf_free_list(*(char ***)((char *)c + o->offset));
	}
	free(c->log_file);
	free(c->http_where);
	*c = (struct conf){0};
}

void conf_resolve(struct conf *c)
{
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct conf_listener *l = &c->listeners[i];
		int anonymous = l->own_allow_anonymous >= 0 ? l->own_allow_anonymous : c->allow_anonymous;
		int empty_id = l->own_allow_zero_length_clientid;

		l->allow_anonymous = anonymous >= 0 ? anonymous : c->local_only;
		l->allow_zero_length_clientid = empty_id >= 0 ? empty_id : c->allow_zero_length_clientid;
		l->auto_id_prefix = l->own_auto_id_prefix ? l->own_auto_id_prefix : c->auto_id_prefix;
	}
}

int conf_finish(struct conf *c, const uint16_t *ports, size_t nports)
{
	char name[CONF_LISTENER_NAME_MAX];
	int err = 0;

	c->local_only = true;
	for (size_t i = 0; i < c->nlisteners; i++)
		c->local_only &= c->listeners[i].implied;
	if (c->local_only)
		err = conf_listen_locally(c, ports, nports);
	conf_resolve(c);
	err |= conf_check_http(c);

	for (size_t i = 0; i < c->nlisteners; i++) {
		err |= conf_check_transport(&c->listeners[i]);
		for (size_t j = 0; j < i; j++) {
			if (conf_same_place(&c->listeners[i], &c->listeners[j]))
				err |= conf_error(c->listeners[i].where, "listener: %s is taken by the listener in %s",
						  conf_listener_name(&c->listeners[i], name, sizeof(name)),
						  c->listeners[j].where);
		}
	}
	return err;
}

/* Can anybody come in at this listener? Not so when clients without a user name are refused, and there are no users. */
static bool lets_in(const struct conf *c, const struct conf_listener *l)
{
	return l->allow_anonymous || c->scram_file || l->own_password_file || c->password_file || l->jwt_keys ||
	       l->own_auth_http_url || c->auth_http_url;
}

void conf_hint(const struct conf *c, const uint16_t *ports, size_t nports)
{
	bool anybody = false;

	if (nports && !c->local_only)
		log_warning("Warning: -p %u does nothing, because the configuration has a listener (%s).", ports[0],
			    c->listeners[0].where);
	for (size_t i = 0; i < c->nlisteners; i++)
		anybody |= lets_in(c, &c->listeners[i]);
	if (anybody)
		return;
	if (c->allow_anonymous == 0)
		log_warning("Warning: allow_anonymous is false and there is no password_file: nobody can connect.");
	else
		log_warning(
			"Warning: A listener is configured, so clients without a user name are refused, and there is no "
			"password_file: nobody can connect. Add a password_file, or \"allow_anonymous true\" to let "
			"everybody in.");
}

char *conf_store_path(const struct conf *c)
{
	size_t len = strlen(c->persistence_location);
	char *path;

	if (asprintf(&path, "%s%s%s", c->persistence_location,
		     len && c->persistence_location[len - 1] == '/' ? "" : "/", c->persistence_file) < 0)
		return NULL;
	return path;
}
