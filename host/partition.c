/* SPDX-License-Identifier: Apache-2.0 */
#include "partition.h"

/* Of a master boot record, and of each record in the extended partition. */
#define MBR_DISK_SIGNATURE 440
#define MBR_ENTRIES 446
#define MBR_ENTRY_BYTES 16
#define MBR_PRIMARY 4
#define MBR_MAGIC 510 /* 55 aa */
#define TYPE_NONE 0x00
#define TYPE_GPT 0xee
#define LOGICAL_MAX 64 /* records that are followed */

#define GPT_HEADER 1 /* its sector */
#define GPT_HEADER_MIN 92
#define GPT_ENTRY_MIN 128
#define GPT_ENTRIES_MAX 1024
#define GUID_BYTES 16

static u32 get32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static u64 get64(const u8 *p)
{
	return get32(p) | (u64)get32(p + 4) << 32;
}

/* UEFI 2.10, 2.2: the CRC of Ethernet. */
static u32 crc32(const u8 *p, u32 n)
{
	u32 crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static int extent(const struct partition_disk *d, u64 first, u64 count, struct disk_extent *e)
{
	if (!count || first >= d->sectors || count > d->sectors - first)
		return ERR_INVAL;
	*e = (struct disk_extent){first, count};
	return 0;
}

/* ---- GUID partition table ---- */

struct gpt {
	u64 entries; /* sector */
	u32 count, bytes;
};

static int gpt_read(const struct partition_disk *d, u8 *buf, struct gpt *g)
{
	u32 bytes, crc;

	if (!d->read(d->opaque, GPT_HEADER, buf))
		return ERR_FAULT;
	bytes = get32(buf + 12);
	if (memcmp(buf, "EFI PART", 8) != 0 || bytes < GPT_HEADER_MIN || bytes > BLOCK_SECTOR)
		return ERR_INVAL;
	crc = get32(buf + 16);
	memset(buf + 16, 0, 4);
	*g = (struct gpt){get64(buf + 72), get32(buf + 80), get32(buf + 84)};
	/* An entry that lies in one sector is the only kind there is. */
	if (crc32(buf, bytes) != crc || g->entries <= GPT_HEADER || g->bytes < GPT_ENTRY_MIN ||
	    g->bytes > BLOCK_SECTOR || BLOCK_SECTOR % g->bytes || g->count > GPT_ENTRIES_MAX)
		return ERR_INVAL;
	return 0;
}

/* Number from 0; the entry in *entry, which points into buf. Its sector is read where it is not there. */
static int gpt_entry(const struct partition_disk *d, const struct gpt *g, u32 number, u8 *buf,
		     const u8 **entry, u64 *there)
{
	u32 of_sector = BLOCK_SECTOR / g->bytes;
	u64 sector = g->entries + number / of_sector;

	if (sector < g->entries || sector >= d->sectors)
		return ERR_INVAL;
	if (sector != *there && !d->read(d->opaque, sector, buf))
		return ERR_FAULT;
	*there = sector;
	*entry = buf + number % of_sector * g->bytes;
	return 0;
}

static int gpt_find(const struct partition_disk *d, unsigned number, u8 *buf, struct disk_extent *e)
{
	static const u8 unused[GUID_BYTES];
	const u8 *entry;
	struct gpt g;
	u64 there = GPT_HEADER, first, last;
	int rc = gpt_read(d, buf, &g);

	if (rc)
		return rc;
	if (number > g.count)
		return ERR_NOENT;
	rc = gpt_entry(d, &g, number - 1, buf, &entry, &there);
	if (rc)
		return rc;
	if (memcmp(entry, unused, GUID_BYTES) == 0)
		return ERR_NOENT;
	first = get64(entry + 32);
	last = get64(entry + 40);
	return last >= first && last < d->sectors ? extent(d, first, last - first + 1, e) : ERR_INVAL;
}

static bool gpt_has(const struct partition_disk *d, const u8 *guid, u8 *buf)
{
	const u8 *entry;
	struct gpt g;
	u64 there = GPT_HEADER;

	if (gpt_read(d, buf, &g))
		return false;
	for (u32 i = 0; i < g.count && gpt_entry(d, &g, i, buf, &entry, &there) == 0; i++)
		if (memcmp(entry + GUID_BYTES, guid, GUID_BYTES) == 0)
			return true;
	return false;
}

/* ---- master boot record ---- */

struct mbr_entry {
	u8 type;
	u64 first, count;
};

static struct mbr_entry mbr_entry(const u8 *buf, unsigned n)
{
	const u8 *p = buf + MBR_ENTRIES + n * MBR_ENTRY_BYTES;

	return (struct mbr_entry){p[4], get32(p + 8), get32(p + 12)};
}

static bool is_extended(u8 type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool has_magic(const u8 *buf)
{
	return buf[MBR_MAGIC] == 0x55 && buf[MBR_MAGIC + 1] == 0xaa;
}

/* Each record has one logical partition, from its own sector on, and where the next record is, from the
 * extended partition's first sector on. */
static int logical_find(const struct partition_disk *d, u64 extended, unsigned number, u8 *buf,
			struct disk_extent *e)
{
	u64 at = extended;

	for (unsigned hops = 0; hops < LOGICAL_MAX; hops++) {
		struct mbr_entry here, next;

		if (at >= d->sectors)
			return ERR_INVAL;
		if (!d->read(d->opaque, at, buf))
			return ERR_FAULT;
		if (!has_magic(buf))
			return ERR_INVAL;
		here = mbr_entry(buf, 0);
		next = mbr_entry(buf, 1);
		if (here.type != TYPE_NONE && number-- == MBR_PRIMARY + 1)
			return extent(d, at + here.first, here.count, e);
		if (!is_extended(next.type))
			return ERR_NOENT;
		at = extended + next.first;
	}
	return ERR_INVAL;
}

static int mbr_find(const struct partition_disk *d, unsigned number, u8 *buf, struct disk_extent *e)
{
	struct mbr_entry m;

	if (number <= MBR_PRIMARY) {
		m = mbr_entry(buf, number - 1);
		return m.type == TYPE_NONE ? ERR_NOENT : extent(d, m.first, m.count, e);
	}
	for (unsigned i = 0; i < MBR_PRIMARY; i++) {
		m = mbr_entry(buf, i);
		if (is_extended(m.type))
			return logical_find(d, m.first, number, buf, e);
	}
	return ERR_NOENT;
}

int partition_find(const struct partition_disk *d, unsigned number, struct disk_extent *e)
{
	u8 buf[BLOCK_SECTOR];

	if (!number)
		return ERR_NOENT;
	if (!d->read(d->opaque, 0, buf))
		return ERR_FAULT;
	if (!has_magic(buf))
		return ERR_INVAL;
	if (mbr_entry(buf, 0).type == TYPE_GPT)
		return gpt_find(d, number, buf, e);
	return mbr_find(d, number, buf, e);
}

bool partition_matches(const struct partition_disk *d, const struct boot_volume *v)
{
	u8 buf[BLOCK_SECTOR];

	switch (v->signature_type) {
	case BOOT_SIGNATURE_GUID:
		return gpt_has(d, v->signature, buf);
	case BOOT_SIGNATURE_MBR:
		return d->read(d->opaque, 0, buf) && has_magic(buf) &&
		       memcmp(buf + MBR_DISK_SIGNATURE, v->signature, 4) == 0;
	default:
		return false;
	}
}
