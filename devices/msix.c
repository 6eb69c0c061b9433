/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X (message signalled interrupts, extended); see msix.h. */
#include "msix.h"

#include "lapic.h"

#define CAPABILITY_ID 0x11
#define CAPABILITY_BYTES 12
#define CONTROL 2 /* message control, in the capability */
#define CONTROL_MASKED 0x4000u
#define CONTROL_ENABLE 0x8000u
#define TABLE 4
#define PENDING 8
#define ENTRY_MASKED 1u

enum { ADDRESS, ADDRESS_HIGH, DATA, VECTOR_CONTROL };

int msix_init(struct msix *m, struct guest *g, struct pci_function *f, unsigned vectors, unsigned bar,
	      u32 table, u32 pending)
{
	unsigned at = pci_add_capability(f, CAPABILITY_ID, CAPABILITY_BYTES);

	if (!at)
		return ERR_NOMEM;
	memset(m, 0, sizeof(*m));
	m->guest = g;
	m->function = f;
	m->capability = at;
	m->vectors = vectors;
	pci_set16(f->config, at + CONTROL, (u16)(vectors - 1));
	pci_set32(f->config, at + TABLE, table | bar);
	pci_set32(f->config, at + PENDING, pending | bar);
	pci_set16(f->writable, at + CONTROL, CONTROL_MASKED | CONTROL_ENABLE);
	msix_reset(m);
	return 0;
}

static u16 control(const struct msix *m)
{
	return pci_get16(m->function, m->capability + CONTROL);
}

void msix_reset(struct msix *m)
{
	spin_lock(&m->lock);
	m->pending = 0;
	memset(m->entry, 0, sizeof(m->entry));
	for (unsigned i = 0; i < m->vectors; i++)
		m->entry[i].word[VECTOR_CONTROL] = ENTRY_MASKED;
	pci_set16(m->function->config, m->capability + CONTROL, (u16)(m->vectors - 1));
	spin_unlock(&m->lock);
}

bool msix_is_on(const struct msix *m)
{
	return control(m) & CONTROL_ENABLE;
}

/* A message is a write to memory: it needs the right to master the bus. */
static bool may_send(const struct msix *m)
{
	return (control(m) & (CONTROL_ENABLE | CONTROL_MASKED)) == CONTROL_ENABLE &&
	       pci_get16(m->function, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* With the lock held, so that nobody changes the entry meanwhile. */
static void send(struct msix *m, unsigned vector)
{
	const struct msix_entry *e = &m->entry[vector];

	apic_deliver_msi(m->guest, e->word[ADDRESS] | (u64)e->word[ADDRESS_HIGH] << 32, e->word[DATA]);
}

static void send_pending(struct msix *m)
{
	if (!m->pending || !may_send(m))
		return;
	for (unsigned i = 0; i < m->vectors; i++) {
		if (!(m->pending & BIT(i)) || m->entry[i].word[VECTOR_CONTROL] & ENTRY_MASKED)
			continue;
		m->pending &= ~BIT(i);
		send(m, i);
	}
}

void msix_fire(struct msix *m, unsigned vector)
{
	if (vector >= m->vectors)
		return;
	spin_lock(&m->lock);
	if (may_send(m) && !(m->entry[vector].word[VECTOR_CONTROL] & ENTRY_MASKED))
		send(m, vector);
	else
		m->pending |= BIT(vector);
	spin_unlock(&m->lock);
}

void msix_written(struct msix *m)
{
	spin_lock(&m->lock);
	send_pending(m);
	spin_unlock(&m->lock);
}

/* ---- in memory ---- */
static bool access_ok(u64 offset, unsigned size, u64 end)
{
	return (size == 4 || size == 8) && IS_ALIGNED(offset, (u64)size) && offset + size <= end;
}

u64 msix_table_read(struct msix *m, u64 offset, unsigned size)
{
	u64 value = 0;

	if (!access_ok(offset, size, MSIX_TABLE_BYTES(m->vectors)))
		return 0;
	spin_lock(&m->lock);
	for (unsigned i = 0; i < size / 4; i++)
		value |= (u64)m->entry[offset / 16].word[offset / 4 % 4 + i] << (32 * i);
	spin_unlock(&m->lock);
	return value;
}

void msix_table_write(struct msix *m, u64 offset, unsigned size, u64 value)
{
	u32 *word;

	if (!access_ok(offset, size, MSIX_TABLE_BYTES(m->vectors)))
		return;
	spin_lock(&m->lock);
	word = &m->entry[offset / 16].word[offset / 4 % 4];
	for (unsigned i = 0; i < size / 4; i++, value >>= 32)
		word[i] = (u32)value;
	/* 6.8.2.9: only the mask bit can be written. 6.8.2.7: addresses are multiples of 4. */
	m->entry[offset / 16].word[VECTOR_CONTROL] &= ENTRY_MASKED;
	m->entry[offset / 16].word[ADDRESS] &= ~3u;
	send_pending(m);
	spin_unlock(&m->lock);
}

u64 msix_pending_read(struct msix *m, u64 offset, unsigned size)
{
	if (!access_ok(offset, size, MSIX_PENDING_BYTES))
		return 0;
	u64 pending = __atomic_load_n(&m->pending, __ATOMIC_RELAXED) >> (8 * offset);
	return size == 4 ? (u32)pending : pending;
}
