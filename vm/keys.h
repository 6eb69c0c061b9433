/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's escape key: tells what is meant for Socle from what is meant for a guest. */
#pragma once

#include "lib.h"

#define KEY_ESCAPE 0x1d /* Ctrl-] */

enum key_action {
	KEY_PASS, /* the byte goes to the guest */
	KEY_WAIT, /* the escape key: the next byte decides */
	KEY_HELP,
	KEY_QUIT,
	KEY_MONITOR,
	KEY_NEXT,   /* console of the next guest */
	KEY_SELECT, /* console of guest `number` */
	KEY_UNKNOWN,
};

struct keys {
	bool escaped;
};

/* number is set with KEY_SELECT: 1 to 9. */
enum key_action keys_step(struct keys *k, u8 byte, unsigned *number);
