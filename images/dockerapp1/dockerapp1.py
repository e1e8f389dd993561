"""Says which signal came and carries on; ends on SIGTERM, having said so."""

import os
import signal
import sys
from types import FrameType


def say(text: str) -> None:
    """One line in one write(2): nothing is left in a buffer, and a handler may interrupt another."""
    os.write(1, f"{text}\n".encode())


def handle(number: int, frame: FrameType | None) -> None:
    say(f"handle signal: {signal.Signals(number).name}")
    if number == signal.SIGTERM:
        say("signal terminate received, app exit normally")
        sys.exit(0)


for each in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
    signal.signal(each, handle)
say(f"waiting for signals, pid = {os.getpid()}")
while True:
    signal.pause()
