/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and descriptors of the Intel 82540EM. Source: PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual (317453, "8254x"): chapter 13 registers, chapter 3 descriptors, chapter 5
 * EEPROM.
 *
 * Registers are named by their place in struct e1000's `reg`, where the blocks of the address map that have
 * any follow one another; e1000_mmio.c has the way from an offset to there. */
#pragma once

#include "types.h"

/* Where the blocks begin in `reg`, and how many dwords they have. */
#define E1000_GENERAL 0u /* 0x0000 */
#define E1000_GENERAL_N 0x80u
#define E1000_TCONTROL (E1000_GENERAL + E1000_GENERAL_N) /* 0x0400 */
#define E1000_TCONTROL_N 0x20u
#define E1000_LED (E1000_TCONTROL + E1000_TCONTROL_N) /* 0x0e00 */
#define E1000_LED_N 1u
#define E1000_PACKET_BUFFER (E1000_LED + E1000_LED_N) /* 0x1000 */
#define E1000_PACKET_BUFFER_N 1u
#define E1000_FLOW (E1000_PACKET_BUFFER + E1000_PACKET_BUFFER_N) /* 0x2160 */
#define E1000_FLOW_N 3u
#define E1000_RECEIVE (E1000_FLOW + E1000_FLOW_N) /* 0x2800 */
#define E1000_RECEIVE_N 12u
#define E1000_TRANSMIT (E1000_RECEIVE + E1000_RECEIVE_N) /* 0x3800 */
#define E1000_TRANSMIT_N 13u
#define E1000_STATISTICS (E1000_TRANSMIT + E1000_TRANSMIT_N) /* 0x4000 */
#define E1000_STATISTICS_N 0x40u
#define E1000_CHECKSUM (E1000_STATISTICS + E1000_STATISTICS_N) /* 0x5000 */
#define E1000_CHECKSUM_N 1u
#define E1000_MTA (E1000_CHECKSUM + E1000_CHECKSUM_N) /* 0x5200 */
#define E1000_MTA_N 0x80u
#define E1000_RA (E1000_MTA + E1000_MTA_N) /* 0x5400 */
#define E1000_RA_N 0x20u
#define E1000_VFTA (E1000_RA + E1000_RA_N) /* 0x5600 */
#define E1000_VFTA_N 0x80u
#define E1000_WAKE (E1000_VFTA + E1000_VFTA_N) /* 0x5800 */
#define E1000_WAKE_N 0x10u
#define E1000_REGS (E1000_WAKE + E1000_WAKE_N)

/* ---- general: 13.4.1 to 13.4.21 ---- */
#define E1000_CTRL (E1000_GENERAL + 0x000 / 4)
#define E1000_CTRL_DUP (E1000_GENERAL + 0x004 / 4)
#define E1000_STATUS (E1000_GENERAL + 0x008 / 4)
#define E1000_EECD (E1000_GENERAL + 0x010 / 4)
#define E1000_EERD (E1000_GENERAL + 0x014 / 4)
#define E1000_CTRL_EXT (E1000_GENERAL + 0x018 / 4)
#define E1000_MDIC (E1000_GENERAL + 0x020 / 4)
#define E1000_FCAL (E1000_GENERAL + 0x028 / 4)
#define E1000_FCAH (E1000_GENERAL + 0x02c / 4)
#define E1000_FCT (E1000_GENERAL + 0x030 / 4)
#define E1000_VET (E1000_GENERAL + 0x038 / 4)
#define E1000_ICR (E1000_GENERAL + 0x0c0 / 4)
#define E1000_ITR (E1000_GENERAL + 0x0c4 / 4)
#define E1000_ICS (E1000_GENERAL + 0x0c8 / 4)
#define E1000_IMS (E1000_GENERAL + 0x0d0 / 4)
#define E1000_IMC (E1000_GENERAL + 0x0d8 / 4)
#define E1000_RCTL (E1000_GENERAL + 0x100 / 4)
#define E1000_FCTTV (E1000_GENERAL + 0x170 / 4)
#define E1000_TXCW (E1000_GENERAL + 0x178 / 4)

#define E1000_CTRL_FD 0x00000001u
#define E1000_CTRL_SPEED_1000 0x00000200u
#define E1000_CTRL_RST 0x04000000u
#define E1000_CTRL_PHY_RST 0x80000000u
#define E1000_CTRL_EXT_EE_RST 0x00002000u

#define E1000_STATUS_FD 0x001u
#define E1000_STATUS_LU 0x002u
#define E1000_STATUS_1000 0x280u /* SPEED and ASDV */

#define E1000_EECD_SK 0x001u
#define E1000_EECD_CS 0x002u
#define E1000_EECD_DI 0x004u
#define E1000_EECD_DO 0x008u
#define E1000_EECD_FWE 0x030u
#define E1000_EECD_REQ 0x040u
#define E1000_EECD_GNT 0x080u
#define E1000_EECD_PRES 0x100u

#define E1000_EERD_START 0x01u
#define E1000_EERD_DONE 0x10u

#define E1000_MDIC_WRITE 1u /* operation, bits 27:26 */
#define E1000_MDIC_READ 2u
#define E1000_MDIC_R 0x10000000u
#define E1000_MDIC_I 0x20000000u
#define E1000_MDIC_E 0x40000000u

/* Causes of interrupts: ICR, ICS, IMS, IMC. */
#define E1000_INT_TXDW 0x00001u
#define E1000_INT_TXQE 0x00002u
#define E1000_INT_LSC 0x00004u
#define E1000_INT_RXDMT0 0x00010u
#define E1000_INT_RXO 0x00040u
#define E1000_INT_RXT0 0x00080u
#define E1000_INT_MDAC 0x00200u
#define E1000_INT_ALL 0x1ffffu

#define E1000_ITR_NS 256u      /* unit of ITR */
#define E1000_DELAY_NS 1024u   /* of RDTR, RADV, TIDV, TADV */
#define E1000_RDTR_FPD BIT(31) /* flush partial descriptor block */

#define E1000_RCTL_EN 0x00000002u
#define E1000_RCTL_UPE 0x00000008u
#define E1000_RCTL_MPE 0x00000010u
#define E1000_RCTL_LPE 0x00000020u
#define E1000_RCTL_RDMTS_SHIFT 8
#define E1000_RCTL_MO_SHIFT 12
#define E1000_RCTL_BAM 0x00008000u
#define E1000_RCTL_BSIZE_SHIFT 16
#define E1000_RCTL_BSEX 0x02000000u
#define E1000_RCTL_SECRC 0x04000000u

/* ---- transmit control, 13.4.33 ---- */
#define E1000_TCTL (E1000_TCONTROL + 0x00 / 4)
#define E1000_TIPG (E1000_TCONTROL + 0x10 / 4)
#define E1000_AIFS (E1000_TCONTROL + 0x58 / 4)
#define E1000_TCTL_EN 0x2u
#define E1000_TCTL_PSP 0x8u

/* ---- rings: 13.4.25 to 13.4.32 and 13.4.35 to 13.4.43 ---- */
#define E1000_RDBAL (E1000_RECEIVE + 0x00 / 4)
#define E1000_RDBAH (E1000_RECEIVE + 0x04 / 4)
#define E1000_RDLEN (E1000_RECEIVE + 0x08 / 4)
#define E1000_RDH (E1000_RECEIVE + 0x10 / 4)
#define E1000_RDT (E1000_RECEIVE + 0x18 / 4)
#define E1000_RDTR (E1000_RECEIVE + 0x20 / 4)
#define E1000_RXDCTL (E1000_RECEIVE + 0x28 / 4)
#define E1000_RADV (E1000_RECEIVE + 0x2c / 4)
#define E1000_TDBAL (E1000_TRANSMIT + 0x00 / 4)
#define E1000_TDBAH (E1000_TRANSMIT + 0x04 / 4)
#define E1000_TDLEN (E1000_TRANSMIT + 0x08 / 4)
#define E1000_TDH (E1000_TRANSMIT + 0x10 / 4)
#define E1000_TDT (E1000_TRANSMIT + 0x18 / 4)
#define E1000_TIDV (E1000_TRANSMIT + 0x20 / 4)
#define E1000_TXDCTL (E1000_TRANSMIT + 0x28 / 4)
#define E1000_TADV (E1000_TRANSMIT + 0x2c / 4)
#define E1000_TSPMT (E1000_TRANSMIT + 0x30 / 4)
#define E1000_RING_BASE 0xfffffff0u
#define E1000_RING_BYTES 0x000fff80u

/* ---- statistics, 13.7: all of them clear when read ---- */
#define E1000_MPC (E1000_STATISTICS + 0x10 / 4)
#define E1000_PRC64 (E1000_STATISTICS + 0x5c / 4) /* six by size */
#define E1000_GPRC (E1000_STATISTICS + 0x74 / 4)
#define E1000_BPRC (E1000_STATISTICS + 0x78 / 4)
#define E1000_MPRC (E1000_STATISTICS + 0x7c / 4)
#define E1000_GPTC (E1000_STATISTICS + 0x80 / 4)
#define E1000_GORC (E1000_STATISTICS + 0x88 / 4) /* these four have two dwords */
#define E1000_GOTC (E1000_STATISTICS + 0x90 / 4)
#define E1000_TOR (E1000_STATISTICS + 0xc0 / 4)
#define E1000_TOT (E1000_STATISTICS + 0xc8 / 4)
#define E1000_RNBC (E1000_STATISTICS + 0xa0 / 4)
#define E1000_ROC (E1000_STATISTICS + 0xac / 4)
#define E1000_TPR (E1000_STATISTICS + 0xd0 / 4)
#define E1000_TPT (E1000_STATISTICS + 0xd4 / 4)
#define E1000_PTC64 (E1000_STATISTICS + 0xd8 / 4) /* six by size */
#define E1000_MPTC (E1000_STATISTICS + 0xf0 / 4)
#define E1000_BPTC (E1000_STATISTICS + 0xf4 / 4)
#define E1000_TSCTC (E1000_STATISTICS + 0xf8 / 4)
#define E1000_TSCTFC (E1000_STATISTICS + 0xfc / 4)

/* ---- receive checksum, addresses ---- */
#define E1000_RXCSUM E1000_CHECKSUM
#define E1000_RXCSUM_IPOFL 0x100u
#define E1000_RXCSUM_TUOFL 0x200u
#define E1000_RAH_AV BIT(31)
#define E1000_RAH_AS_SHIFT 16

/* ---- descriptors: 16 bytes, an address and a word of fields ---- */
#define E1000_DESC_BYTES 16u
/* Receive, 3.2.3: length 15:0, checksum, status 39:32, errors 47:40. */
#define E1000_RX_DD BIT(32)
#define E1000_RX_EOP BIT(33)
#define E1000_RX_IXSM BIT(34)
#define E1000_RX_TCPCS BIT(37)
#define E1000_RX_IPCS BIT(38)
#define E1000_RX_PIF BIT(39)
#define E1000_RX_TCPE BIT(45)
#define E1000_RX_IPE BIT(46)
/* Transmit, 3.3.3 (legacy: length 15:0, CSO 23:16, CSS 47:40), 3.3.6 and 3.3.7. */
#define E1000_TX_EOP BIT(24)
#define E1000_TX_IFCS BIT(25)
#define E1000_TX_IC BIT(26)  /* legacy; in the other two: */
#define E1000_TX_TSE BIT(26) /* TCP segmentation */
#define E1000_TX_RS BIT(27)
#define E1000_TX_DEXT BIT(29)
#define E1000_TX_IDE BIT(31)
#define E1000_TX_DD BIT(32)
#define E1000_TX_IXSM BIT(40) /* data: POPTS */
#define E1000_TX_TXSM BIT(41)
#define E1000_TX_TYPE(fields) ((fields) >> 20 & 15) /* with DEXT */
#define E1000_TX_CONTEXT 0u
#define E1000_TX_DATA 1u
#define E1000_TX_LENGTH 0xfffffu /* with DEXT */
#define E1000_CONTEXT_TCP BIT(24)
#define E1000_CONTEXT_IP BIT(25) /* IPv4 */
