// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sn/predefined.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/log.h"
#include "mqtt/topic.h"
#include "sn/topics.h"

struct sn_predefined {
	struct sn_topics *names; /* by name; their ids are not these: */
	uint16_t *ids;		 /* [id there] */
	struct mqtt_str *by_id;	 /* [id] */
};

struct reader {
	struct lines at;
	struct sn_predefined *to;
};

void sn_predefined_free(struct sn_predefined *p)
{
	if (!p)
		return;
	sn_topics_free(p->names);
	free(p->ids);
	free(p->by_id);
	free(p);
}

static int take_line(void *arg, char *line, size_t len)
{
	static const char blanks[] = " \t\r\n";
	struct reader *r = arg;
	struct sn_predefined *to = r->to;
	struct sn_topic *topic;
	struct mqtt_str name;
	unsigned long id;
	char *end;

	while (len && strchr(blanks, line[len - 1]))
		line[--len] = 0;
	line += strspn(line, blanks);
	if (!*line || *line == '#')
		return 0;
	id = *line >= '0' && *line <= '9' ? strtoul(line, &end, 10) : 0;
	if (!id || id > SN_TOPICS_MAX || !strchr(blanks, *end) || !*end)
		return lines_fault(&r->at, "write \"ID TOPIC\", with an ID from 1 to %d", SN_TOPICS_MAX);
	name = mqtt_str(end + strspn(end, blanks));
	if (!topic_name_valid(name) || name.data[0] == '$')
		return lines_fault(&r->at, "\"%s\" is no topic that clients may publish to", (const char *)name.data);
	if (to->by_id[id].len)
		return lines_fault(&r->at, "there is another topic with the id %lu above", id);
	topic = sn_topics_add(to->names, name, SN_TOPICS_MAX);
	if (!topic)
		return lines_fault(&r->at, "out of memory");
	if (!to->ids[topic->id])
		to->ids[topic->id] = (uint16_t)id;
	to->by_id[id] = sn_topic_name(topic);
	return 0;
}

struct sn_predefined *sn_predefined_load(const char *path)
{
	struct sn_predefined *p = calloc(1, sizeof(*p));
	struct reader r = {.at.path = path, .to = p};
	FILE *f = fopen(path, "re");
	int err = -1;

	if (!f) {
		log_error("Error: Unable to open the file of topics %s: %s.", path, strerror(errno));
	} else if (p) {
		p->names = sn_topics_new();
		p->ids = calloc(SN_TOPICS_MAX + 1, sizeof(p->ids[0]));
		p->by_id = calloc(SN_TOPICS_MAX + 1, sizeof(p->by_id[0]));
	}
	if (f && p && p->names && p->ids && p->by_id)
		err = lines_read(&r.at, f, take_line, &r);
	else if (f)
		log_error("Error: Out of memory.");
	if (f)
		fclose(f);
	if (!err)
		return p;
	sn_predefined_free(p);
	return NULL;
}

struct mqtt_str sn_predefined_name(const struct sn_predefined *p, uint16_t id)
{
	return p && id <= SN_TOPICS_MAX ? p->by_id[id] : (struct mqtt_str){0};
}

uint16_t sn_predefined_id(const struct sn_predefined *p, struct mqtt_str name)
{
	const struct sn_topic *topic = p ? sn_topics_by_name(p->names, name) : NULL;

	return topic ? p->ids[topic->id] : 0;
}
