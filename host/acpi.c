/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading of ACPI tables: MADT (interrupt controllers) and FADT (fixed hardware), and of the
 * DSDT no more than the package \_S5. Every length comes from the firmware and is checked. */
#include "acpi.h"

#define SDT_HEADER 36u
#define MAX_TABLE (1u << 20)
#define MAX_TABLES 128u

struct table {
	const u8 *data; /* NULL: none */
	u32 length;
};

typedef const void *(*map_fn)(hpa_t pa, size_t size);

static u64 get(const u8 *p, unsigned bytes)
{
	u64 v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

/* A field of a table; 0 where the table is too short for it. */
static u64 field(const struct table *t, u32 offset, unsigned bytes)
{
	return offset + bytes <= t->length ? get(t->data + offset, bytes) : 0;
}

static bool sum_is_zero(const u8 *p, size_t n)
{
	u8 sum = 0;

	while (n--)
		sum = (u8)(sum + *p++);
	return !sum;
}

static struct table table_at(hpa_t pa, map_fn map)
{
	struct table t = {NULL, 0};
	const u8 *head = pa ? map(pa, SDT_HEADER) : NULL;
	u32 length = head ? (u32)get(head + 4, 4) : 0;
	const u8 *all;

	if (length < SDT_HEADER || length > MAX_TABLE)
		return t;
	all = map(pa, length);
	if (all && sum_is_zero(all, length))
		t = (struct table){all, length};
	return t;
}

static bool has_signature(const struct table *t, const char *signature)
{
	return t->data && !memcmp(t->data, signature, 4);
}

/* ---- RSDP, RSDT, XSDT (5.2.5 to 5.2.8) ---- */

struct root {
	struct table t;
	unsigned entry; /* bytes */
};

static struct root root_find(hpa_t rsdp, map_fn map)
{
	struct root r = {{NULL, 0}, 8};
	const u8 *p = rsdp ? map(rsdp, 20) : NULL;

	if (!p || memcmp(p, "RSD PTR ", 8) || !sum_is_zero(p, 20))
		return r;
	if (p[15] >= 2) {
		const u8 *p2 = map(rsdp, 36);

		if (p2 && sum_is_zero(p2, 36))
			r.t = table_at(get(p2 + 24, 8), map);
	}
	if (!has_signature(&r.t, "XSDT")) {
		r.t = table_at(get(p + 16, 4), map);
		r.entry = 4;
	}
	if (!has_signature(&r.t, "XSDT") && !has_signature(&r.t, "RSDT"))
		r.t.data = NULL;
	return r;
}

static struct table table_find(const struct root *r, const char *signature, map_fn map)
{
	struct table t = {NULL, 0};
	u32 n = r->t.data ? (r->t.length - SDT_HEADER) / r->entry : 0;

	for (u32 i = 0; i < MIN(n, MAX_TABLES); i++) {
		t = table_at(get(r->t.data + SDT_HEADER + i * r->entry, r->entry), map);
		if (has_signature(&t, signature))
			return t;
	}
	return (struct table){NULL, 0};
}

/* ---- MADT (5.2.12) ---- */

static void madt_override(struct acpi_info *info, const u8 *e)
{
	u32 flags = (u32)get(e + 8, 2);

	if (e[2] != 0 || e[3] >= ACPI_NR_ISA)
		return;
	info->isa[e[3]] = (struct acpi_isa){
	    .gsi = (u32)get(e + 4, 4),
	    .active_low = (flags & 3) == 3, /* 0: as the bus has it, which is active high */
	    .level = (flags >> 2 & 3) == 3,
	};
}

static void madt_parse(struct acpi_info *info, const struct table *t)
{
	u32 at = SDT_HEADER + 8;
	u32 found = 0;

	while (t->data && at + 2 <= t->length) {
		const u8 *e = t->data + at;

		if (e[1] < 2 || e[1] > t->length - at)
			break;
		if (e[0] == 1 && e[1] >= 12 && found < ACPI_MAX_IOAPICS)
			info->ioapics[found++] = (struct acpi_ioapic){(u32)get(e + 4, 4), (u32)get(e + 8, 4)};
		if (e[0] == 2 && e[1] >= 10)
			madt_override(info, e);
		at += e[1];
	}
	if (found)
		info->nr_ioapics = found;
}

/* ---- FADT (5.2.9) and \_S5 (7.4.2) ---- */

/* A small integer of AML (20.2.3); -1 when it is another object. */
static int aml_byte(const u8 **p, const u8 *end)
{
	const u8 *q = *p;

	if (q < end && q[0] <= 1) { /* ZeroOp, OneOp */
		*p = q + 1;
		return q[0];
	}
	if (q + 1 < end && q[0] == 0x0a) { /* BytePrefix */
		*p = q + 2;
		return q[1];
	}
	return -1;
}

/* Name (_S5_, Package (n) {a, b, ...}): 08 [5c] "_S5_" 12 PkgLength n a b. An interpreter is not needed
 * for the one form in which firmware writes this. */
static bool s5_at(struct acpi_info *info, const u8 *name, const u8 *start, const u8 *end)
{
	const u8 *p = name + 4;
	int a, b;

	if (!(name - start >= 1 && name[-1] == 0x08) &&
	    !(name - start >= 2 && name[-1] == '\\' && name[-2] == 0x08))
		return false;
	if (end - p < 3 || *p++ != 0x12)
		return false;
	p += 1 + (*p >> 6); /* PkgLength: its lead byte says how many follow */
	if (p >= end || *p++ < 2)
		return false;
	a = aml_byte(&p, end);
	b = aml_byte(&p, end);
	if (a < 0 || a > 7)
		return false;
	info->s5_pm1a = (u8)a;
	info->s5_pm1b = (u8)(b < 0 || b > 7 ? 0 : b);
	info->have_s5 = true;
	return true;
}

static void dsdt_parse(struct acpi_info *info, const struct table *t)
{
	if (!has_signature(t, "DSDT"))
		return;
	for (u32 i = SDT_HEADER; i + 4 <= t->length; i++)
		if (!memcmp(t->data + i, "_S5_", 4) &&
		    s5_at(info, t->data + i, t->data + SDT_HEADER, t->data + t->length))
			return;
}

/* A port of the FADT: the extended block (a generic address, 5.2.3.2) before the old one. */
static u16 fadt_port(const struct table *t, u32 old, u32 extended)
{
	u64 port = field(t, extended + 4, 8);

	if (field(t, extended, 1) != 1 || !port)
		port = field(t, old, 4);
	return port <= UINT16_MAX ? (u16)port : 0;
}

static void fadt_parse(struct acpi_info *info, const struct table *t, map_fn map)
{
	u64 dsdt = field(t, 140, 8);
	struct table d;

	if (!t->data)
		return;
	info->smi_command = (u16)field(t, 48, 4);
	info->acpi_enable = (u8)field(t, 52, 1);
	info->century = (u8)field(t, 108, 1);
	info->pm1a_control = fadt_port(t, 64, 172);
	info->pm1b_control = fadt_port(t, 68, 184);
	if (field(t, 91, 1) == 4) /* length of the timer block */
		info->pm_timer = fadt_port(t, 76, 208);
	if (field(t, 112, 4) & BIT(10)) /* RESET_REG_SUP */
		info->reset =
		    (struct acpi_reset){field(t, 120, 8), (u8)field(t, 116, 1), (u8)field(t, 128, 1)};
	d = table_at(dsdt ? dsdt : field(t, 40, 4), map);
	dsdt_parse(info, &d);
}

void acpi_parse(struct acpi_info *info, hpa_t rsdp, const void *(*map)(hpa_t pa, size_t size))
{
	struct root r = root_find(rsdp, map);
	struct table madt = table_find(&r, "APIC", map), fadt = table_find(&r, "FACP", map);

	memset(info, 0, sizeof(*info));
	info->nr_ioapics = 1;
	info->ioapics[0].address = ACPI_IOAPIC_DEFAULT;
	for (u32 i = 0; i < ACPI_NR_ISA; i++)
		info->isa[i].gsi = i;
	if (!r.t.data)
		info->isa[0].gsi = 2; /* every PC has its PIT there (MP specification, 5.1) */
	madt_parse(info, &madt);
	fadt_parse(info, &fadt, map);
}
