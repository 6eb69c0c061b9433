/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the syntax of terminal control sequences: ESC x, CSI ... x, and strings up to BEL or ST. */
#include "escape.h"

#define ESC '\x1b'
#define BEL '\x07'
#define CAN '\x18'

static enum escape after_esc(char c)
{
	switch (c) {
	case '[':
		return ESCAPE_CSI;
	case ']': /* OSC, DCS, PM, APC, SOS */
	case 'P':
	case '^':
	case '_':
	case 'X':
		return ESCAPE_STRING;
	}
	return c >= ' ' && c <= '/' ? ESCAPE_START : ESCAPE_LAST; /* an intermediate byte, or the last */
}

bool escape_step(enum escape *e, char c)
{
	if (!escape_unfinished(*e)) {
		*e = c == ESC ? ESCAPE_START : ESCAPE_NONE;
		return c == ESC;
	}
	if (c == CAN) {
		*e = ESCAPE_LAST;
		return true;
	}
	switch (*e) {
	case ESCAPE_START:
		*e = after_esc(c);
		break;
	case ESCAPE_CSI:
		if (c >= '@' && c <= '~')
			*e = ESCAPE_LAST;
		break;
	case ESCAPE_STRING:
		if (c == ESC)
			*e = ESCAPE_STRING_END;
		else if (c == BEL)
			*e = ESCAPE_LAST;
		break;
	default:
		*e = c == '\\' ? ESCAPE_LAST : ESCAPE_STRING;
		break;
	}
	return true;
}
