/* SPDX-License-Identifier: Apache-2.0 */
/* A program in the hypervisor's place, linked with host/ and lib/ alone: the first word of the
 * configuration's first line, a comment, says what it does. Either it checks what the machine layer promises
 * and counts, or it breaks one rule and must die of it. For test_host.py. */
#include "host.h"
#include "../../host/page.h"
#include "log.h"
#include "x86.h"
#include "x86_ops.h"

#define TICK_NS 10000000u
#define TICKS 50u
#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define CMOS_SCRATCH 0x70 /* a byte that nobody uses and no reset changes */
#define RESET_MARK 0x5a
#define PASTE 10240u
#define X2APIC_ICR (MSR_X2APIC_FIRST + 0x30)
#define ABSENT_ID 0x5au
#define ICR_NMI 0x4400u /* assert, NMI */

__attribute__((noreturn)) void socle_main(const struct boot_info *bi);

static unsigned passed, failed;
static volatile u64 ticks, kicks, typed;
static struct console_stream *front;

static void check(const char *what, bool ok)
{
	passed += ok;
	failed += !ok;
	if (!ok)
		log_error("FAIL %s", what);
}

/* ---- what must work ---- */

static void on_tick(void *opaque)
{
	(void)opaque;
	ticks++;
	apic_timer_arm(tsc_now() + ns_to_tsc(TICK_NS));
}

static void on_kick(void *opaque)
{
	(void)opaque;
	kicks++;
}

static void check_interrupts(void)
{
	u64 start = tsc_now(), nmis = this_cpu()->nmi_pending;

	irq_register(IRQ_VECTOR_KICK, on_kick, NULL);
	apic_send_ipi(this_cpu()->apic_id, IRQ_VECTOR_KICK);
	check("an interrupt waits while interrupts are off", kicks == 0);
	cpu_idle_wait();
	check("interrupt to self", kicks == 1);
	irq_register(IRQ_VECTOR_TIMER, on_tick, NULL);
	apic_timer_arm(start);
	while (ticks < TICKS)
		cpu_idle_wait();
	start = tsc_to_ns(tsc_now() - start);
	check("timer", start / TICKS > TICK_NS / 100 * 97 && start / TICKS < TICK_NS / 100 * 110);
	apic_timer_arm(tsc_now() + ns_to_tsc(TICK_NS));
	apic_timer_arm(~(u64)0);
	while (ticks == TICKS && tsc_to_ns(tsc_now()) < start + 5 * TICK_NS)
		cpu_pause();
	check("a disarmed timer is silent", ticks == TICKS);
	wrmsr(X2APIC_ICR, (u64)this_cpu()->apic_id << 32 | ICR_NMI);
	for (int i = 0; i < 1000 && this_cpu()->nmi_pending == nmis; i++)
		cpu_pause();
	check("NMI is counted", this_cpu()->nmi_pending == nmis + 1);
}

static void check_memory(void)
{
	u64 before = page_count_free();
	void *stack = stack_alloc(4), *again, *heap[100];
	hpa_t block = page_alloc(9);

	check("a stack is writable", stack && (((u64 *)stack)[-1] = 1));
	check("2 MiB, aligned", block != PAGE_NONE && IS_ALIGNED(block, PAGE_SIZE_2M));
	page_free(block, 9);
	stack_free(stack, 4);
	again = stack_alloc(4);
	check("a stack's place is used again", again == stack);
	stack_free(again, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(heap); i++)
		heap[i] = heap_alloc(i * 50);
	for (unsigned i = 0; i < ARRAY_SIZE(heap); i++)
		heap_free(heap[i]);
	check("page tables aside, all pages come back", before - page_count_free() <= 3);
	before = page_count_free();
	for (int i = 0; i < 5000; i++) /* more than there are places */
		stack_free(stack_alloc(2), 2);
	check("5000 stacks leave nothing behind", page_count_free() == before);
	check("most of the machine is free", page_count_free() > page_count_total() * 99 / 100);
}

static void check_clock(void)
{
	u64 ns = tsc_to_ns(tsc_hz()), back = ns_to_tsc(1000000000);

	check("a second", ns >= 999999999 && ns <= 1000000000 && back + 1 >= tsc_hz() && back <= tsc_hz());
	check("the date", wall_seconds() > 1700000000);
}

static void on_input(void *opaque, const u8 *buf, size_t n)
{
	(void)opaque;
	typed += n;
	console_write(front, (const char *)buf, n);
}

static void check_console(void)
{
	struct console_stream *back = console_open("back", NULL);

	front = console_open("front", NULL);
	console_set_foreground(front);
	console_write(front, "prompt> ", 8);
	console_write(back, "a line of the back", 18);
	log_info("a line of the log");
	console_write(back, "ground\n", 7);
	console_write(front, "typed\r\n", 7);
	console_close(back);
	console_set_input(on_input, NULL);
	log_info("paste now");
	while (typed < PASTE)
		cpu_idle_wait();
	console_set_input(NULL, NULL);
	console_close(front);
}

/* ---- several CPUs ---- */

static void note_here(void *opaque)
{
	volatile u64 *seen = opaque;

	*seen |= BIT(this_cpu()->index);
}

static void count_here(void *opaque)
{
	(void)opaque;
	__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
}

static void check_calls(void)
{
	static struct cpu_call call = {.run = count_here};
	static volatile u64 seen;

	for (unsigned i = 0; i < cpu_count(); i++) {
		cpu_call_wait(i, note_here, (void *)&seen);
		check("a call runs on its CPU", seen == BIT(i + 1) - 1);
		check("who is who", cpu_get(i)->index == i && cpu_get(i)->self == cpu_get(i));
	}
	for (u64 n = 1; n <= 1000; n++) {
		cpu_call(1, &call);
		while (__atomic_load_n(&kicks, __ATOMIC_RELAXED) != n)
			cpu_pause();
	}
	check("each call runs once", kicks == 1000);
	cpu_call(0, &call);
	check("a call to oneself waits while interrupts are off", kicks == 1000);
	cpu_poll_interrupts();
	check("and then runs", kicks == 1001);
}

static void set_tsc_back(void *opaque)
{
	(void)opaque;
	wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) - 1000000);
}

static void read_tsc_there(void *opaque)
{
	*(volatile u64 *)opaque = tsc_now();
}

/* M36: a TSC that is behind, as after a bad start by the firmware, is set forward. */
static void check_tscs(void)
{
	static volatile u64 there;
	u64 here = tsc_now();

	cpu_call_wait(3, set_tsc_back, NULL);
	cpu_call_wait(3, read_tsc_there, (void *)&there);
	check("a TSC behind the others", there < here);
	tsc_compare();
	here = tsc_now();
	cpu_call_wait(3, read_tsc_there, (void *)&there);
	check("set forward", there >= here && there <= tsc_now());
	check("TSCs agree", tsc_stable());
}

static void others(void)
{
	u64 nmis;

	check("all CPUs came", cpu_count() == 4);
	check_calls();
	check_tscs();
	for (int i = 0; i < 9000; i++) { /* more than there are places, and the others sleep */
		void *stack = stack_alloc(2);

		if (stack)
			stack_free(stack, 2);
		else
			failed++;
	}
	check("9000 stacks while others sleep", stack_alloc(2) != NULL);
	nmis = cpu_get(2)->nmi_pending;
	wrmsr(X2APIC_ICR, (u64)cpu_get(2)->apic_id << 32 | ICR_NMI);
	for (int i = 0; i < 100000 && cpu_get(2)->nmi_pending == nmis; i++)
		cpu_pause();
	check("an NMI on another CPU", cpu_get(2)->nmi_pending == nmis + 1);
	log_info("%u passed, %u failed, 0 skipped", passed, failed);
}

static void services(void)
{
	check_clock();
	check_memory();
	check_interrupts();
	apic_timer_arm(tsc_now()); /* the console must not depend on it, but a test must end */
	check_console();
	log_info("%u passed, %u failed, 0 skipped", passed, failed);
}

/* One in the middle of the list is not there; see list_cpus(). */
static void absent(void)
{
	check("all but one came", cpu_count() == 4);
	check_calls();
	log_info("%u passed, %u failed, 0 skipped", passed, failed);
}

/* ---- what must kill ---- */

static __attribute__((noinline)) int recurse(volatile char *outer)
{
	volatile char inner[512];

	inner[0] = outer[0];
	return outer[0] ? 0 : recurse(inner) + inner[0];
}

static void overflow(void)
{
	volatile char c[1] = {0};

	recurse(c);
}

static void write_code(void)
{
	*(volatile u8 *)(u64)socle_main = 0xcc;
}

static void write_code_alias(void)
{
	*(volatile u8 *)phys_to_virt(image_to_phys((void *)(u64)socle_main)) = 0xcc;
}

static void run_data(void)
{
	static u8 code[16] = {0xc3};

	((void (*)(void))(u64)code)();
	passed++; /* else the call becomes a jump */
}

static void run_ram(void)
{
	u8 *p = phys_to_virt(page_alloc(0));

	*p = 0xc3;
	((void (*)(void))(u64)p)();
	passed++;
}

static void touch_null(void)
{
	static volatile u64 address = 8; /* unknown to the compiler */

	*(volatile u32 *)address = 1;
}

static void free_twice(void)
{
	hpa_t pa = page_alloc(3);

	page_free(pa, 3);
	page_free(pa, 3);
}

static void machine_check(void)
{
	__asm__ volatile("int $18");
}

static void reset(void)
{
	outb(CMOS_INDEX, CMOS_SCRATCH);
	if (inb(CMOS_DATA) == RESET_MARK) {
		log_info("back after the reset");
		machine_poweroff();
	}
	outb(CMOS_INDEX, CMOS_SCRATCH);
	outb(CMOS_DATA, RESET_MARK);
	machine_reset();
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
    {"services", services},
    {"overflow", overflow},
    {"write_code", write_code},
    {"write_code_alias", write_code_alias},
    {"run_data", run_data},
    {"run_ram", run_ram},
    {"touch_null", touch_null},
    {"free_twice", free_twice},
    {"machine_check", machine_check},
    {"reset", reset},
    {"others", others},
    {"absent", absent},
};

/* What the firmware says, and for "absent" one CPU more, whose APIC id nobody has: it never comes. */
static const struct boot_info *list_cpus(const struct boot_info *bi, bool one_more)
{
	static struct boot_info listed;

	listed = *bi;
	if (one_more) {
		listed.cpus[listed.nr_cpus++] = listed.cpus[1];
		listed.cpus[1].apic_id = ABSENT_ID;
	}
	return &listed;
}

static void run_case(void *opaque)
{
	void (**fn)(void) = opaque;

	(*fn)();
}

void socle_main(const struct boot_info *bi)
{
	const char *config = phys_to_virt(bi->config_base);

	log_console_init(bi);
	cpu_init_boot(bi);
	page_init(bi);
	paging_init(bi);
	heap_init();
	apic_init(bi);
	time_init(bi);
	console_init_irq();
	if (bi->nr_cpus > 1)
		cpu_start_others(list_cpus(bi, bi->config_size > 8 && !memcmp(config + 2, "absent", 6)));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].name);
		void (*fn)(void) = cases[i].fn;

		if (bi->config_size > n + 2 && !memcmp(config + 2, cases[i].name, n) &&
		    config[n + 2] == '\n') {
			if (cpu_count() == 2) /* the rule is broken by the other one */
				cpu_call_wait(1, run_case, &fn);
			else
				fn();
		}
	}
	machine_poweroff();
}
