/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts from processor to processor: every destination and delivery mode. SDM vol. 3, 11.6. */
#include "smp.h"

#define ICR_LOGICAL 0x800U
#define ICR_LOWEST 0x100U
#define ICR_SMI 0x200U
#define ICR_SELF 0x40000U
#define ICR_ALL 0x80000U
#define ICR_OTHERS 0xc0000U
#define SHORT_WAIT 100000U

/* After one command, who has counted: bit n for processor n. */
static void expect_receivers(u32 dest, u32 command, u32 want, const char *what)
{
	u64 start;
	u32 got = 0;

	counts_clear();
	apic_send(dest, command | APIC_ICR_ASSERT | VEC_COUNT);
	irq_enable();
	for (start = rdtsc(); got != want && rdtsc() - start < PATIENCE;) {
		got = 0;
		for (u32 id = 0; id < CPUS; id++)
			got |= (u32)(cpus[id].counted[VEC_COUNT] != 0) << id;
	}
	for (start = rdtsc(); rdtsc() - start < SHORT_WAIT;)
		cpu_pause(); /* one too many would come now */
	irq_disable();
	for (u32 id = 0; id < CPUS; id++)
		expect_eq(cpus[id].counted[VEC_COUNT], want >> id & 1, what);
}

void destinations_test(void)
{
	u32 all = apic_is_x2() ? ~0U : 0xff;

	for (u32 id = 0; id < CPUS; id++)
		expect_receivers(id, 0, 1U << id, "physical");
	expect_receivers(all, 0, 0xf, "physical, broadcast");
	expect_receivers(0, ICR_SELF, 1, "shorthand self");
	expect_receivers(0, ICR_ALL, 0xf, "shorthand all");
	expect_receivers(0, ICR_OTHERS, 0xe, "shorthand all but self");
	for (u32 set = 1; set <= 0xf; set++)
		expect_receivers(set, ICR_LOGICAL, set, "logical, flat or cluster 0");
	if (apic_is_x2()) {
		expect_receivers(0x1000f, ICR_LOGICAL, 0, "logical, another cluster");
	} else {
		expect_receivers(0xff, ICR_LOGICAL, 0xf, "logical, broadcast");
		expect_receivers(0xf0, ICR_LOGICAL, 0, "logical, nobody's bits");
	}
}

static void cluster(u32 me)
{
	apic_write(APIC_DFR, 0x0fffffff);
	apic_write(APIC_LDR, (me / 2) << 28 | 1U << (24 + me % 2));
}

static void flat(u32 me)
{
	apic_write(APIC_DFR, ~0U);
	apic_write(APIC_LDR, 1U << (24 + me));
}

/* Destinations where nobody is, and what is no command at all: no effect, and nobody suffers. */
void nobody_test(void)
{
	static const u32 ids[] = {4, 5, 0x10, 0x7f, 0xfe};

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		expect_receivers(ids[i], 0, 0, "an id that is nobody's");
		apic_send(ids[i], APIC_ICR_ASSERT | APIC_ICR_NMI);
		apic_send(ids[i], APIC_ICR_ASSERT | 0x500);
		apic_send(ids[i], APIC_ICR_ASSERT | 0x608);
	}
	apic_send(1, APIC_ICR_ASSERT | ICR_SMI);
	apic_send(1, APIC_ICR_ASSERT | 0x300); /* reserved delivery mode */
	apic_send(1, APIC_ICR_ASSERT | 0x700); /* ExtINT is not to be sent */
	expect_receivers(1, 0, 2, "afterwards");
	if (apic_is_x2())
		return;
	cpus_give(cluster);
	cluster(0);
	if (!cpus_wait())
		return;
	expect_receivers(0x03, ICR_LOGICAL, 0x3, "cluster 0");
	expect_receivers(0x12, ICR_LOGICAL, 0x8, "cluster 1, one of two");
	expect_receivers(0x23, ICR_LOGICAL, 0, "a cluster that is not there");
	flat(0);
	cpus_give(flat);
	cpus_wait();
}

/* One of those named takes it, whoever. */
void lowest_test(void)
{
	counts_clear();
	for (unsigned i = 0; i < 100; i++) {
		u64 total = 0, start = rdtsc();

		apic_send(0xe, ICR_LOGICAL | ICR_LOWEST | APIC_ICR_ASSERT | VEC_LOW);
		while (total != i + 1 && rdtsc() - start < PATIENCE) {
			total = 0;
			for (u32 id = 0; id < CPUS; id++)
				total += cpus[id].counted[VEC_LOW];
		}
		if (!expect_eq(total, i + 1, "interrupts with lowest priority"))
			return;
	}
	expect_eq(cpus[0].counted[VEC_LOW], 0, "to who was not named");
}

void nmi_test(void)
{
	u64 start = rdtsc();

	for (u32 id = 0; id < CPUS; id++)
		cpus[id].nmis = 0;
	apic_send(0, ICR_OTHERS | APIC_ICR_ASSERT | APIC_ICR_NMI);
	while (!(cpus[1].nmis && cpus[2].nmis && cpus[3].nmis) && rdtsc() - start < PATIENCE)
		cpu_pause();
	for (u32 id = 0; id < CPUS; id++)
		expect_eq(cpus[id].nmis, id != 0, "NMI to all but self");
}
