"""A supervised program: ends on the one signal that its command line names, having said so."""

import os
import signal
import sys
from types import FrameType

ENDING = signal.Signals[f"SIG{sys.argv[1]}"]
WORDS = {signal.SIGTERM: "terminate", signal.SIGQUIT: "quit"}


def say(text: str) -> None:
    """One line in one write(2): nothing is left in a buffer, and a handler may interrupt another."""
    os.write(1, f"{text}\n".encode())


def handle(number: int, frame: FrameType | None) -> None:
    say(f"handle signal: {signal.Signals(number).name}")
    if number == ENDING:
        say(f"signal {WORDS.get(ENDING, ENDING.name)} received, app exit normally")
        sys.exit(0)


for each in {signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, ENDING}:
    signal.signal(each, handle)
say(f"waiting for signals, pid = {os.getpid()}")
while True:
    signal.pause()
