/* SPDX-License-Identifier: Apache-2.0 */
/* Owns formatted output: a C99 subset without floating point, wide characters and %n. */
#include "lib.h"

struct out {
	char *buf;
	size_t size, len; /* len counts what did not fit, too */
};

struct spec {
	bool left, zero, plus, space, alt;
	int width, precision; /* precision -1: none given */
	int length;           /* size of an integer argument in bytes */
};

static void out_char(struct out *o, char c)
{
	if (o->len < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void out_fill(struct out *o, char c, int n)
{
	while (n-- > 0)
		out_char(o, c);
}

static void out_padded(struct out *o, const struct spec *s, const char *text, int n)
{
	if (!s->left)
		out_fill(o, ' ', s->width - n);
	for (int i = 0; i < n; i++)
		out_char(o, text[i]);
	if (s->left)
		out_fill(o, ' ', s->width - n);
}

static void out_number(struct out *o, const struct spec *s, u64 v, unsigned base, bool upper,
		       const char *prefix)
{
	const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char digits[20];
	int n = 0, np = (int)strlen(prefix), zeros, pad;

	for (; v; v /= base)
		digits[n++] = alphabet[v % base];
	zeros = (s->precision < 0 ? 1 : s->precision) - n;
	if (s->precision < 0 && s->zero && !s->left)
		zeros = MAX(zeros, s->width - np - n);
	zeros = MAX(zeros, 0);
	pad = s->width - np - zeros - n;
	if (!s->left)
		out_fill(o, ' ', pad);
	while (*prefix)
		out_char(o, *prefix++);
	out_fill(o, '0', zeros);
	while (n)
		out_char(o, digits[--n]);
	if (s->left)
		out_fill(o, ' ', pad);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '+')
			s->plus = true;
		else if (*f == ' ')
			s->space = true;
		else if (*f == '#')
			s->alt = true;
		else
			return f;
	}
}

static const char *parse_count(const char *f, int *n)
{
	*n = 0;
	for (; *f >= '0' && *f <= '9'; f++)
		if (*n < 100000)
			*n = *n * 10 + (*f - '0');
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	s->length = sizeof(int);
	if (*f == 'z') {
		s->length = sizeof(size_t);
		return f + 1;
	}
	if (*f == 'l') {
		s->length = sizeof(long);
		return f[1] == 'l' ? f + 2 : f + 1;
	}
	if (*f == 'h') {
		s->length = f[1] == 'h' ? 1 : 2;
		return f[1] == 'h' ? f + 2 : f + 1;
	}
	return f;
}

/* va_list as a structure member can be passed on by address on every ABI. */
struct args {
	va_list ap;
};

static void parse_width(const char **f, struct spec *s, struct args *a)
{
	if (**f == '*') {
		s->width = va_arg(a->ap, int);
		if (s->width < 0) {
			s->left = true;
			s->width = -s->width;
		}
		++*f;
	} else {
		*f = parse_count(*f, &s->width);
	}
	s->precision = -1;
	if (**f != '.')
		return;
	if (*++*f == '*') {
		s->precision = va_arg(a->ap, int); /* negative: as if omitted */
		++*f;
	} else {
		*f = parse_count(*f, &s->precision);
	}
}

static void convert_signed(struct out *o, const struct spec *s, struct args *a)
{
	i64 v = s->length == 8 ? va_arg(a->ap, i64) : va_arg(a->ap, int);

	if (s->length == 1)
		v = (i8)v;
	else if (s->length == 2)
		v = (i16)v;
	out_number(o, s, v < 0 ? -(u64)v : (u64)v, 10, false,
		   v < 0      ? "-"
		   : s->plus  ? "+"
		   : s->space ? " "
			      : "");
}

static void convert_unsigned(struct out *o, const struct spec *s, struct args *a, char kind)
{
	u64 v = s->length == 8 ? va_arg(a->ap, u64) : va_arg(a->ap, unsigned);
	const char *prefix = "";

	if (s->length == 1)
		v = (u8)v;
	else if (s->length == 2)
		v = (u16)v;
	if (s->alt && v && kind != 'u')
		prefix = kind == 'X' ? "0X" : "0x";
	out_number(o, s, v, kind == 'u' ? 10 : 16, kind == 'X', prefix);
}

static void convert_string(struct out *o, const struct spec *s, const char *text)
{
	if (!text)
		text = "(null)";
	out_padded(o, s, text, (int)strnlen(text, s->precision < 0 ? 100000 : (size_t)s->precision));
}

/* One conversion; f points behind its '%'. Returns the character behind it. */
static const char *convert(struct out *o, const char *f, struct args *a)
{
	struct spec s = {0};
	const char *start = f;
	char c;

	f = parse_flags(f, &s);
	parse_width(&f, &s, a);
	f = parse_length(f, &s);
	switch (*f) {
	case 'd':
	case 'i':
		convert_signed(o, &s, a);
		return f + 1;
	case 'u':
	case 'x':
	case 'X':
		convert_unsigned(o, &s, a, *f);
		return f + 1;
	case 'p':
		out_number(o, &s, (u64)(uintptr_t)va_arg(a->ap, void *), 16, false, "0x");
		return f + 1;
	case 's':
		convert_string(o, &s, va_arg(a->ap, const char *));
		return f + 1;
	case 'c':
		c = (char)va_arg(a->ap, int);
		out_padded(o, &s, &c, 1);
		return f + 1;
	case '%':
		out_char(o, '%');
		return f + 1;
	}
	out_char(o, '%'); /* unknown: show it as it was written */
	return start;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = {.buf = buf, .size = size};
	struct args a;

	va_copy(a.ap, ap);
	while (*fmt) {
		if (*fmt == '%')
			fmt = convert(&o, fmt + 1, &a);
		else
			out_char(&o, *fmt++);
	}
	va_end(a.ap);
	if (size)
		buf[MIN(o.len, size - 1)] = '\0';
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
