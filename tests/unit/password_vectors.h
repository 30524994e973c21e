/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Hashes that others made: mosquitto_passwd 2.0.11, Python's hashlib for what mosquitto 2.1 writes, and argon2(1) of the
 * reference implementation. */
#ifndef SHUNT_TESTS_PASSWORD_VECTORS_H
#define SHUNT_TESTS_PASSWORD_VECTORS_H

/* Of "secret", by mosquitto_passwd. */
#define SECRET_SHA512          \
	"$6$BErLJLE1HSe4UZ1O$" \
	"uAp/1/NLxAqHcb+is1cAuddauDtVpbZjsymLO1Bo0jPqrdpkJ1SH7y67kH4XG/gYr+rLWg8ZeD2z0qpBM0fpyQ=="
#define SECRET_PBKDF2              \
	"$7$101$UH0xOIlk+gPfHcJJ$" \
	"oS00hbe89Vd5fx+pylj/Ax0hTjzxr4IUNY6ZrOU2eMTRF1ndtFcvRhCyLDrGD0j9jXnvl98jofk9MR/XGvN/pg=="
/* Of "secret", with as little work as there can be. */
#define SECRET_ARGON2ID "$argon2id$v=19$m=64,t=2,p=4$c2FsdHNhbHQ$xeeFWUzmJn6aKbbWevWGOA"

#define SALT_64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="

static const struct {
	const char *hash, *password;
	size_t len;
} vectors[] = {
	{SECRET_SHA512, "secret", 6},
	{SECRET_PBKDF2, "secret", 6},
	{SECRET_ARGON2ID, "secret", 6},
	{"$7$101$d4jnxpqV/1uTlHAd$"
	 "2TqHjE4uQlyv33AWtbQcvJivkoS6hASciJ4Z9cVLeVzuWSiaB4qLn+Tyfsl1RhUsj0N8PC0Kx43AuzinFeJYtQ==",
	 " :$#= ", 6},
	{"$7$101$QqIhm1d+IIlq1qvK$"
	 "2Zhz1B+qY03BKvA560jPSdeIIbBquVUyRD8OSI7L1Me/3Ro1ZTludgih55bTsmaSzhZ1h4L+Nmgm41pVCZ5y2g==",
	 "\xe2\x82\xac uro", 7},
	{"$6$GdK0LnO8lGcfXGmW$"
	 "cNwkh4qdiSYEbVDSbWREprDcZU4GTxGRcU5fK5RshbYwtCxeKS1L9YwR1VxjGkKeBZ6Nih4jnSPlKXHscoYjWg==",
	 "\xe2\x82\xac uro", 7},
	{"$7$5000$1gToChwo91ii73kg$"
	 "wwFcrhUt1nRgsAIWjy1HVboBZUXa+OPVxYfnBmUxBu0K8Q8sLaPqVhy1IvMSMhwcLLxfUIKeJQYXzeryXrGyYg==",
	 "secret", 6},
	{"$6$" SALT_64 "$wEYf8F4/yHDmlCt3YmMXwFi//Ux0IOce8NucN+r/9QAuqoVaYz7SU9131YSsyqLHn9NUpM/F4yTaDANhOFpYTQ==",
	 "secret", 6},
	{"$7$1000$" SALT_64 "$j5aX3DstWRgO5cjjfvKvsf7Z/KK812T4wGDMih+DCHQg8P7++fmj4sZcMp1smkEafZL0QZ29tE5ezahL/nyffw==",
	 "secret", 6},
	{"$7$1$AA==$LDFKtOWxgTnt2MgyOQwrlmuRxSzCgNpoj2Xx4XrgPbdL+Od0fFtwD3ILJaFov9fYuQv/+KS3Jn2Cq7tYfdbj1A==", "a\0b",
	 3},
	{"$6$AA==$uCRNAomB1pOve0Vq+O+kytY9KC4Z/xSULCRuUNk1HSJwSoAqccNYC2Nw3kzrKTwySoQjNCVX1OXDhDjw42kQ7g==", "", 0},
	{"$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$CKGe5/bX9YnCq2rxjW5yQXKxn31v1GKzhDCrMc6r6vA", "password",
	 8},
	{"$argon2id$v=19$m=4096,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$"
	 "zt7AOVxuJ4TM1aYK/QkMTCos11ycejSX9CfdQC4xV4A0PJYGAEMtecotmB9Aenkn8J/wK6Q6GRdNsQ/KL0Z+kQ",
	 "password", 8},
	{"$argon2id$v=19$m=47104,t=1,p=1$"
	 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg$"
	 "0nGWzMjUf6oZ8fu++KVWZ307KBwF+7muwVYQDW8cuHnSmGdMHDscax04wks4UJxdtWjhb6cn4MM+XUREOEBN/Q",
	 "secret", 6},
};

#endif
