/* SPDX-License-Identifier: Apache-2.0 */
/* See shim.h. phys_to_virt() adds a constant, so page_alloc() here returns a host address minus
 * that constant: the round trip works in a normal process. */
#include "shim.h"

#include <malloc.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>

#include "disk.h"
#include "host.h"
#include "include/fake_cpu.h"
#include "log.h"
#include "nic.h"
#include "poll.h"
#include "spinlock.h"

#define WEAK __attribute__((weak))

u64 shim_tsc;
unsigned shim_log_lines;
char shim_last_log[512];
int shim_quiet = 1;
long shim_pages_in_use;
long shim_fail_after = -1;
unsigned shim_polls;
struct poller *shim_poller;
int shim_polling;

u64 fake_vmcs[FAKE_VMCS_FIELDS];
u32 fake_vmcs_reads[FAKE_VMCS_FIELDS];
u32 fake_vmcs_writes[FAKE_VMCS_FIELDS];
struct cpu *fake_cpu;
struct fake_registers fake_registers;
struct cpuid_regs (*fake_cpuid)(u32 leaf, u32 subleaf);
u64 (*fake_msr_read)(u32 msr);
void (*fake_msr_write)(u32 msr, u64 value);
u32 (*fake_in)(u16 port, unsigned size);
void (*fake_out)(u16 port, unsigned size, u32 value);
unsigned fake_halts;
u64 fake_forgotten;
u64 fake_watched;

/* A multiplicative sequence of full period: no two words in a row are equal. */
static bool random_words(bool seed, u64 *word)
{
	static u64 x = 1;
	(void)seed;
	x = x * 6364136223846793005u + 1442695040888963407u;
	*word = x ^ x >> 29;
	return true;
}
bool (*fake_random)(bool seed, u64 *word) = random_words;

WEAK void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(vsnprintf)(shim_last_log, sizeof(shim_last_log), fmt, ap);
	va_end(ap);
	shim_log_lines++;
	if (!shim_quiet)
		fprintf(stderr, "log %d: %s\n", level, shim_last_log);
}

WEAK void panic(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
	abort();
}

WEAK unsigned cpu_count(void)
{
	return fake_cpu ? 1 : 0;
}

WEAK struct cpu *cpu_get(unsigned index)
{
	(void)index;
	return fake_cpu;
}

WEAK void cpu_idle_wait(void)
{
}

WEAK void cpu_doze(void)
{
}

WEAK void cpu_wake_up(void)
{
}

WEAK void apic_timer_arm(u64 deadline)
{
	(void)deadline;
}

WEAK void cpu_poll_interrupts(void)
{
	shim_polls++;
}

/* Blocks of 2 MiB are kept, for they take long to get, and come back in pieces where a guest's large page was
 * split. ASan sees who uses what is free. */
#define BLOCK_ORDER 9u
#define BLOCK_BYTES ((size_t)PAGE_SIZE << BLOCK_ORDER)
static struct {
	u8 *at;
	size_t used; /* bytes that are not back */
} block[32];
static bool block_locked; /* atomic */

static void blocks_lock(void)
{
	while (__atomic_exchange_n(&block_locked, true, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void blocks_unlock(void)
{
	__atomic_store_n(&block_locked, false, __ATOMIC_RELEASE);
}

static void *block_get(void)
{
	void *p = NULL;

	blocks_lock();
	for (unsigned i = 0; i < ARRAY_SIZE(block) && !p; i++) {
		if (block[i].used)
			continue;
		if (!block[i].at)
			block[i].at = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
		p = block[i].at;
		block[i].used = p ? BLOCK_BYTES : 0;
	}
	blocks_unlock();
	if (p)
		__asan_unpoison_memory_region(p, BLOCK_BYTES);
	return p;
}

/* False: it is of no block. */
static bool block_put(u8 *p, size_t bytes)
{
	bool found = false;

	blocks_lock();
	for (unsigned i = 0; i < ARRAY_SIZE(block) && !found; i++) {
		found = block[i].at && (size_t)(p - block[i].at) < BLOCK_BYTES;
		if (!found)
			continue;
		if (__asan_address_is_poisoned(p) || bytes > block[i].used)
			panic("%p is free", (void *)p);
		__asan_poison_memory_region(p, bytes);
		block[i].used -= bytes;
	}
	blocks_unlock();
	return found;
}

WEAK hpa_t page_alloc(unsigned order)
{
	void *p;
	if (shim_fail_after == 0)
		return PAGE_NONE;
	if (shim_fail_after > 0)
		shim_fail_after--;
	p = order == BLOCK_ORDER ? block_get()
				 : aligned_alloc((size_t)PAGE_SIZE << order, (size_t)PAGE_SIZE << order);
	if (!p)
		return PAGE_NONE;
	memset(p, 0xa5, (size_t)PAGE_SIZE << order);
	shim_pages_in_use += 1L << order;
	return virt_to_phys(p);
}

WEAK void page_free(hpa_t pa, unsigned order)
{
	shim_pages_in_use -= 1L << order;
	if (!block_put(phys_to_virt(pa), (size_t)PAGE_SIZE << order))
		free(phys_to_virt(pa));
}

WEAK hpa_t page_alloc_zeroed(unsigned order)
{
	hpa_t pa = page_alloc(order);
	if (pa != PAGE_NONE)
		memset(phys_to_virt(pa), 0, (size_t)PAGE_SIZE << order);
	return pa;
}

WEAK u64 page_count_free(void)
{
	return (u64)1 << 20;
}

WEAK void page_on_shortage(bool (*release)(void))
{
	(void)release;
}

WEAK void *heap_alloc(size_t size)
{
	return calloc(1, size);
}

WEAK void heap_free(void *p)
{
	free(p);
}

WEAK size_t heap_size(const void *p)
{
	return malloc_usable_size((void *)p);
}

WEAK void cpu_kick(unsigned index)
{
	(void)index;
}

WEAK void task_switch(u64 **save, u64 *load)
{
	(void)save, (void)load;
}

WEAK u64 tsc_now(void)
{
	return shim_tsc;
}

WEAK u64 tsc_hz(void)
{
	return 1000000000; /* one tick per nanosecond */
}

WEAK u64 tsc_to_ns(u64 ticks)
{
	return ticks;
}

WEAK u64 ns_to_tsc(u64 ns)
{
	return ns;
}

WEAK struct tsc_scale tsc_scale(void)
{
	return (struct tsc_scale){(u64)1 << 63, 63};
}

WEAK bool tsc_stable(void)
{
	return true;
}

WEAK u64 tsc_at_boot(void)
{
	return 0;
}

WEAK u64 real_ns(void)
{
	return shim_tsc;
}

WEAK u64 wall_ns_at_boot(void)
{
	return 1700000000ull * 1000000000;
}

WEAK u64 wall_seconds(void)
{
	return 1700000000 + shim_tsc / 1000000000;
}

/* No disks; a test of host/disk.c names more of it than this. */
WEAK struct block *disk_find(unsigned unit)
{
	(void)unit;
	return NULL;
}

WEAK bool disk_is_boot(unsigned unit, const struct boot_volume *v)
{
	(void)unit, (void)v;
	return false;
}

WEAK int disk_partition(struct block *disk, unsigned number, struct disk_extent *e)
{
	(void)disk, (void)number, (void)e;
	return ERR_NOENT;
}

WEAK void disk_on_busy(void (*fn)(void))
{
	(void)fn;
}

WEAK void disk_on_interrupt(void (*fn)(void *payer, u64 ticks))
{
	(void)fn;
}

WEAK bool disk_check(void)
{
	return false;
}

/* No network card; as with disks. */
WEAK int nic_open(const struct nic_user *user, u8 address[6])
{
	(void)user, (void)address;
	return ERR_NOENT;
}

WEAK int nic_start(void)
{
	return ERR_NOTSUP;
}

WEAK u8 *nic_room(void)
{
	return NULL;
}

WEAK bool nic_is_full(void)
{
	return false;
}

WEAK void nic_send(u32 length)
{
	(void)length;
}

WEAK void nic_flush(void)
{
}

WEAK void nic_give_back(unsigned slot)
{
	(void)slot;
}

WEAK int poller_add(struct poller *p)
{
	if (!shim_polling)
		return ERR_NOENT;
	p->cpu = (struct sched_cpu *)&shim_poller; /* some CPU's */
	shim_poller = p;
	return 0;
}

WEAK void poller_remove(struct poller *p)
{
	p->cpu = NULL;
	shim_poller = NULL;
}
