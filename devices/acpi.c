/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI (advanced configuration and power interface) tables that describe the guest's PC. Written in
 * one piece, from a buffer in which they are laid out at their offsets in the area. Sections: ACPI
 * Specification 6.4. */
#include "acpi.h"

#include "host.h"
#include "hpet.h"
#include "ioapic.h"
#include "pc.h"
#include "pm.h"
#include "rtc.h"

static const u8 dsdt[] = {
#include "dsdt.inc"
};
static const u8 hpet_ssdt[] = {
#include "hpet.inc"
};

#define PACKED __attribute__((packed))
#define MAX_VCPUS 255
#define OEM_ID "SOCLE "
#define OEM_TABLE_ID "SOCLEPC "
#define CREATOR_ID 0x4c434f53 /* "SOCL" */

/* ---- layouts ---- */
struct PACKED acpi_header { /* 5.2.6 */
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision, creator_id, creator_revision;
};

struct PACKED acpi_rsdp { /* 5.2.5.3 */
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt, length;
	u64 xsdt;
	u8 extended_checksum, reserved[3];
};

struct PACKED acpi_address { /* 5.2.3.2 */
	u8 space, bits, offset, access;
	u64 address;
};
#define SPACE_MEMORY 0
#define SPACE_IO 1

struct PACKED acpi_fadt { /* 5.2.9; up to and including the fields of revision 4 */
	struct acpi_header header;
	u32 facs, dsdt;
	u8 reserved0, preferred_profile;
	u16 sci_int;
	u32 smi_cmd;
	u8 acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	u32 pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	u8 pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	u16 p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 iapc_boot_arch;
	u8 reserved1;
	u32 flags;
	struct acpi_address reset_reg;
	u8 reset_value, reserved2[3];
	u64 x_facs, x_dsdt;
	struct acpi_address x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0,
	    x_gpe1;
};
_Static_assert(sizeof(struct acpi_fadt) == 244, "FADT, revision 4");

/* Table 5.10 */
#define FADT_WBINVD BIT(0)
#define FADT_PROC_C1 BIT(2)
#define FADT_SLP_BUTTON BIT(5) /* no sleep button in the fixed registers; the power button is there */
#define FADT_FIX_RTC BIT(6)    /* nor a wake-up by the clock */
#define FADT_TMR_VAL_EXT BIT(8)
#define FADT_RESET_REG_SUP BIT(10)
/* Table 5.11 */
#define BOOT_LEGACY_DEVICES BIT(0)
#define BOOT_8042 BIT(1)
#define BOOT_NO_VGA BIT(2)
#define PROFILE_DESKTOP 1
#define NO_C2 101 /* worst-case latencies that mean "not supported" */
#define NO_C3 1001

struct PACKED acpi_facs { /* 5.2.10 */
	char signature[4];
	u32 length, hardware_signature, waking_vector, global_lock, flags;
	u64 x_waking_vector;
	u8 version, reserved[31];
};
_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");

struct PACKED madt_lapic { /* 5.2.12.2 */
	u8 type, length, processor, apic_id;
	u32 flags;
};

struct PACKED acpi_madt { /* 5.2.12 */
	struct acpi_header header;
	u32 lapic, flags;
	struct PACKED {
		u8 type, length, id, reserved;
		u32 address, gsi_base;
	} ioapic;
	struct PACKED madt_override {
		u8 type, length, bus, source;
		u32 gsi;
		u16 flags;
	} override[2];
	struct PACKED {
		u8 type, length, processor;
		u16 flags;
		u8 lint;
	} nmi;
	struct madt_lapic cpus[]; /* last, because their number varies; entries may come in any order */
};
#define MADT_PCAT_COMPAT 1u /* an 8259 pair is there as well */
#define MADT_LAPIC 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_NMI 4
#define MADT_ENABLED 1u
#define MADT_HIGH_LEVEL 0x0d /* active high, level triggered */
#define MADT_ALL_CPUS 0xff

struct PACKED acpi_mcfg { /* PCI Firmware 3.2, 4.1.2 */
	struct acpi_header header;
	u64 reserved;
	u64 base;
	u16 segment;
	u8 first_bus, last_bus;
	u32 reserved2;
};
_Static_assert(sizeof(struct acpi_mcfg) == 60, "MCFG with one segment");

struct PACKED acpi_hpet { /* IA-PC HPET 1.0a, 3.2.4 */
	struct acpi_header header;
	u32 id;
	struct acpi_address base;
	u8 number;
	u16 min_tick;
	u8 protection;
};
_Static_assert(sizeof(struct acpi_hpet) == 56, "HPET");

#define POINTED_TO 5 /* FADT, MADT, MCFG, and where there is a HPET: that table, SSDT */
#define POINTED_TO_WITHOUT_HPET 3
struct acpi_area {
	struct acpi_rsdp rsdp;
	u8 pad0[64 - sizeof(struct acpi_rsdp)];
	struct acpi_facs facs; /* aligned to 64 */
	struct acpi_fadt fadt;
	u8 pad1[256 - sizeof(struct acpi_fadt)];
	struct acpi_mcfg mcfg;
	u8 pad2[64 - sizeof(struct acpi_mcfg)];
	struct PACKED {
		struct acpi_header header;
		u32 entry[POINTED_TO];
	} rsdt;
	struct PACKED {
		struct acpi_header header;
		u64 entry[POINTED_TO];
	} xsdt;
	u8 pad3[12];
	struct acpi_hpet hpet;
	u8 pad4[8];
	u8 hpet_ssdt[ALIGN_UP(sizeof(hpet_ssdt), (size_t)16)];
	u8 dsdt[ALIGN_UP(sizeof(dsdt), (size_t)16)];
	union {
		struct acpi_madt madt;
		u8 madt_bytes[sizeof(struct acpi_madt) + MAX_VCPUS * sizeof(struct madt_lapic)];
	};
};
_Static_assert(sizeof(struct acpi_area) <= ACPI_AREA_SIZE, "the tables fit their area");
_Static_assert(offsetof(struct acpi_area, facs) % 64 == 0, "5.2.10: alignment of the FACS");

#define AREA_ADDRESS(member) ((u32)(ACPI_AREA_BASE + offsetof(struct acpi_area, member)))

/* ---- contents ---- */
/* All bytes of a table add up to zero. */
static u8 checksum(const void *table, size_t length)
{
	const u8 *bytes = table;
	u8 sum = 0;

	while (length--)
		sum = (u8)(sum + *bytes++);
	return (u8)-sum;
}

/* The rest of the table must be there already: it is summed up. */
static void header_fill(void *table, const char *signature, u8 revision, size_t length)
{
	struct acpi_header *h = table;

	memcpy(h->signature, signature, sizeof(h->signature));
	h->length = (u32)length;
	h->revision = revision;
	memcpy(h->oem_id, OEM_ID, sizeof(h->oem_id));
	memcpy(h->oem_table_id, OEM_TABLE_ID, sizeof(h->oem_table_id));
	h->oem_revision = 1;
	h->creator_id = CREATOR_ID;
	h->creator_revision = 1;
	h->checksum = checksum(table, length);
}

static struct acpi_address io_address(u16 port, u8 bytes)
{
	return (struct acpi_address){
	    .space = SPACE_IO, .bits = (u8)(8 * bytes), .access = bytes == 4 ? 3 : bytes, .address = port};
}

static void fadt_fill(struct acpi_fadt *t)
{
	t->facs = AREA_ADDRESS(facs);
	t->dsdt = AREA_ADDRESS(dsdt);
	t->x_dsdt = t->dsdt;
	t->preferred_profile = PROFILE_DESKTOP;
	t->sci_int = PM_SCI_GSI;
	t->pm1a_evt = PM1_EVT;
	t->pm1_evt_len = 4;
	t->x_pm1a_evt = io_address(PM1_EVT, 4);
	t->pm1a_cnt = PM1_CNT;
	t->pm1_cnt_len = 2;
	t->x_pm1a_cnt = io_address(PM1_CNT, 2);
	t->pm_tmr = PM_TIMER;
	t->pm_tmr_len = 4;
	t->x_pm_tmr = io_address(PM_TIMER, 4);
	t->p_lvl2_lat = NO_C2;
	t->p_lvl3_lat = NO_C3;
	t->century = RTC_CENTURY;
	t->iapc_boot_arch = BOOT_LEGACY_DEVICES | BOOT_8042 | BOOT_NO_VGA;
	t->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_TMR_VAL_EXT |
		   FADT_RESET_REG_SUP;
	t->reset_reg = io_address(PM_RESET_PORT, 1);
	t->reset_value = PM_RESET_VALUE;
	header_fill(t, "FACP", 4, sizeof(*t));
}

static void madt_fill(struct acpi_madt *t, unsigned vcpus)
{
	t->lapic = PC_LAPIC_BASE;
	t->flags = MADT_PCAT_COMPAT;
	t->ioapic.type = MADT_IOAPIC;
	t->ioapic.length = sizeof(t->ioapic);
	t->ioapic.id = IOAPIC_ID;
	t->ioapic.address = PC_IOAPIC_BASE;
	/* irq.c: the timer is at pin 2; the SCI is no ISA edge. */
	t->override[0] = (struct madt_override){MADT_OVERRIDE, sizeof(t->override[0]), 0, 0, 2, 0};
	t->override[1] = (struct madt_override){MADT_OVERRIDE, sizeof(t->override[1]), 0, PM_SCI_GSI,
						PM_SCI_GSI,    MADT_HIGH_LEVEL};
	t->nmi.type = MADT_NMI;
	t->nmi.length = sizeof(t->nmi);
	t->nmi.processor = MADT_ALL_CPUS;
	t->nmi.lint = 1;
	for (unsigned i = 0; i < vcpus; i++)
		t->cpus[i] = (struct madt_lapic){MADT_LAPIC, sizeof(t->cpus[i]), (u8)i, (u8)i, MADT_ENABLED};
	header_fill(t, "APIC", 4, sizeof(*t) + vcpus * sizeof(t->cpus[0]));
}

static void mcfg_fill(struct acpi_mcfg *t)
{
	t->base = PC_ECAM_BASE;
	t->last_bus = (u8)((PC_ECAM_SIZE >> 20) - 1);
	header_fill(t, "MCFG", 1, sizeof(*t));
}

static void hpet_fill(struct acpi_hpet *t)
{
	t->id = (u32)HPET_ID;
	t->base = (struct acpi_address){.space = SPACE_MEMORY, .bits = 64, .address = PC_HPET_BASE};
	t->min_tick = HPET_MIN_TICKS;
	header_fill(t, "HPET", 1, sizeof(*t));
}

static void roots_fill(struct acpi_area *a, bool hpet)
{
	static const u32 tables[POINTED_TO] = {AREA_ADDRESS(fadt), AREA_ADDRESS(madt), AREA_ADDRESS(mcfg),
					       AREA_ADDRESS(hpet), AREA_ADDRESS(hpet_ssdt)};
	unsigned n = hpet ? POINTED_TO : POINTED_TO_WITHOUT_HPET;
	struct acpi_rsdp *r = &a->rsdp;

	for (unsigned i = 0; i < n; i++)
		a->rsdt.entry[i] = (u32)(a->xsdt.entry[i] = tables[i]);
	header_fill(&a->rsdt, "RSDT", 1, sizeof(a->rsdt.header) + n * sizeof(a->rsdt.entry[0]));
	header_fill(&a->xsdt, "XSDT", 1, sizeof(a->xsdt.header) + n * sizeof(a->xsdt.entry[0]));
	memcpy(r->signature, "RSD PTR ", sizeof(r->signature));
	memcpy(r->oem_id, OEM_ID, sizeof(r->oem_id));
	r->revision = 2;
	r->rsdt = AREA_ADDRESS(rsdt);
	r->xsdt = AREA_ADDRESS(xsdt);
	r->length = sizeof(*r);
	r->checksum = checksum(r, offsetof(struct acpi_rsdp, length)); /* what revision 0 had */
	r->extended_checksum = checksum(r, sizeof(*r));
}

int acpi_build(struct gmem *m, const struct acpi_config *cfg, gpa_t *rsdp)
{
	struct acpi_area *a;
	int e;

	if (cfg->vcpus < 1 || cfg->vcpus > MAX_VCPUS)
		return ERR_INVAL;
	a = heap_alloc(sizeof(*a));
	if (!a)
		return ERR_NOMEM;
	memcpy(a->facs.signature, "FACS", sizeof(a->facs.signature));
	a->facs.length = sizeof(a->facs);
	a->facs.version = 2;
	memcpy(a->dsdt, dsdt, sizeof(dsdt));
	fadt_fill(&a->fadt);
	madt_fill(&a->madt, cfg->vcpus);
	mcfg_fill(&a->mcfg);
	if (cfg->hpet) {
		hpet_fill(&a->hpet);
		memcpy(a->hpet_ssdt, hpet_ssdt, sizeof(hpet_ssdt));
	}
	roots_fill(a, cfg->hpet);
	*rsdp = ACPI_AREA_BASE + offsetof(struct acpi_area, rsdp);
	e = gmem_write(m, ACPI_AREA_BASE, a, sizeof(*a));
	heap_free(a);
	return e;
}
