"""`lab up`, `lab down`, `lab status`: manages the private engine, its images and demonstration containers."""

import argparse
import sys

from containerlab_tui.commands import common
from containerlab_tui.lab.lab import Lab, LabStatus
from containerlab_tui.lab.progress import Progress
from containerlab_tui.present.documents import SCHEMA, Document
from containerlab_tui.present.safe_text import safe, safe_block

BAR_WIDTH = 30


def run(arguments: argparse.Namespace) -> int:
    """Returns 0. Raises Denied (not root), Unsupported (a package is missing), Unreachable (dockerd failed)."""
    lab = Lab()
    match arguments.action:
        case "up":
            endpoint = up(lab)
            if arguments.json:
                common.answer(_document(lab.status()))
            else:
                common.say(safe(f"The lab is running: {endpoint}"))
        case "down":
            ended = lab.down(purge=arguments.purge)
            if arguments.json:
                common.answer({"schema": SCHEMA, "ended": ended, "purged": arguments.purge})
            else:
                common.say(safe("The lab is stopped" + (" and its data is removed." if arguments.purge else ".")))
        case _:
            status = lab.status()
            if arguments.json:
                common.answer(_document(status))
            else:
                _print(status)
    return 0


def up(lab: Lab) -> str:
    """Starts the lab with a progress bar on standard error; returns its endpoint."""
    bar = ProgressBar(live=sys.stderr.isatty())
    try:
        return lab.up(bar)
    finally:
        bar.close()


class ProgressBar:
    """Progress as one updated line on a terminal, as one line for each step elsewhere. Silent without steps."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._drawn = False
        self._last = ""

    def __call__(self, progress: Progress) -> None:
        filled = BAR_WIDTH * progress.step // max(1, progress.total)
        bar = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}]"
        text = safe(f"{bar} {progress.step}/{progress.total} {progress.text}")
        if self._live:
            sys.stderr.write(f"\r\x1b[K{text[:100]}")
            sys.stderr.flush()
            self._drawn = True
        elif text != self._last:
            common.tell(text)
        self._last = text

    def close(self) -> None:
        """Clears the line on a terminal."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _document(status: LabStatus) -> Document:
    return {
        "schema": SCHEMA,
        "endpoint": status.endpoint,
        "running": status.running,
        "pid": status.pid,
        "images": [{"name": name, "current": current} for name, current in status.images],
        "containers": [{"name": name, "state": state} for name, state in status.containers],
        "data": str(status.data),
        "log": str(status.log),
    }


def _print(status: LabStatus) -> None:
    running = (
        f"running (pid {status.pid})" if status.running else "not running; start it with `containerlab-tui lab up`"
    )
    common.say(safe_block((f"engine      {status.endpoint}", f"            {running}")))
    common.say(safe_block((f"data        {status.data}", f"log         {status.log}", "")))
    images = [(name, "yes" if done else "no") for name, done in status.images]
    common.say(common.table(("IMAGE", "BUILT"), images))
    common.say(safe(""))
    common.say(common.table(("CONTAINER", "STATE"), list(status.containers)))
