"""A program without signal handlers: every signal has its default action."""

import os
import signal
import time

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python alone would turn it into KeyboardInterrupt
print(f"no handlers here, pid = {os.getpid()}, parent = {os.getppid()}", flush=True)
while True:
    time.sleep(3600)
