/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and descriptors of the Intel 82540EM (PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual, 317453, chapters 3 and 13). */
#pragma once

#include "lib.h"

#define E1000_ID 0x100e8086u
#define E1000_BAR_BYTES 0x20000u

/* In bytes from the start of BAR 0. */
#define E1000_CTRL 0x0000u
#define E1000_STATUS 0x0008u
#define E1000_EERD 0x0014u
#define E1000_ICR 0x00c0u /* reading clears it */
#define E1000_ITR 0x00c4u /* at least so many units of 256 ns between interrupts */
#define E1000_IMS 0x00d0u
#define E1000_IMC 0x00d8u
#define E1000_RCTL 0x0100u
#define E1000_TCTL 0x0400u
#define E1000_TIPG 0x0410u
#define E1000_RDBAL 0x2800u
#define E1000_RDBAH 0x2804u
#define E1000_RDLEN 0x2808u
#define E1000_RDH 0x2810u
#define E1000_RDT 0x2818u
#define E1000_TDBAL 0x3800u
#define E1000_TDBAH 0x3804u
#define E1000_TDLEN 0x3808u
#define E1000_TDH 0x3810u
#define E1000_TDT 0x3818u
#define E1000_MTA 0x5200u /* 128 words */
#define E1000_RAL 0x5400u
#define E1000_RAH 0x5404u

#define E1000_CTRL_ASDE 0x00000020u /* speed by auto-negotiation */
#define E1000_CTRL_SLU 0x00000040u  /* link up */
#define E1000_CTRL_RST 0x04000000u
/* Word n of the EEPROM: written with n << 8, read in the upper half when it is done. The first three are the
 * address. */
#define E1000_EERD_START 0x01u
#define E1000_EERD_DONE 0x10u
#define E1000_STATUS_LU 0x2u
#define E1000_INT_LSC 0x04u
#define E1000_INT_RXDMT0 0x10u /* few receive descriptors are left */
#define E1000_INT_RXO 0x40u
#define E1000_INT_RXT0 0x80u
#define E1000_RCTL_EN 0x00000002u
#define E1000_RCTL_UPE 0x00000008u /* frames for any address: behind the card is a bridge */
#define E1000_RCTL_MPE 0x00000010u
#define E1000_RCTL_BAM 0x00008000u
#define E1000_RCTL_SECRC 0x04000000u /* leaves the checksum field out; buffers have 2048 bytes */
#define E1000_TCTL_EN 0x00000002u
#define E1000_TCTL_PSP 0x00000008u   /* pads short frames */
#define E1000_TCTL_TIMES 0x000400f0u /* collision threshold 15, distance 64 (13.4.33) */
#define E1000_TIPG_COPPER 0x0060200au
#define E1000_RAH_AV 0x80000000u

struct e1000_rx {
	u64 address;
	u16 length, checksum;
	u8 status, errors;
	u16 special;
};
#define E1000_RX_DONE 0x01u
#define E1000_RX_END 0x02u /* of the packet */

struct e1000_tx {
	u64 address;
	u16 length;
	u8 checksum_offset, command, status, checksum_start;
	u16 special;
};
#define E1000_TX_END 0x01u
#define E1000_TX_IFCS 0x02u /* the card makes the checksum field */
#define E1000_TX_REPORT 0x08u
#define E1000_TX_DONE 0x01u

_Static_assert(sizeof(struct e1000_rx) == 16 && sizeof(struct e1000_tx) == 16, "as the card has them");
