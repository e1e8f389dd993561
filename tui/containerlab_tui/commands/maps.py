"""`maps`, `maps read`: lists and dumps the files that a container's processes have mapped."""

import argparse
from collections import Counter

from containerlab_probes.errors import Gone
from containerlab_tui.commands import common, memory_text
from containerlab_tui.model.views import FilesView
from containerlab_tui.present import documents
from containerlab_tui.present.safe_text import safe
from containerlab_tui.services.inspection import Inspector, inspector


def run(arguments: argparse.Namespace) -> int:
    """Returns 0. Raises Gone (no such container, process or mapping), BadRequest, Denied."""
    is_list = arguments.command == "maps"
    with_private = is_list and (arguments.private or arguments.json or not _hides_private(arguments))
    engine = common.engine(arguments)
    with inspector(engine, engine.inspect(arguments.name), engine.policy) as opened:
        return _maps(arguments, opened, with_private) if is_list else _maps_read(arguments, opened)


def _hides_private(arguments: argparse.Namespace) -> bool:
    """Returns the setting. Raises BadRequest where it could not be used."""
    return common.settings(arguments, "hide_private_mappings").settings.hide_private_mappings


def _maps(arguments: argparse.Namespace, inspector: Inspector, with_private: bool) -> int:
    whole = inspector.files()
    rows = tuple(row for row in whole.rows if row.mapping.shared or with_private)
    view = FilesView(rows, whole.unread)
    if arguments.json:
        common.answer(documents.maps(inspector.details.name, view))
        return 0
    cells = [
        (
            str(row.process.container_pid),
            row.mapping.range,
            row.mapping.permissions,
            str(row.mapping.bytes),
            "—" if row.mapping.file_bytes is None else str(row.mapping.file_bytes),
            row.backing.value if row.backing else "unknown",
            row.mapping.path,
            memory_text.survival_words(row.survives),
        )
        for row in view.rows
    ]
    headings = ("IN", "RANGE", "PERM", "BYTES", "FILE", "BACKING", "PATH", "SURVIVES")
    common.say(common.table(headings, cells, right=(0, 3, 4)) if cells else safe("No shared mappings of files."))
    hidden = len(whole.rows) - len(rows)
    if hidden:
        common.tell(safe(f"Private mappings (programs, libraries) not shown: {hidden}. Show them with --private."))
    for reason, count in Counter(row.reason for row in view.rows if row.backing is None).items():
        common.tell(safe(f"Storage unknown ({count} of {len(view.rows)} mappings): {reason}"))
    common.tell_partial(*view.unread)
    return 0


def _maps_read(arguments: argparse.Namespace, inspector: Inspector) -> int:
    for row in inspector.files().rows:
        if row.process.container_pid == arguments.pid and row.mapping.range == arguments.range:
            read = inspector.read_mapping(row.mapping, *memory_text.window(arguments))
            of: documents.Document = {"container_pid": arguments.pid, "range": arguments.range}
            return memory_text.print_bytes(arguments, inspector, of, read)
    raise Gone(
        f"Process {arguments.pid} of {inspector.details.name} has no mapping {arguments.range}; "
        f"list them with `maps {inspector.details.name}`."
    )
