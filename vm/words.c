/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the syntax of command lines: COMMAND [-OPTIONS] [WORD...]. */
#include "words.h"

#define SHOWN_MAX 40 /* of a wrong word in an error */

/* Cuts the word at *s off and moves on behind it; NULL: a quote is not closed. */
static char *word_take(char **s)
{
	char *word = *s, *to = word, *from = word;
	bool quote = false;
	for (; *from && (quote || *from != ' '); from++) {
		if (*from == '"')
			quote = !quote;
		else
			*to++ = *from;
	}
	*s = *from ? from + 1 : from;
	*to = '\0';
	return quote ? NULL : word;
}

int words_split(char *line, char **words, unsigned max)
{
	int n = 0;
	for (;;) {
		while (*line == ' ')
			line++;
		if (!*line)
			return n;
		if ((unsigned)n == max)
			return ERR_TOOLONG;
		words[n] = word_take(&line);
		if (!words[n++])
			return ERR_INVAL;
	}
}

bool word_number(const char *word, u64 *number)
{
	u64 n = 0;
	if (!*word)
		return false;
	for (; *word; word++) {
		if (*word < '0' || *word > '9' || n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (u64)(*word - '0');
	}
	*number = n;
	return true;
}

const struct command *command_find(const struct command *table, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* One letter too many, too few, wrong, or two exchanged. */
static bool near(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	if (!*a && !*b)
		return true;
	if (*a && *b && a[1] == b[0] && a[0] == b[1] && strcmp(a + 2, b + 2) == 0)
		return true;
	return (*a && strcmp(a + 1, b) == 0) || (*b && strcmp(a, b + 1) == 0) ||
	       (*a && *b && strcmp(a + 1, b + 1) == 0);
}

const char *command_closest(const struct command *table, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (near(table[i].name, name))
			return table[i].name;
	return NULL;
}

static int take_options(struct call *c, const char *word, char *why, size_t why_size)
{
	const struct command *row = c->command;
	for (const char *o = word + 1; *o; o++) {
		if (*o < 'a' || *o > 'z' || !strchr(row->options, *o)) {
			snprintf(why, why_size, "%s: no option -%c: expected %s %s", row->name,
				 *o >= ' ' && *o <= '~' ? *o : '?', row->name, row->usage);
			return ERR_INVAL;
		}
		c->options |= 1u << (*o - 'a');
	}
	return 0;
}

static int take_words(struct call *c, char **words, int n, char *why, size_t why_size)
{
	const struct command *row = c->command;
	bool options = true;
	for (int i = 1; i < n; i++) {
		if (options && strcmp(words[i], "--") == 0) {
			options = false;
		} else if (options && words[i][0] == '-' && words[i][1]) {
			int rc = take_options(c, words[i], why, why_size);
			if (rc)
				return rc;
		} else {
			c->words[c->nr_words++] = words[i];
		}
	}
	if (c->nr_words >= row->min && c->nr_words <= row->max)
		return 0;
	snprintf(why, why_size, "%s: too %s words: expected %s %s", row->name,
		 c->nr_words < row->min ? "few" : "many", row->name, row->usage);
	return ERR_INVAL;
}

int call_parse(struct call *c, const struct command *table, unsigned count, char *line, char *why,
	       size_t why_size)
{
	char *words[WORDS_MAX];
	int n = words_split(line, words, WORDS_MAX);
	memset(c, 0, sizeof(*c));
	if (n == ERR_TOOLONG)
		snprintf(why, why_size, "more than %u words: \"help\" shows what there is", WORDS_MAX);
	if (n == ERR_INVAL)
		snprintf(why, why_size, "a quote is opened and never closed: expected a second \"");
	if (n <= 0)
		return n ? n : ERR_NOENT;
	c->command = command_find(table, count, words[0]);
	if (c->command)
		return take_words(c, words, n, why, why_size);
	const char *meant = command_closest(table, count, words[0]);
	snprintf(why, why_size, "no command \"%.*s\": %s%s%s", SHOWN_MAX, words[0],
		 meant ? "did you mean " : "\"help\" shows what there is", meant ? meant : "",
		 meant ? "?" : "");
	return ERR_INVAL;
}
