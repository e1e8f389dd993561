"""Shared by `ipc` and `maps`: windows of bytes, the text for survival, and unread parts."""

import argparse

from containerlab_probes.errors import BadRequest
from containerlab_probes.memory_records import WINDOW_LIMIT, Window
from containerlab_tui.commands import common
from containerlab_tui.model.survival import Survival
from containerlab_tui.present import documents, hexdump
from containerlab_tui.present.safe_text import safe, safe_block
from containerlab_tui.services.inspection import Inspector


def window(arguments: argparse.Namespace) -> tuple[int, int]:
    """Returns offset and length. Raises BadRequest."""
    if arguments.offset < 0 or not 0 < arguments.length <= WINDOW_LIMIT:
        raise BadRequest(f"--offset must not be negative, and --length must be from 1 to {WINDOW_LIMIT}.")
    return arguments.offset, arguments.length


def survival_words(survives: Survival) -> str:
    """Returns the events that an object survives, e.g. `process exit, restart`; `?` marks unknown ones."""
    answers = {
        "process exit": survives.process_exit,
        "restart": survives.stop_start,
        "removal": survives.remove,
        "host reboot": survives.host_reboot,
    }
    survived = [words + ("?" if answer == "unknown" else "") for words, answer in answers.items() if answer != "no"]
    return ", ".join(survived) or "nothing"


def print_bytes(arguments: argparse.Namespace, inspector: Inspector, of: documents.Document, read: Window) -> int:
    """Prints a window as a hexadecimal dump, or as JSON; returns the exit status."""
    if arguments.json:
        common.answer(documents.window(inspector.details.name, of, read))
        return 0
    if read.data:
        common.say(safe_block(hexdump.lines(read)))
    else:
        common.tell(safe(f"No bytes at offset {read.offset}: the size is {read.total} bytes."))
    return 0
