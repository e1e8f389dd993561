"""Enters a container: inside its confinement through the engine, or with the host's tools.

Either way the program has another terminal and another session (setsid) than the user; `relay` connects the two.
"""

import os
from contextlib import closing, suppress

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unsupported
from containerlab_probes.processes.membership import membership_of
from containerlab_probes.records import ContainerRun
from containerlab_tui.doctor.gather_files import ContainerReader
from containerlab_tui.engine.api import Engine, ExecRequest
from containerlab_tui.model.entry import Entry, Shells, Visit, Way
from containerlab_tui.model.inventory import PAUSED, Details
from containerlab_tui.present import entering
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services import host_session
from containerlab_tui.services.confined_session import ConfinedSession
from containerlab_tui.services.host_session import HostSession
from containerlab_tui.services.policy import Operation, Policy
from containerlab_tui.services.processes import run_of
from containerlab_tui.services.relay import Relay, size_of
from containerlab_tui.services.terminal import restored, say, user_terminal

SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/ash", "/busybox/sh")
"""Searched in this order."""
UNSEARCHED = "sh"
"""The shell of a container whose files can't be read from here; the engine searches it in the container's PATH."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def look_up_shells(engine: Engine, details: Details, wanted: str = "") -> Shells:
    """Returns the shells of a running container; runs none of its programs. `wanted` comes first if it exists."""
    if not engine.local:
        return Shells(unknown="The container runs on another machine.")
    can_trace = False
    paths = (wanted, *SHELLS) if wanted.startswith("/") else SHELLS
    try:
        can_trace = host_session.may_trace(details.pid)
        init = run_of(details).init
        with ContainerReader(init) as reader, reader.view(init) as view:
            found = tuple(path for path in dict.fromkeys(paths) if view.is_program(path))
    except ContainerlabError as error:
        return Shells(unknown=str(error), can_trace=can_trace)
    return Shells(found, "" if found else " ".join(reader.unread), can_trace)


def command_of(entry: Entry, shells: Shells) -> tuple[str, ...]:
    """Returns the command that an entry runs. Raises Unsupported if no shell is known."""
    if entry.command:
        return entry.command
    if entry.way is Way.HOST_TOOLS and entry.host_files:
        own = os.environ.get("SHELL", "")
        return (own if own.startswith("/") and os.access(own, os.X_OK) else "/bin/sh",)
    if shells.found:
        return shells.found[:1]
    if shells.unknown and entry.way is Way.CONFINED:
        return (UNSEARCHED,)
    raise Unsupported(
        shells.unknown or "The image has no shell: name one of its programs, or enter with the host's files."
    )


def enter(engine: Engine, details: Details, entry: Entry, policy: Policy, shell: str = "") -> Visit:
    """Runs a program in a container on the user's terminal, until it exits or the user leaves with Ctrl+].

    `shell` is the preferred one if `entry` names no command. Raises `Gone` (not running), `BadRequest` (paused),
    `Denied`, `Unsupported` (no terminal, a remote engine, no shell), and as `Engine.execute`.
    """
    policy.require(Operation.ENTER, f"enter {details.name}")
    if not details.pid:
        raise Gone(f"{details.name} is not running. Start it first.")
    if details.state == PAUSED:
        raise BadRequest(f"{details.name} is paused. Resume it first.")  # its cgroup would freeze what enters it
    terminal = user_terminal()
    shells = look_up_shells(engine, details, shell)
    command = command_of(entry, shells)
    with closing(_open(engine, details, entry, command, terminal)) as session:
        name = safe_line(details.name, 60)
        say(f"Entering {name}: {safe_line(' '.join(command), 60)}. Ctrl+] leaves at once.")
        say(entering.rights(entry, shells.can_trace))
        relay = Relay(terminal, session, session.exited)
        with restored(terminal):
            has_left = relay.run()
        ended = session.end(has_left)
    relay.raise_signal()
    if ended.status is None:
        sentence = f"Left {name}; its program may still run."
    else:
        sentence = f"Left {name}." if has_left else f"Left {name}: exit status {ended.status}."
    left = entering.left_behind(ended.left, ended.more)
    return Visit(ended.status or 0, (sentence, left) if left else (sentence,))


def _open(
    engine: Engine, details: Details, entry: Entry, command: tuple[str, ...], terminal: int
) -> ConfinedSession | HostSession:
    size = size_of(terminal)
    kept = {name: os.environ[name] for name in ("TERM", "COLORTERM") if name in os.environ}
    if entry.way is Way.CONFINED:
        request = ExecRequest(command, entry.user, kept, *size)
        run = _visible_run(engine, details)
        return ConfinedSession(engine.execute(details.id, request), run)
    if not engine.local:
        raise Unsupported("The container runs on another machine: the host's tools cannot enter it from here.")
    init = membership_of(run_of(details)).run.init
    if engine.inspect(details.id).pid != init.pid:
        raise Gone(f"{details.name} was restarted meanwhile. Try again.")
    image = kept | {"PATH": _PATH, "HOME": "/root", "SHELL": command[0]}
    environment = dict(os.environ) if entry.host_files else image
    return HostSession(init, entry, command, environment, size)


def _visible_run(engine: Engine, details: Details) -> ContainerRun | None:
    """Returns the run of the container; None if its processes are not visible here."""
    with suppress(ContainerlabError):
        return run_of(details) if engine.local else None
    return None
