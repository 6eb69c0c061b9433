/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of the local APIC (advanced programmable interrupt controller): posting from any CPU,
 * IRR, ISR, priorities, EOI, ExtINT, and its life. SDM volume 3, 11.8. Registers: lapic_regs.c. */
#include "lapic_regs.h"

#include "host.h"
#include "vcpu.h"

#define FIRST_LEGAL_VECTOR 16
#define PRIORITY_CLASS 0xf0u
#define BITMAP_WORD(base, n) ((base) + 0x10u * (u32)(n)) /* 32 vectors every 16 bytes */

/* ---- posting ---- */
void lapic_post(struct lapic *l, u8 vector, bool level)
{
	unsigned word = vector / 64;
	u64 bit = BIT(vector % 64);

	if (unlikely(vector < FIRST_LEGAL_VECTOR)) {
		lapic_error(l, ESR_RECEIVE_ILLEGAL_VECTOR);
		return;
	}
	if (level)
		__atomic_fetch_or(&l->pir_level[word], bit, __ATOMIC_RELAXED);
	else if (__atomic_load_n(&l->pir_level[word], __ATOMIC_RELAXED) & bit)
		__atomic_fetch_and(&l->pir_level[word], ~bit, __ATOMIC_RELAXED);
	__atomic_fetch_or(&l->pir[word], bit, __ATOMIC_RELEASE);
	/* Whoever makes the summary non-zero asks for service; the others know that it was asked for and
	 * that the owner, which clears the summary first, has not looked at pir[] yet. */
	if (!__atomic_fetch_or(&l->pir_summary, 1u << word, __ATOMIC_ACQ_REL))
		vcpu_request(l->vcpu, VCPU_REQ_EVENT);
}

static inline void lapic_add_irr(struct lapic *l, unsigned word, u32 bits)
{
	u32 irr = BITMAP_WORD(LAPIC_IRR, word);
	lapic_set_reg(l, irr, lapic_reg(l, irr) | bits);
	l->irr_words |= (u8)(1u << word);
}

/* 11.8.4: the trigger mode of the message is recorded when the vector enters the IRR. */
static void lapic_set_irr(struct lapic *l, unsigned word, u64 vectors, u64 level)
{
	level = (l->level[word] & ~vectors) | (level & vectors);
	if ((u32)vectors)
		lapic_add_irr(l, 2 * word, (u32)vectors);
	if (vectors >> 32)
		lapic_add_irr(l, 2 * word + 1, (u32)(vectors >> 32));
	if (likely(level == l->level[word]))
		return;
	l->level[word] = level;
	lapic_set_reg(l, BITMAP_WORD(LAPIC_TMR, 2 * word), (u32)level);
	lapic_set_reg(l, BITMAP_WORD(LAPIC_TMR, 2 * word + 1), (u32)(level >> 32));
}

void lapic_sync_posted(struct lapic *l)
{
	/* Acquire pairs with the release of the summary: the bits in pir[] are visible. */
	u32 summary = __atomic_exchange_n(&l->pir_summary, 0, __ATOMIC_ACQUIRE);

	for (; summary; summary &= summary - 1) {
		unsigned word = bit_first(summary);
		u64 vectors = __atomic_exchange_n(&l->pir[word], 0, __ATOMIC_ACQUIRE);
		if (vectors && lapic_enabled(l))
			lapic_set_irr(l, word, vectors,
				      __atomic_load_n(&l->pir_level[word], __ATOMIC_RELAXED));
	}
}

/* 11.5.3. One error interrupt until the guest writes the ESR again. */
void lapic_error(struct lapic *l, u32 esr_bit)
{
	if (!__atomic_fetch_or(&l->esr_latch, esr_bit, __ATOMIC_RELAXED))
		lapic_lvt_raise(l, LAPIC_LVT_ERROR);
}

/* 11.5.1: a local interrupt, as its LVT entry says. SMI has no effect: the guest has no SMM. */
void lapic_lvt_raise(struct lapic *l, u32 lvt_offset)
{
	u32 lvt = lapic_reg(l, lvt_offset);

	if (lvt & LVT_MASKED)
		return;
	switch ((lvt & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT) {
	case APIC_FIXED:
		lapic_post(l, (u8)lvt, false);
		break;
	case APIC_NMI:
		vcpu_request(l->vcpu, VCPU_REQ_NMI);
		break;
	case APIC_INIT:
		vcpu_request(l->vcpu, VCPU_REQ_INIT);
		break;
	case APIC_EXTINT:
		vcpu_request(l->vcpu, VCPU_REQ_EVENT);
		break;
	}
}

/* ---- priorities ---- */
/* The processor changes IRR and ISR itself under virtual-interrupt delivery: look at all words then. */
static u8 lapic_words_in_use(const struct lapic *l, u32 base)
{
	u32 words = 0;

	for (unsigned i = 0; i < 8; i++)
		words |= (u32)(lapic_reg(l, BITMAP_WORD(base, i)) != 0) << i;
	return (u8)words;
}

static inline int lapic_highest(const struct lapic *l, u32 base, u8 cached)
{
	unsigned word;

	if (l->hw_vid) {
#pragma GCC unroll 8
		for (word = 8; word-- > 0;) {
			u32 bits = lapic_reg(l, BITMAP_WORD(base, word));
			if (bits)
				return (int)(32 * word + bit_last(bits));
		}
		return -1;
	}
	if (!cached)
		return -1;
	word = bit_last(cached);
	return (int)(32 * word + bit_last(lapic_reg(l, BITMAP_WORD(base, word))));
}

int lapic_highest_irr(const struct lapic *l)
{
	return lapic_highest(l, LAPIC_IRR, l->irr_words);
}

int lapic_highest_isr(const struct lapic *l)
{
	return lapic_highest(l, LAPIC_ISR, l->isr_words);
}

/* 11.8.3.1; where the classes are equal, as virtual-interrupt delivery does it (30.1.3). */
u8 lapic_ppr(const struct lapic *l)
{
	u32 tpr = lapic_reg(l, LAPIC_TPR);
	int isr = lapic_highest_isr(l);
	u32 in_service = isr < 0 ? 0 : (u32)isr;

	return (u8)((tpr & PRIORITY_CLASS) >= (in_service & PRIORITY_CLASS) ? tpr
									    : in_service & PRIORITY_CLASS);
}

/* The highest vector of that word of the IRR, unless TPR or ISR hold it up; -1. */
static int lapic_above(const struct lapic *l, u32 word, u32 irr, u32 isr)
{
	u32 vector, class;
	if (!irr)
		return -1;
	vector = 32 * word + bit_last(irr);
	class = vector & PRIORITY_CLASS;
	if (class <= (lapic_reg(l, LAPIC_TPR) & PRIORITY_CLASS))
		return -1;
	if (isr && class <= ((32 * word + bit_last(isr)) & PRIORITY_CLASS))
		return -1;
	return (int)vector;
}

/* 11.4.7.2: what is pending when software disables the APIC stays pending and is still taken, so the
 * SVR does not matter here. */
int lapic_deliverable(const struct lapic *l)
{
	if (likely(!l->hw_vid)) { /* the same, where the words in use are known */
		u32 word, irr, class;
		if (!l->irr_words)
			return -1;
		word = bit_last(l->irr_words);
		irr = 32 * word + bit_last(lapic_reg(l, BITMAP_WORD(LAPIC_IRR, word)));
		class = irr & PRIORITY_CLASS;
		if (class <= (lapic_reg(l, LAPIC_TPR) & PRIORITY_CLASS))
			return -1;
		if (likely(!l->isr_words))
			return (int)irr;
		word = bit_last(l->isr_words);
		word = 32 * word + bit_last(lapic_reg(l, BITMAP_WORD(LAPIC_ISR, word)));
		return class > (word & PRIORITY_CLASS) ? (int)irr : -1;
	}
	/* The highest word with a bit in either register decides. */
#pragma GCC unroll 8
	for (u32 word = 8; word-- > 0;) {
		u32 irr = lapic_reg(l, BITMAP_WORD(LAPIC_IRR, word));
		u32 isr = lapic_reg(l, BITMAP_WORD(LAPIC_ISR, word));
		if (irr | isr)
			return lapic_above(l, word, irr, isr);
	}
	return -1;
}

void lapic_recheck(struct lapic *l)
{
	if (l->hw_vid || l->irr_words || __atomic_load_n(&l->pir_summary, __ATOMIC_RELAXED))
		vcpu_request(l->vcpu, VCPU_REQ_EVENT);
}

/* ---- acceptance and its end ---- */
static void lapic_clear_bit(struct lapic *l, u32 base, unsigned vector, u8 *words)
{
	u32 offset = BITMAP_WORD(base, vector / 32);
	u32 bits = lapic_reg(l, offset) & ~(1u << vector % 32);

	lapic_set_reg(l, offset, bits);
	if (!bits)
		*words &= (u8) ~(1u << vector / 32);
}

void lapic_accept(struct lapic *l, u8 vector)
{
	u32 isr = BITMAP_WORD(LAPIC_ISR, vector / 32);

	lapic_clear_bit(l, LAPIC_IRR, vector, &l->irr_words);
	lapic_set_reg(l, isr, lapic_reg(l, isr) | 1u << vector % 32);
	if (unlikely(l->pv_eoi & 1) && !l->isr_words)
		lapic_offer_eoi(l, vector);
	l->isr_words |= (u8)(1u << vector / 32);
}

void lapic_eoi_broadcast(struct lapic *l, u8 vector)
{
	const struct apic_sinks *sinks = guest_apic_sinks(vcpu_guest(l->vcpu));

	if ((l->level[vector / 64] & BIT(vector % 64)) && sinks->eoi)
		sinks->eoi(sinks->eoi_opaque, vector);
}

bool lapic_end_of_interrupt(struct lapic *l)
{
	int vector;

	if (likely(!l->hw_vid)) {
		if (!l->isr_words)
			return false;
		u32 word = bit_last(l->isr_words), offset = BITMAP_WORD(LAPIC_ISR, word);
		u32 bits = lapic_reg(l, offset), bit = bit_last(bits);
		bits &= ~(1u << bit);
		lapic_set_reg(l, offset, bits);
		if (!bits)
			l->isr_words &= (u8) ~(1u << word);
		vector = (int)(32 * word + bit);
	} else {
		vector = lapic_highest_isr(l);
		if (vector < 0)
			return false;
		lapic_clear_bit(l, LAPIC_ISR, (unsigned)vector, &l->isr_words);
	}
	l->isr_changed = true;
	if (unlikely(l->level[vector / 64] & BIT(vector % 64)))
		lapic_eoi_broadcast(l, (u8)vector);
	return true;
}

void lapic_eoi(struct lapic *l)
{
	if (unlikely(l->eoi_offered)) { /* by this write instead, or for the one before */
		lapic_settle_eoi(l);
		if (l->eoi_offered)
			lapic_withdraw_eoi(l);
	}
	if (lapic_end_of_interrupt(l))
		lapic_recheck(l);
}

/* ---- the 8259 pair ---- */
/* It is wired to LINT0 of every local APIC; a disabled one is a mere processor with an INTR pin
 * (11.4.3), and only the boot processor's is connected. */
bool lapic_extint_pending(const struct lapic *l)
{
	bool line = __atomic_load_n(&l->extint_line, __ATOMIC_ACQUIRE);
	bool message = __atomic_load_n(&l->extint_message, __ATOMIC_ACQUIRE);

	if (likely(!line && !message))
		return false;
	if (message)
		return true;
	if (!lapic_enabled(l))
		return l->bsp;
	return (lapic_reg(l, LAPIC_LVT_LINT0) & (LVT_MASKED | LVT_DELIVERY)) == APIC_EXTINT
										    << LVT_DELIVERY_SHIFT;
}

u8 lapic_extint_ack(struct lapic *l)
{
	const struct apic_sinks *sinks = guest_apic_sinks(vcpu_guest(l->vcpu));

	__atomic_store_n(&l->extint_message, false, __ATOMIC_RELAXED);
	return sinks->extint_ack(sinks->extint_opaque);
}

/* ---- life ---- */
/* 11.4.7.1. The IPI and timer state outside the page goes too. */
void lapic_reset_registers(struct lapic *l)
{
	lapic_timer_reset(l);
	memset(l->page, 0, PAGE_SIZE);
	__atomic_store_n(&l->pir_summary, 0, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < ARRAY_SIZE(l->pir); i++) {
		__atomic_store_n(&l->pir[i], 0, __ATOMIC_RELAXED);
		l->level[i] = 0;
	}
	__atomic_store_n(&l->esr_latch, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&l->extint_message, false, __ATOMIC_RELAXED);
	__atomic_store_n(&l->software_enabled, false, __ATOMIC_RELAXED);
	l->irr_words = l->isr_words = 0;
	l->eoi_offered = false;
	l->isr_changed = true;
	lapic_set_reg(l, LAPIC_VERSION, LAPIC_VERSION_VALUE);
	lapic_set_reg(l, LAPIC_DFR, ~0u);
	lapic_set_reg(l, LAPIC_SVR, 0xff);
	for (u32 lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10)
		lapic_set_reg(l, lvt, LVT_MASKED);
	lapic_mode_registers(l);
}

void lapic_reset(struct lapic *l)
{
	u64 base = LAPIC_BASE_DEFAULT | LAPIC_BASE_ENABLE | (l->bsp ? LAPIC_BASE_BSP : 0);

	__atomic_store_n(&l->base, base, __ATOMIC_RELAXED);
	l->pv_eoi = 0;
	lapic_reset_registers(l);
}

void lapic_init_signal(struct lapic *l)
{
	l->pv_eoi = 0;
	lapic_reset_registers(l);
	lapic_recheck(l);
}

int lapic_init(struct lapic *l, struct vcpu *v, u32 apic_id, bool bsp)
{
	hpa_t page = page_alloc_zeroed(0);

	if (page == PAGE_NONE)
		return ERR_NOMEM;
	memset(l, 0, sizeof(*l));
	l->page = phys_to_virt(page);
	l->vcpu = v;
	l->id = apic_id;
	l->bsp = bsp;
	l->phys_bits = 36;
	l->x2apic_allowed = true;
	lapic_timer_init(l);
	lapic_reset(l);
	return 0;
}

void lapic_destroy(struct lapic *l)
{
	if (!l->page)
		return;
	lapic_timer_reset(l);
	timer_destroy(&l->timer);
	page_free(virt_to_phys(l->page), 0);
	l->page = NULL;
}

void lapic_virtual_wire(struct lapic *l)
{
	lapic_write(l, LAPIC_SVR, SVR_ENABLE | 0xff);
	if (l->bsp)
		lapic_write(l, LAPIC_LVT_LINT0, APIC_EXTINT << LVT_DELIVERY_SHIFT);
	lapic_write(l, LAPIC_LVT_LINT1, APIC_NMI << LVT_DELIVERY_SHIFT);
}

void lapic_set_hw_vid(struct lapic *l, bool on)
{
	if (l->eoi_offered)
		lapic_settle_eoi(l);
	if (l->eoi_offered)
		lapic_withdraw_eoi(l);
	l->irr_words = lapic_words_in_use(l, LAPIC_IRR);
	l->isr_words = lapic_words_in_use(l, LAPIC_ISR);
	l->hw_vid = on;
}
