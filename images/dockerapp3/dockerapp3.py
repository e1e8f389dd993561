"""Parent and child, each ready to end in order on SIGTERM; the parent tells its child nothing.

Whoever signals the parent alone (as a container's stop does) ends the child without a word: the kernel kills
what is left in a PID namespace whose first process has ended.
"""

import os
import signal
import sys
from types import FrameType


def say(text: str) -> None:
    """One line in one write(2): two processes share the stream, and a handler may interrupt another."""
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
