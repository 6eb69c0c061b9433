/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the IDE controller and its drives, and starts them. The firmware has chosen the drives' transfer
 * modes and the controller's timings; they stay. */
#include "dma.h"
#include "host.h"
#include "ide.h"
#include "log.h"
#include "pcibus.h"
#include "x86_ops.h"

#define CLASS_IDE 0x01010000u
#define CLASS_MASK 0xffff0000u
#define INTERFACE_NATIVE(channel) (0x100u << 2 * (channel)) /* of the class register */
#define INTERFACE_MASTER 0x8000u
#define BAR_MASTER 4
#define BAR_IO 1u

#define ANSWER_NS 1000000000u /* to IDENTIFY DEVICE; firmware has waited for the drives already */
#define SELECT_READS 5
#define WORDS 256

/* Words of the answer (ATA-6, 8.15). */
#define WORD_MODEL 27 /* 20 words */
#define WORD_CAPABILITIES 49
#define CAPABILITY_DMA 0x100u
#define CAPABILITY_LBA 0x200u
#define WORD_SECTORS 60
#define WORD_SETS 83
#define SETS_MASK 0xc000u /* 01: the word is valid */
#define SETS_VALID 0x4000u
#define SETS_LBA48 0x0400u
#define SETS_FLUSH 0x1000u
#define SETS_FLUSH_EXT 0x2000u
#define WORD_SECTORS48 100

static const struct {
	u16 command, control;
	u8 irq;
} ports[IDE_CHANNELS] = {{0x1f0, 0x3f6, 14}, {0x170, 0x376, 15}};

/* Until the bits under mask are as wanted. False: they never were, or nobody is there. */
static bool wait_status(const struct ide_channel *c, u8 mask, u8 wanted, u8 *status)
{
	u64 start = tsc_now();

	do {
		*status = inb(c->control);
		if (*status == 0xff)
			return false;
		if ((*status & mask) == wanted)
			return true;
		cpu_pause();
	} while (tsc_now() - start < ns_to_tsc(ANSWER_NS));
	return false;
}

/* The drive's 256 words. False: there is none, or it is no ATA disk. */
static bool identify(const struct ide_channel *c, u8 select, u16 *words)
{
	u8 status;

	outb(c->command + IDE_DEVICE, (u8)(IDE_DEVICE_LBA | select));
	for (unsigned i = 0; i < SELECT_READS; i++)
		status = inb(c->control);
	if (!wait_status(c, IDE_STATUS_BSY | IDE_STATUS_DRQ, 0, &status))
		return false;
	outb(c->command + IDE_COUNT, 0x5a); /* registers that keep what is written: a drive */
	outb(c->command + IDE_LBA_LOW, 0xa5);
	if (inb(c->command + IDE_COUNT) != 0x5a || inb(c->command + IDE_LBA_LOW) != 0xa5)
		return false;
	outb(c->command + IDE_STATUS, IDE_IDENTIFY);
	status = inb(c->control);
	if (!status || !wait_status(c, IDE_STATUS_BSY, 0, &status))
		return false;
	if (status & (IDE_STATUS_ERR | IDE_STATUS_DF) || !(status & IDE_STATUS_DRQ))
		return false; /* ATAPI drives abort it */
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = inw(c->command + IDE_DATA);
	return true;
}

static u64 words_number(const u16 *w, unsigned n)
{
	u64 v = 0;

	while (n--)
		v = v << 16 | w[n];
	return v;
}

/* Two characters in each word, the first in the upper byte; padded with blanks. */
static void read_model(struct ide_drive *d, const u16 *w)
{
	unsigned n = sizeof(d->model) - 1;

	for (unsigned i = 0; i < n; i++) {
		char ch = (char)(w[WORD_MODEL + i / 2] >> (i % 2 ? 0 : 8));
		d->model[i] = ch >= ' ' && ch <= '~' ? ch : '?';
	}
	while (n && d->model[n - 1] == ' ')
		n--;
	d->model[n] = '\0';
}

static void read_words(struct ide_drive *d, const u16 *w)
{
	bool valid = (w[WORD_SETS] & SETS_MASK) == SETS_VALID;
	u64 sectors;

	read_model(d, w);
	d->lba48 = valid && w[WORD_SETS] & SETS_LBA48;
	d->flush = valid && w[WORD_SETS] & SETS_FLUSH;
	d->flush_ext = valid && d->flush && d->lba48 && w[WORD_SETS] & SETS_FLUSH_EXT;
	sectors = d->lba48 ? words_number(w + WORD_SECTORS48, 4) : words_number(w + WORD_SECTORS, 2);
	sectors = MIN(sectors, d->lba48 ? BIT(48) : BIT(28));
	if ((w[WORD_CAPABILITIES] & (CAPABILITY_DMA | CAPABILITY_LBA)) != (CAPABILITY_DMA | CAPABILITY_LBA)) {
		log_warn("%s: %s does no DMA: it is not used", d->name, d->model);
		return;
	}
	d->block =
	    (struct block){.submit = ide_submit, .sectors = sectors, .flags = d->flush ? BLOCK_VOLATILE : 0};
	log_info("%s: %s, %lu MiB%s", d->name, d->model, sectors >> 11, d->lba48 ? ", 48-bit addresses" : "");
}

void ide_probe_channel(struct ide_channel *c)
{
	u16 words[WORDS];

	outb(c->control, IDE_CONTROL_NIEN);
	outb(c->master + IDE_BM_COMMAND, 0);
	for (unsigned i = 0; i < IDE_DRIVES; i++) {
		struct ide_drive *d = &c->drives[i];

		d->channel = c;
		d->select = i ? IDE_DEVICE_SLAVE : 0;
		str_copy(d->name, "hda", sizeof(d->name));
		d->name[2] = (char)('a' + c->index * IDE_DRIVES + i);
		if (identify(c, d->select, words))
			read_words(d, words);
		(void)inb(c->command + IDE_STATUS); /* its interrupt, if it has one, is over */
		c->selected = d->select;
	}
}

static bool has_drives(const struct ide_channel *c)
{
	return c->drives[0].block.sectors || c->drives[1].block.sectors;
}

/* False: no interrupt, or no memory; nothing is taken then. */
static bool start(struct ide_channel *c)
{
	const u8 vector = (u8)(IRQ_VECTOR_FIRST + ports[c->index].irq);

	c->table = dma_alloc(0, &c->table_address);
	c->bounce = dma_alloc(IDE_BOUNCE_ORDER, &c->bounce_address);
	if (!c->table || !c->bounce) {
		log_error("no memory below 4 GiB for IDE channel %u", c->index);
	} else if (irq_route_isa(ports[c->index].irq, vector)) {
		log_error("IDE channel %u has no interrupt", c->index);
	} else {
		irq_register(vector, ide_interrupt, c);
		outb(c->control, 0);
		return true;
	}
	if (c->table)
		dma_free(c->table, 0);
	if (c->bounce)
		dma_free(c->bounce, IDE_BOUNCE_ORDER);
	return false;
}

static void probe_channel(struct ide_channel *c, u32 class, u16 master)
{
	if (class & INTERFACE_NATIVE(c->index)) {
		log_warn("IDE channel %u is in native mode: it is not used", c->index);
		return;
	}
	c->command = ports[c->index].command;
	c->control = ports[c->index].control;
	c->master = (u16)(master + 8 * c->index);
	ide_probe_channel(c);
	if (has_drives(c) && start(c))
		return;
	for (unsigned i = 0; i < IDE_DRIVES; i++)
		c->drives[i].block.sectors = 0;
}

void ide_probe(struct ide_channel channels[IDE_CHANNELS], struct pcibus_function *controller)
{
	struct pcibus_function f;
	u32 class, bar;

	for (unsigned i = 0; i < IDE_CHANNELS; i++) {
		channels[i].index = i;
		list_init(&channels[i].waiting);
	}
	if (!pcibus_find(PCIBUS_CLASS, CLASS_MASK, CLASS_IDE, 0, &f)) {
		log_info("no IDE controller");
		return;
	}
	*controller = f;
	class = pcibus_read(f, PCIBUS_CLASS);
	bar = pcibus_read(f, PCIBUS_BAR(BAR_MASTER));
	if (!(class & INTERFACE_MASTER) || !(bar & BAR_IO) || !(bar & 0xfff0)) {
		log_warn("the IDE controller does no DMA: it is not used");
		return;
	}
	pcibus_write(f, PCIBUS_COMMAND,
		     (pcibus_read(f, PCIBUS_COMMAND) & 0xffff) | PCIBUS_COMMAND_IO | PCIBUS_COMMAND_MASTER);
	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		probe_channel(&channels[i], class, (u16)(bar & 0xfff0));
}
