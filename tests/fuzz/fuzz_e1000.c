/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against a whole 82540EM (M67): configuration space, both windows, descriptors and buffers
 * of any form and place, frames from another interface, a line with a limit, resets in the middle. Beyond
 * what the sanitizers see: frames come back, no more timers than there are, no more pages pinned than frames
 * can have, none when all is over, and after a reset the device works.
 *
 * An input is a sequence of 8-byte steps: what, where (24 bits), value (32 bits). Bit 6 of the first one
 * chooses pages of 2 MiB. */
#include "tests/unit/e1000_board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8
#define RING 16u

static const u32 hot[] = {CTRL,  MDIC,   ICR, ITR,  ICS,  IMS,   IMC,   RCTL, TCTL,   RDBAL,
			  RDLEN, RDH,    RDT, RDTR, RADV, TDBAL, TDLEN, TDH,  TDT,    TIDV,
			  TADV,  RXCSUM, MTA, RAL,  RAH,  EECD,  EERD,  0x18, 0x2804, 0x3804};

static void begin(u32 value)
{
	cfg_set(PCI_COMMAND, 2, 7);
	transmitter(8u << (value & 3));
	receiver(8u << (value >> 2 & 3), 2048u >> (value >> 4 & 3),
		 (value & 0x30) << 12 | BAM | (value & 0x20));
	reg_set(RXCSUM, value >> 8 & 0x300);
	if (value & 0x40)
		reg_set(IMS, ~0u);
	if (value & 0x80)
		reg_set(ITR, value >> 24);
}

static void descriptor(u32 w, u32 value)
{
	static const u64 kinds[] = {SEND,
				    EOP | RS,
				    IFCS,
				    SEND | IC | 50 << 16 | BIT(41) * 17,
				    SEND | DEXT | DATA | POPT_IP | POPT_TCP,
				    SEND | DEXT | DATA | TSE | POPT_IP | POPT_TCP,
				    IFCS | DEXT | DATA | TSE | POPT_IP | POPT_TCP,
				    SEND | IDE};
	gpa_t gpa = TX_RING + 16 * (w & (RING - 1));

	if (w & 0x800000) { /* a context, nearly right */
		u64 odd = w >> 8 & 0xff;
		set64(gpa, (IP | (IP + 10) << 8 | (L4 - 1) << 16 | (u64)(L4 | (L4 + 16) << 8) << 32) ^
			       odd << (w >> 4 & 7) * 8);
		set64(gpa + 8, DEXT | BIT(24) | BIT(25) | BIT(26) | 54ull << 40 | (u64)(value & 0xfff) << 48);
	} else {
		set64(gpa, w & 0x400000 ? (u64)value << 20 : TX_BUFFERS + (value >> 16 & 0x1ffff));
		set64(gpa + 8, kinds[w >> 8 & 7] | (value & (w & 0x200000 ? 0xffff : 0x7ff)));
	}
}

/* The other interface sends; what the device has queued may be in front. */
static void arrive(u32 w, u32 value)
{
	u32 length = 14 + (w & 0xfff);
	unsigned before = peer.back;

	make_frame(peer.sent, w & 0x800000 ? "\xff\xff\xff\xff\xff\xff" : MAC, PEER_MAC,
		   w & 0x400000 ? 17 : 6, MAX(length, 60u), w & 0x200000);
	peer.sent[value % 64] ^= (u8)(value >> 8);
	peer.piece = (struct piece){peer.sent, length};
	peer.out = (struct net_frame){
	    .pieces = &peer.piece, .nr_pieces = 1, .length = length, .complete = peer_complete};
	if (w & 0x100000)
		peer.out.offload =
		    (struct net_offload){.from = L4, .at = 16, .cut = (u16)(value >> 16 & 0x3ff)};
	net_send(&peer.port, &peer.out);
	for (unsigned i = 0; peer.back == before; i++) {
		MUST(i < 100);
		bridge_run(&lan);
	}
}

static void write_memory(u32 w, u32 value, unsigned n)
{
	static const gpa_t bases[] = {TX_RING, RX_RING, TX_BUFFERS, RX_BUFFERS};

	(void)gmem_write(&guest_ram, bases[w >> 20 & 3] + (w & 0xfff), &value, n);
}

static void step(const uint8_t *s)
{
	u32 w = s[1] | s[2] << 8 | (u32)s[3] << 16, value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24;
	unsigned size = 1u << (s[0] >> 4 & 3);
	u64 bar0 = bar_address(0), port = bar_address(2);

	peer.nr = 0;
	switch (s[0] & 15) {
	case 0:
		begin(value);
		break;
	case 1 ... 2:
		descriptor(w, value);
		break;
	case 3:
		reg_set(TDT, value & (RING - 1));
		break;
	case 4:
		reg_set(RDT, value & (RING - 1));
		break;
	case 5 ... 6:
		arrive(w, value);
		break;
	case 7:
		reg_set(hot[w % ARRAY_SIZE(hot)], value);
		break;
	case 8:
		board_write(w >> 23, w >> 23 ? port + (w & 7) : bar0 + (w & 0x5fff), size, value);
		break;
	case 9:
		board_read(w >> 23, w >> 23 ? port + (w & 7) : bar0 + (w & 0x1ffff), size);
		break;
	case 10:
		cfg_set(w & 0x3f, MIN(size, 4u), value);
		break;
	case 11:
		write_memory(w, value, MIN(size, 4u));
		break;
	case 12:
		make_frame(at(TX_BUFFERS + (w & 0xf00), 200), PEER_MAC, MAC, w & 1 ? 17 : 6, 60 + w % 140,
			   false);
		break;
	case 13:
		net_port_limit(&nic->port, value & 1 ? 0 : value, w);
		break;
	case 14:
		fake_run_until(shim_tsc + (value & 0xfffff));
		break;
	default:
		if (value % 16 == 0)
			e1000_nic.reset(nic);
		else
			reg_set(hot[value % 4 ? 18 : 12], w & (RING - 1));
	}
	MUST(fake_timers_armed() <= 3);
	MUST(guest_ram.pinned_pages <= E1000_POOL + NET_PIECES);
	MUST(interrupt() || !nic->irq.asserted || cfg(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
}

/* Whatever was done to it, it can be used again. */
static void works_again(void)
{
	net_port_limit(&nic->port, 0, 0);
	e1000_nic.reset(nic);
	MUST(guest_ram.pinned_pages == 0 && nic->tx.slot_head == nic->tx.slot_tail);
	cfg_set(PCI_BAR0, 4, 0xc0000000);
	cfg_set(PCI_BAR0 + 8, 4, 0xc000);
	begin(0x40);
	peer.nr = 0;
	make_frame(at(TX_BUFFERS, 100), PEER_MAC, MAC, 17, 100, true);
	tx_put(TX_BUFFERS, 100 | SEND);
	tx_ring();
	MUST(tx_done(0) && peer.nr == 1 && frame_ok(peer.frame[0]));
	make_frame(peer.sent, MAC, PEER_MAC, 17, 100, true);
	MUST(peer_send(100) && rx_take() & RX_EOP);
	MUST(reg(ICR) & RXT0 && !interrupt());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ram_large = size && data[0] & 0x40;
	create(0);
	for (; size >= STEP; data += STEP, size -= STEP)
		step(data);
	works_again();
	destroy();
	return 0;
}
