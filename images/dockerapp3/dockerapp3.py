"""Parent and child, both with a clean shutdown on SIGTERM; the parent forwards nothing to its child.

A container's stop signals only the parent, so the child gets no SIGTERM: after the exit of PID 1 the kernel
kills all other processes of the PID namespace.
"""

import os
import signal
import sys
from types import FrameType


def say(text: str) -> None:
    """Writes a line with one write(2): safe for two processes, and when a handler interrupts another."""
    os.write(1, f"{text}\n".encode())


def handle(number: int, frame: FrameType | None) -> None:
    say(f"{os.getpid()}: handle signal: {signal.Signals(number).name}")
    if number == signal.SIGTERM:
        say(f"{os.getpid()}: signal terminate received, app exit normally")
        sys.exit(0)


for each in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
    signal.signal(each, handle)
child = os.fork()
if child == 0:
    say(f"i am in child process, pid = {os.getpid()}")
else:
    say(f"i am parent process, pid = {os.getpid()}")
    say(f"fork ok, childpid = {child}")
while True:
    signal.pause()
