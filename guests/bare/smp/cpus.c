/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the other processors and gives them work. */
#include "smp.h"

#define STARTUP_PAGE (0x8000U >> 12)
#define ICR_INIT 0x500U
#define ICR_STARTUP 0x600U

extern char low_start[], low_end[], low_load[], start_code[];
void start_main(u32 id);

struct cpu_state cpus[CPUS];
static struct table_register idtr;

u32 me_id(void)
{
	return cpuid(1, 0).ebx >> 24;
}

static void on_vector(struct regs *r)
{
	cpus[me_id()].counted[r->vector & 0xff]++;
	apic_eoi();
}

static void on_nmi(struct regs *r)
{
	(void)r;
	cpus[me_id()].nmis++;
}

/* The loop of every processor but the first: in HLT, or at work. */
void start_main(u32 id)
{
	struct cpu_state *c = &cpus[id];

	write_idtr(idtr);
	if (apic_is_x2())
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2 | APIC_BASE_ENABLE);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_VEC_SPURIOUS);
	if (!apic_is_x2()) {
		apic_write(APIC_DFR, ~0U);
		apic_write(APIC_LDR, 1U << (24 + id));
	}
	__atomic_fetch_add(&c->alive, 1, __ATOMIC_RELEASE);
	for (;;) {
		void (*job)(u32) = c->job;

		if (job) {
			job(id);
			__atomic_store_n(&c->job, NULL, __ATOMIC_RELEASE);
		} else {
			__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		}
	}
}

bool wait_until(bool (*fn)(void))
{
	u64 start = rdtsc();

	while (!fn()) {
		if (rdtsc() - start > PATIENCE)
			return false;
		cpu_pause();
	}
	return true;
}

static void wait_ticks(u64 ticks)
{
	u64 start = rdtsc();

	while (rdtsc() - start < ticks)
		cpu_pause();
}

bool cpu_start(u32 id)
{
	u32 before = cpus[id].alive;
	u64 start = rdtsc();

	cpus[id].job = NULL;
	apic_send(id, ICR_INIT | APIC_ICR_ASSERT);
	wait_ticks(10000);
	apic_send(id, ICR_STARTUP | APIC_ICR_ASSERT | STARTUP_PAGE);
	apic_send(id, ICR_STARTUP | APIC_ICR_ASSERT | STARTUP_PAGE);
	while (cpus[id].alive == before && rdtsc() - start < PATIENCE)
		cpu_pause();
	return cpus[id].alive == before + 1;
}

void cpus_prepare(void)
{
	idtr = read_idtr();
	memcpy(low_start, low_load, (size_t)(low_end - low_start));
	for (u32 v = VEC_WAKE; v <= VEC_LOW; v++)
		trap_handler((u8)v, on_vector);
	trap_handler(VEC_NMI, on_nmi);
	if (!apic_is_x2()) {
		apic_write(APIC_DFR, ~0U);
		apic_write(APIC_LDR, 1U << 24);
	}
}

bool cpus_start(void)
{
	bool good = true;

	cpus_prepare();
	for (u32 id = 1; id < CPUS; id++)
		good &= expect(cpu_start(id), "processor %u does not come", id);
	return good;
}

void cpu_give(u32 id, void (*job)(u32 me))
{
	__atomic_store_n(&cpus[id].job, job, __ATOMIC_RELEASE);
	apic_send(id, APIC_ICR_ASSERT | VEC_WAKE);
}

bool cpu_wait(u32 id)
{
	u64 start = rdtsc();

	while (__atomic_load_n(&cpus[id].job, __ATOMIC_ACQUIRE)) {
		if (rdtsc() - start > PATIENCE)
			return expect(false, "processor %u does not end its job", id);
		cpu_pause();
	}
	return true;
}

void cpus_give(void (*job)(u32 me))
{
	for (u32 id = 1; id < CPUS; id++)
		cpu_give(id, job);
}

bool cpus_wait(void)
{
	bool good = true;

	for (u32 id = 1; id < CPUS; id++)
		good &= cpu_wait(id);
	return good;
}

bool wait_count(u32 id, u8 vector, u64 count)
{
	u64 start = rdtsc();

	irq_enable();
	while (cpus[id].counted[vector] < count && rdtsc() - start < PATIENCE)
		cpu_pause();
	irq_disable();
	return cpus[id].counted[vector] == count;
}

void counts_clear(void)
{
	for (u32 id = 0; id < CPUS; id++)
		for (unsigned v = 0; v < 256; v++)
			cpus[id].counted[v] = 0;
}
