/* SPDX-License-Identifier: Apache-2.0 */
/* Short integer names and address types, used by every folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;

/* Guest-physical, host-physical and guest-linear addresses, in bytes. */
typedef u64 gpa_t;
typedef u64 hpa_t;
typedef u64 gva_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE ((u64)4096)
#define PAGE_SIZE_2M ((u64)1 << 21)
#define PAGE_SIZE_1G ((u64)1 << 30)
