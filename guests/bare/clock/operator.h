/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "test.h"

/* Ends when the operator has paused the VM and then set its wall clock. */
void operator_test(void);
