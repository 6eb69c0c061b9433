/* SPDX-License-Identifier: Apache-2.0 */
/* The escape key and the keys that may follow it. */
#include "keys.h"

enum key_action keys_step(struct keys *k, u8 byte, unsigned *number)
{
	if (!k->escaped) {
		k->escaped = byte == KEY_ESCAPE;
		return k->escaped ? KEY_WAIT : KEY_PASS;
	}
	k->escaped = false;
	switch (byte) {
	case KEY_ESCAPE:
		return KEY_PASS;
	case '?':
	case 'h':
		return KEY_HELP;
	case 'q':
		return KEY_QUIT;
	case 'm':
	case ':':
		return KEY_MONITOR;
	case 'n':
		return KEY_NEXT;
	case '1' ... '9':
		*number = (unsigned)(byte - '0');
		return KEY_SELECT;
	default:
		return KEY_UNKNOWN;
	}
}
