"""Logs each signal and keeps running: only SIGKILL ends it."""

import os
import signal
from types import FrameType


def say(text: str) -> None:
    """Writes a line with one write(2): unbuffered, and safe when a handler interrupts another."""
    os.write(1, f"{text}\n".encode())


def handle(number: int, frame: FrameType | None) -> None:
    say(f"handle signal: {signal.Signals(number).name}")


for each in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
    signal.signal(each, handle)
say(f"waiting for signals, pid = {os.getpid()}")
while True:
    signal.pause()
