// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Addresses and the networks they are in. */
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "mqtt_model.h"

static struct net_address address(const char *text)
{
	struct net_address a = {.family = AF_UNSPEC};

	if (!strcmp(text, "unix"))
		a.family = AF_UNIX;
	else
		assert_true(net_address_parse(text, strlen(text), &a));
	return a;
}

static void test_parse(void **state)
{
	static const char *const good[] = {"0.0.0.0", "255.255.255.255", "::",
					   "::1",     "2001:db8::a:0:1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	static const char *const bad[] = {"",
					  "1.2.3",
					  "1.2.3.4.5",
					  "1.2.3.256",
					  "01.2.3.4",
					  "1.2.3.4 ",
					  " 1.2.3.4",
					  "1.2.3.4/8",
					  "1.2.3.4:80",
					  "[::1]",
					  "fe80::1%1",
					  ":",
					  ":::",
					  "1::2::3",
					  "12345::",
					  "localhost",
					  "0x7f.0.0.1",
					  "2130706433",
					  "unix",
					  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:",
					  "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555"};
	char name[NET_ADDRESS_MAX], want[NET_ADDRESS_MAX + 8];
	struct net_address a = {.family = AF_UNSPEC};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		a = address(good[i]);
		net_address_name(&a, 65535, name);
		snprintf(want, sizeof(want), "%s:65535", good[i]);
		assert_string_equal(name, want);
	}
	a = address("10.1.2.3");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(net_address_parse(bad[i], strlen(bad[i]), &a));
	assert_false(net_address_parse("1.2.3.4\0", 8, &a));
	net_address_name(&a, 0, name);
	assert_string_equal(name, "10.1.2.3:0");
}

/* Every length is read up to its end only. */
static void test_counted(void **state)
{
	static const char text[] = "203.0.113.99";
	struct net_address a;

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		uint8_t *copy = exact_copy((const uint8_t *)text, len);

		assert_int_equal(net_address_parse((const char *)copy, len, &a), len == 11 || len == 12);
		free(copy);
	}
}

/* RFC 4291, section 2.5.5.2. */
static void test_mapped(void **state)
{
	struct net_address a = address("::ffff:192.0.2.1"), b = address("192.0.2.1");
	struct net_address other = address("::192.0.2.1");

	(void)state;
	assert_int_equal(a.family, AF_INET);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(other.family, AF_INET6);
}

static void test_socket_addresses(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr un = {.sa_family = AF_UNIX}, other = {.sa_family = AF_PACKET};
	struct net_address a, want;

	(void)state;
	inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
	want = address("192.0.2.7");
	a = net_address_of((const struct sockaddr *)&in);
	assert_memory_equal(&a, &want, sizeof(a));
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
	a = net_address_of((const struct sockaddr *)&in6);
	assert_memory_equal(&a, &want, sizeof(a));
	inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr);
	want = address("2001:db8::7");
	a = net_address_of((const struct sockaddr *)&in6);
	assert_memory_equal(&a, &want, sizeof(a));
	assert_int_equal(net_address_of(&un).family, AF_UNIX);
	assert_int_equal(net_address_of(&other).family, AF_UNSPEC);
}

/* What net_accept() calls peers, and back. */
static void test_names(void **state)
{
	static const char *const names[] = {"192.0.2.1:1883", "2001:db8::1:1883", "::1:1", "unix:0"};
	char name[NET_ADDRESS_MAX];
	struct net_address a;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *port = strrchr(names[i], ':') + 1;

		a = net_address_of_peer(names[i]);
		net_address_name(&a, (uint16_t)atoi(port), name);
		assert_string_equal(name, names[i]);
	}
	assert_int_equal(net_address_of_peer("unix:4711").family, AF_UNIX);
	assert_int_equal(net_address_of_peer("?:0").family, AF_UNSPEC);
	assert_int_equal(net_address_of_peer("").family, AF_UNSPEC);
	a.family = AF_UNSPEC;
	net_address_name(&a, 1, name);
	assert_string_equal(name, "");
}

static void test_networks(void **state)
{
	static const struct {
		const char *network, *in, *out; /* texts with spaces between */
	} cases[] = {
		{"10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3", "9.255.255.255 11.0.0.0 ::a00:1 unix"},
		{"192.0.2.128/25", "192.0.2.128 192.0.2.255", "192.0.2.127 192.0.3.128"},
		{"192.0.2.8/29", "192.0.2.8 192.0.2.15", "192.0.2.7 192.0.2.16"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.0 192.0.2.2"},
		{"192.0.2.1/32", "192.0.2.1", "192.0.2.0 192.0.2.2"},
		{"0.0.0.0/0", "0.0.0.0 255.255.255.255", ":: ::1 unix"},
		{"0.0.0.0/1", "127.255.255.255", "128.0.0.0"},
		{"::/0", ":: 2001:db8::1", "0.0.0.0 192.0.2.1 ::ffff:192.0.2.1 unix"},
		{"2001:db8::/32", "2001:db8:: 2001:db8:ffff::1", "2001:db7:ffff::1 2001:db9::"},
		{"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
		{"2001:db8::1", "2001:db8::1", "2001:db8:: 2001:db8::2"},
		{"::1/128", "::1", ":: ::2"},
		{"::ffff:10.0.0.0/104", "10.0.0.0 10.255.255.255", "11.0.0.0 ::a00:0"},
		{"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0"},
		{"::ffff:0.0.0.0/96", "0.0.0.0 255.1.2.3", "::"},
		{"unix", "unix", "0.0.0.0 ::"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct network n;

		assert_null(network_parse(cases[i].network, &n));
		for (int in = 0; in < 2; in++) {
			snprintf(text, sizeof(text), "%s", in ? cases[i].in : cases[i].out);
			for (char *rest = text, *word; (word = strsep(&rest, " "));) {
				struct net_address a = address(word);

				if (networks_have(&n, 1, &a) != in)
					fail_msg("%s in %s", word, cases[i].network);
			}
		}
	}
}

static void test_several(void **state)
{
	static const char *const texts[] = {"10.0.0.0/8", "unix", "2001:db8::/32"};
	struct network n[COUNT(texts)];
	struct net_address a = address("2001:db8::1"), b = address("192.0.2.1"), unknown = {.family = AF_UNSPEC};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_null(network_parse(texts[i], &n[i]));
	assert_true(networks_have(n, 3, &a));
	assert_false(networks_have(n, 2, &a));
	assert_false(networks_have(n, 3, &b));
	assert_false(networks_have(n, 3, &unknown));
	assert_false(networks_have(NULL, 0, &a));
}

static void test_bad_networks(void **state)
{
	static const char *const bad[] = {"",
					  "/8",
					  "10.0.0.0/",
					  "10.0.0.0/33",
					  "10.0.0.0/08",
					  "10.0.0.0/+8",
					  "10.0.0.0/-1",
					  "10.0.0.0/8 ",
					  "10.0.0.0/8/8",
					  "10.0.0.1/8",
					  "10.0.0.0/99999999999",
					  "::/129",
					  "::1/127",
					  "::1/0",
					  "unix/0",
					  "unix:",
					  "Unix",
					  "10.0.0.0/255.0.0.0",
					  "10/8",
					  "localhost",
					  "*",
					  "::ffff:10.0.0.0/95",
					  "0.0.0.1/0",
					  "255.255.255.255/31",
					  "10.0.0.0/8x"};
	struct network n = {.prefix = 99};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (!network_parse(bad[i], &n))
			fail_msg("%s is accepted", bad[i]);
		assert_int_equal(n.prefix, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	cmocka_unit_test(test_counted),
		cmocka_unit_test(test_mapped),	cmocka_unit_test(test_socket_addresses),
		cmocka_unit_test(test_names),	cmocka_unit_test(test_networks),
		cmocka_unit_test(test_several), cmocka_unit_test(test_bad_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
