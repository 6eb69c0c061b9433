# SPDX-License-Identifier: Apache-2.0
"""Ends a program by a signal as if it had ended itself: what has to be cleaned up is."""
import signal
import sys

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def on_signal(number, _frame):
    for other in ENDING:   # cleaning up is not interrupted
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def end_tidily():
    """From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT raise SystemExit; what ignores one of them goes on doing so (nohup)."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
