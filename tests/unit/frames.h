/* SPDX-License-Identifier: Apache-2.0 */
/* A page allocator for tests that watch frames: it knows who is free, lets a block come back in
 * pieces, aligns 1 GiB blocks, hands out scattered frames, and fails where it is told to. Any thread. */
#pragma once

#include "shim.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "host.h"

#define FRAMES ((u64)3 << 18) /* 3 GiB of address space, touched only where a test does */

static u8 *frames_base;
static u8 frame_used[FRAMES];
static u64 frames_in_use, frames_cursor;
static long frames_fail_after = -1; /* >= 0: page_alloc() fails after that many calls */
static unsigned frames_max_order = 18;
static void (*frames_hook)(void); /* called once, before the next allocation: another CPU's turn */
static pthread_mutex_t frames_lock = PTHREAD_MUTEX_INITIALIZER;

static bool block_is_free(u64 first, u64 pages)
{
	for (u64 i = first; i < first + pages; i++) {
		if (frame_used[i])
			return false;
	}
	return true;
}

static u8 *frames_memory(void)
{
	const size_t size = FRAMES * PAGE_SIZE, align = PAGE_SIZE_1G;

	if (!frames_base) {
		u8 *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		assert_true(p != MAP_FAILED);
		frames_base = (u8 *)ALIGN_UP((u64)p, align);
	}
	return frames_base;
}

/* Fresh memory is zero, for page_free() gives it back to the kernel. Steps of a prime number of
 * blocks, so that what was asked for in a row never lies in a row. */
hpa_t page_alloc_zeroed(unsigned order)
{
	u64 pages = (u64)1 << order, blocks = FRAMES / pages, first = 0;
	void (*hook)(void) = frames_hook;
	hpa_t pa = PAGE_NONE;

	if (hook) {
		frames_hook = NULL;
		hook();
	}
	pthread_mutex_lock(&frames_lock);
	frames_memory();
	if (frames_fail_after != 0 && order <= frames_max_order) {
		for (u64 i = 0; i < blocks && pa == PAGE_NONE; i++) {
			frames_cursor += 7919;
			first = frames_cursor % blocks * pages;
			if (!block_is_free(first, pages))
				continue;
			memset(frame_used + first, 1, pages);
			frames_in_use += pages;
			pa = virt_to_phys(frames_base + first * PAGE_SIZE);
		}
	}
	if (frames_fail_after > 0)
		frames_fail_after--;
	pthread_mutex_unlock(&frames_lock);
	return pa;
}

hpa_t page_alloc(unsigned order)
{
	hpa_t pa = page_alloc_zeroed(order);

	if (pa != PAGE_NONE)
		memset(phys_to_virt(pa), 0xa5, (size_t)PAGE_SIZE << order);
	return pa;
}

void page_free(hpa_t pa, unsigned order)
{
	u64 pages = (u64)1 << order, first = (u64)((u8 *)phys_to_virt(pa) - frames_base) / PAGE_SIZE;

	pthread_mutex_lock(&frames_lock);
	assert_true(first < FRAMES && first % pages == 0);
	for (u64 i = first; i < first + pages; i++) {
		assert_int_equal(frame_used[i], 1); /* freed once, and only what was allocated */
		frame_used[i] = 0;
	}
	frames_in_use -= pages;
	assert_int_equal(madvise(phys_to_virt(pa), pages * PAGE_SIZE, MADV_DONTNEED), 0);
	pthread_mutex_unlock(&frames_lock);
}

static bool (*frames_release)(void);

void page_on_shortage(bool (*release)(void))
{
	frames_release = release;
}

u64 page_count_free(void)
{
	return FRAMES - frames_in_use;
}
