/* SPDX-License-Identifier: Apache-2.0 */
/* Text on the framebuffer. The caller holds the console's lock. */
#pragma once

#include "boot_info.h"
#include "lib.h"

/* pixels: where fb->base is mapped. */
void fb_init(const struct boot_framebuffer *fb, void *pixels);
void fb_write(const char *buf, size_t n);
