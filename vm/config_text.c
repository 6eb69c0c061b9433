/* SPDX-License-Identifier: Apache-2.0 */
/* Spans: pieces of the configuration text, compared, trimmed and shown without copying them. */
#include "config_internal.h"

bool char_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span v)
{
	while (v.n && char_is_blank(v.s[0])) {
		v.s++;
		v.n--;
	}
	while (v.n && char_is_blank(v.s[v.n - 1]))
		v.n--;
	return v;
}

struct span span_take(struct span *v, size_t n)
{
	struct span head = {v->s, n};
	v->s += n;
	v->n -= n;
	return head;
}

struct span span_take_part(struct span *rest)
{
	const char *comma = rest->n ? memchr(rest->s, ',', rest->n) : NULL;
	struct span part = span_take(rest, comma ? (size_t)(comma - rest->s) : rest->n);

	if (comma)
		span_take(rest, 1);
	return span_trim(part);
}

bool span_equal(struct span v, const char *word)
{
	return strlen(word) == v.n && memcmp(v.s, word, v.n) == 0;
}

static char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool span_equal_nocase(struct span v, const char *word)
{
	if (strlen(word) != v.n)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (char_lower(v.s[i]) != char_lower(word[i]))
			return false;
	return true;
}

void span_show(struct span v, char *buf, size_t size)
{
	size_t n = MIN(v.n, size - 1);
	for (size_t i = 0; i < n; i++)
		buf[i] = v.s[i] >= ' ' && v.s[i] <= '~' ? v.s[i] : '?';
	buf[n] = '\0';
}

struct span span_cut_comment(struct span v)
{
	char quote = '\0';
	bool after_blank = true;
	for (size_t i = 0; i < v.n; i++) {
		char c = v.s[i];
		if (quote)
			quote = c == quote ? '\0' : quote;
		else if ((c == '"' || c == '\'') && after_blank)
			quote = c;
		else if ((c == '#' || c == ';') && after_blank)
			return span_trim((struct span){v.s, i});
		after_blank = char_is_blank(c);
	}
	return span_trim(v);
}

bool span_unquote(struct span *v)
{
	if (!v->n || (v->s[0] != '"' && v->s[0] != '\''))
		return true;
	struct span inner = {v->s + 1, v->n - 1};
	const char *end = inner.n ? memchr(inner.s, v->s[0], inner.n) : NULL;
	if (!end)
		return false;
	/* A quoted word followed by more text is no quoted value: leave it as it stands. */
	if (end == v->s + v->n - 1) {
		inner.n--;
		*v = inner;
	}
	return true;
}

#define EDIT_MAX 24

/* Number of single-character insertions, removals and changes between a and b, case ignored. */
static unsigned edit_distance(struct span a, const char *b)
{
	unsigned row[EDIT_MAX + 1];
	unsigned nb = (unsigned)strlen(b);
	if (a.n > EDIT_MAX || nb > EDIT_MAX)
		return EDIT_MAX;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned change = diagonal + (char_lower(a.s[i - 1]) != char_lower(b[j - 1]));
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[nb];
}

const char *span_closest(struct span v, const char *const *names, unsigned count)
{
	const char *best = NULL;
	unsigned best_distance = (unsigned)v.n / 3 + 2; /* about one typing error in three letters */
	for (unsigned i = 0; i < count; i++) {
		unsigned distance = edit_distance(v, names[i]);
		if (distance < best_distance && distance < strlen(names[i])) {
			best = names[i];
			best_distance = distance;
		}
	}
	return best;
}
