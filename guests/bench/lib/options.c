/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of numbers and words on the command line. */
#include "options.h"
#include "test.h"

u32 option_element(const char **list)
{
	u32 v = 0;

	while (**list >= '0' && **list <= '9')
		v = v * 10 + (u32)(*(*list)++ - '0');
	if (**list == ',')
		(*list)++;
	return v;
}

u32 option_number(const char *key, u32 otherwise)
{
	const char *text = test_option(key);

	return text ? option_element(&text) : otherwise;
}

bool option_has(const char *key, const char *word)
{
	const char *text = test_option(key);
	size_t length = strlen(word);

	for (; text && *text && *text != ' '; text++)
		if (!strncmp(text, word, length))
			return true;
	return false;
}
