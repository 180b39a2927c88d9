/*
 * json-lines: JSON on standard input becomes one line `path=value` for each scalar.
 *
 * What it is: the shell's eyes for meta_data.json and network_data.json. Keys and indexes of the
 * path are joined by dots (`networks.0.routes.1.gateway`); escapes are decoded; a line break
 * inside a string becomes a space, so that every value is one line.
 * What it is not: a validator. It stops with status 1 at the first thing that is not JSON.
 * Called by rootfs/lib/luc/identity.sh through main.c. Source: RFC 8259.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools.h"

enum { PATH_MAX_BYTES = 1024, DEPTH_MAX = 32 };

static char path[PATH_MAX_BYTES];

static void fail(const char *what)
{
	fprintf(stderr, "json-lines: %s\n", what);
	exit(1);
}

/* The next character that is not white space; it is consumed. */
static int next(void)
{
	int c;
	do
		c = getchar();
	while (c == ' ' || c == '\t' || c == '\n' || c == '\r');
	return c;
}

static void put(char **at, char *end, int byte)
{
	if (*at >= end)
		fail("a string is too long");
	*(*at)++ = (char)(byte == '\n' || byte == '\r' ? ' ' : byte);
}

static unsigned hex4(void)
{
	char digits[5] = {0};
	for (int i = 0; i < 4; i++)
		digits[i] = (char)getchar();
	return (unsigned)strtoul(digits, NULL, 16);
}

static void put_utf8(char **at, char *end, unsigned code)
{
	if (code < 0x80) {
		put(at, end, (int)code);
	} else if (code < 0x800) {
		put(at, end, (int)(0xc0 | code >> 6));
		put(at, end, (int)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		put(at, end, (int)(0xe0 | code >> 12));
		put(at, end, (int)(0x80 | (code >> 6 & 0x3f)));
		put(at, end, (int)(0x80 | (code & 0x3f)));
	} else {
		put(at, end, (int)(0xf0 | code >> 18));
		put(at, end, (int)(0x80 | (code >> 12 & 0x3f)));
		put(at, end, (int)(0x80 | (code >> 6 & 0x3f)));
		put(at, end, (int)(0x80 | (code & 0x3f)));
	}
}

static void put_escape(char **at, char *end)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	int c = getchar();
	const char *known = c == EOF ? NULL : strchr(from, c);
	if (c != 'u') {
		put(at, end, known ? to[known - from] : c);
		return;
	}
	unsigned code = hex4();
	if (code >= 0xd800 && code < 0xdc00 && getchar() == '\\' && getchar() == 'u')
		code = 0x10000 + ((code - 0xd800) << 10) + (hex4() - 0xdc00);
	put_utf8(at, end, code);
}

/* Reads a string after its opening quote into `text`. */
static void string(char *text, size_t size)
{
	char *at = text, *end = text + size - 1;
	for (int c = getchar(); c != '"'; c = getchar()) {
		if (c == EOF)
			fail("a string does not end");
		if (c == '\\')
			put_escape(&at, end);
		else
			put(&at, end, c);
	}
	*at = 0;
}

/* Lengthens the path by one part; returns the length to go back to. */
static size_t enter(const char *part)
{
	size_t before = strlen(path);
	if (before + strlen(part) + 2 > sizeof path)
		fail("a path is too long");
	snprintf(path + before, sizeof path - before, "%s%s", before ? "." : "", part);
	return before;
}

static void value(int first, int depth);

static void object(int depth)
{
	char key[256];
	int c = next();
	while (c != '}') {
		if (c != '"')
			fail("expected a key");
		string(key, sizeof key);
		if (next() != ':')
			fail("expected a colon");
		size_t before = enter(key);
		value(next(), depth);
		path[before] = 0;
		c = next();
		if (c == ',')
			c = next();
		else if (c != '}')
			fail("expected a comma or the end of an object");
	}
}

static void array(int depth)
{
	char index[16];
	int c = next();
	for (int i = 0; c != ']'; i++) {
		snprintf(index, sizeof index, "%d", i);
		size_t before = enter(index);
		value(c, depth);
		path[before] = 0;
		c = next();
		if (c == ',')
			c = next();
		else if (c != ']')
			fail("expected a comma or the end of a list");
	}
}

static void value(int first, int depth)
{
	static char text[65536];
	if (depth > DEPTH_MAX)
		fail("nested too deeply");
	if (first == '{') {
		object(depth + 1);
	} else if (first == '[') {
		array(depth + 1);
	} else if (first == '"') {
		string(text, sizeof text);
		printf("%s=%s\n", path, text);
	} else {
		char *at = text;
		int c = first;
		while (c != EOF && strchr("+-.0123456789eEtrufalsn", c)) {
			put(&at, text + sizeof text - 1, c);
			c = getchar();
		}
		ungetc(c, stdin);
		*at = 0;
		if (at == text)
			fail("expected a value");
		printf("%s=%s\n", path, text);
	}
}

int json_lines(void)
{
	value(next(), 0);
	if (next() != EOF)
		fail("something follows the value");
	return 0;
}
