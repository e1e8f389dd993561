"""`enter`: runs a program in a container on this terminal."""

import argparse

from containerlab_probes.errors import BadRequest
from containerlab_tui.commands import common
from containerlab_tui.model.entry import Entry, Way
from containerlab_tui.present.safe_text import safe, safe_block
from containerlab_tui.services.policy import Operation


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status of the program. Raises as `services.enter.enter`."""
    entry = _entry(arguments)
    engine = common.changing_engine(arguments, f"enter {safe(arguments.name)}", Operation.ENTER)
    from containerlab_tui.services.enter import enter

    shell = common.settings(arguments).settings.shell
    visit = enter(engine, engine.inspect(arguments.name), entry, engine.policy, shell)
    common.tell(safe_block(visit.sentences))
    return visit.status


def _entry(arguments: argparse.Namespace) -> Entry:
    """Returns what was asked for. Raises BadRequest for options that exclude each other."""
    if arguments.json:
        raise BadRequest("`enter` has no JSON output: its program has the terminal.")
    if arguments.host_tools and arguments.user:
        raise BadRequest("--host-tools enters as root; leave --user out.")
    if not arguments.host_tools and (arguments.host_files or arguments.full_rights):
        raise BadRequest("--host-files and --full-rights need --host-tools.")
    way = Way.HOST_TOOLS if arguments.host_tools else Way.CONFINED
    return Entry(way, tuple(arguments.program), arguments.user, arguments.host_files, arguments.full_rights)
