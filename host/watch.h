/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that do not answer, while somebody waits for them. */
#pragma once

/* About once a second while requests are at a disk: as disk_check(). */
void disk_poll(void);
