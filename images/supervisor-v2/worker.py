"""A supervised program: logs each signal and exits on the one named on its command line."""

import os
import signal
import sys
from types import FrameType

ENDING = signal.Signals[f"SIG{sys.argv[1]}"]
WORDS = {signal.SIGTERM: "terminate", signal.SIGQUIT: "quit"}


def say(text: str) -> None:
    """Writes a line with one write(2): unbuffered, and safe when a handler interrupts another."""
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
