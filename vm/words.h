/* SPDX-License-Identifier: Apache-2.0 */
/* A command line taken apart: words, options, and which command. Pure logic. */
#pragma once

#include "lib.h"

#define WORDS_MAX 12

/* What a word of a command is, for completion and for finding what it names. */
enum word_kind { WORD_TEXT, WORD_VM, WORD_CONFIG, WORD_COMMAND, WORD_NUMBER, WORD_TENANT };

struct call;

struct command {
	const char *name;
	const char *options; /* letters that may follow a '-' */
	unsigned min, max;   /* words beside options */
	enum word_kind kinds[2];
	void (*run)(struct call *c);
	const char *usage; /* behind the name */
	const char *help;  /* one line */
	const char *example;
};

/* A command line that was understood so far. */
struct call {
	const struct command *command;
	u32 options; /* a bit for each letter: see call_option() */
	unsigned nr_words;
	char *words[WORDS_MAX];
	struct vm *vm; /* what the first word names, where that is a WORD_VM */
};

static inline bool call_option(const struct call *c, char letter)
{
	return c->options & 1u << (letter - 'a');
}

/* Cuts line into words, in place: blanks separate, "..." keeps them. The number of words, or ERR_TOOLONG
 * (more than max), or ERR_INVAL (a quote is not closed). */
int words_split(char *line, char **words, unsigned max);
/* The row that is called so, NULL: none. */
const struct command *command_find(const struct command *table, unsigned count, const char *name);
/* The name that was probably meant; NULL: none is near. */
const char *command_closest(const struct command *table, unsigned count, const char *name);
/* Fills c from line, which it changes. 0, or negative with one line in why that says what was expected;
 * ERR_NOENT: the line is empty. Words that name VMs are not looked up. */
int call_parse(struct call *c, const struct command *table, unsigned count, char *line, char *why,
	       size_t why_size);
/* A decimal number of the whole word. */
bool word_number(const char *word, u64 *number);
