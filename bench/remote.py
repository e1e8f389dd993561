"""Measures the start of the screens on an engine that is reached over ssh, through a server of the benchmark's own."""

import os
import re
import tempfile
import time
from pathlib import Path

from tests.support.ssh_server import ssh_server
from tests.support.terminal import Terminal

LIMIT_S = 60.0


def starts_over_ssh(endpoint: str, program: Path, rows: re.Pattern[str], runs: int) -> list[float | None]:
    """Returns the seconds from each start to ten rows on the screen, after one start that is not counted.

    `endpoint`: the Unix socket of an engine of this machine. None: never reached.
    """
    terminal = Terminal(160, 50)
    with tempfile.TemporaryDirectory() as folder, ssh_server(Path(folder)) as server:
        environment = {
            "PATH": os.pathsep.join((str(server.bin), os.environ["PATH"])),
            "HOME": os.environ.get("HOME", "/root"),
            "TERM": "tmux-256color",
            "LANG": "C.UTF-8",
        }

        def start() -> float | None:
            began = terminal.run(f"{program} --host {server.url(endpoint)}", environment)
            seen = terminal.wait(lambda: len(set(rows.findall("\n".join(terminal.screen())))) >= 10, LIMIT_S, 0.005)
            terminal.end_program()
            time.sleep(0.5)
            return None if seen is None else seen - began

        try:
            start()
            return [start() for _ in range(runs)]
        finally:
            terminal.close()
