"""Gathers the facts about a container: processes, scripts, configuration files. Read-only.

Files are read through `gather_files`, below the root of the process that names them.
"""

import fnmatch
import itertools
import json
import posixpath
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError, Denied
from containerlab_probes.kernel.files import read_bytes, read_text
from containerlab_probes.records import Process, ProcessId
from containerlab_probes.signals.names import number_of
from containerlab_tui.doctor.facts import EarlySignal, Facts
from containerlab_tui.doctor.gather_clients import clients_of
from containerlab_tui.doctor.gather_files import ContainerReader, View, file_client
from containerlab_tui.doctor.programs import catalogue, daemons, inits, options, supervisord
from containerlab_tui.doctor.readers import scripts
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import Details, EngineEvent

if TYPE_CHECKING:
    from containerlab_probes.file_client import FileClient

GO_BYTES = 16384
"""Bytes at the beginning of a program in which Go's linker puts its note."""
RECORD_BYTES = 16 * 1024 * 1024
"""Limit of the engine's own record of a container, with all its labels."""
PROCESS_LIMIT = 64
"""Processes of one container whose files are read."""
INCLUDE_LIMIT = 100
EARLY_S = 5.0
"""How long after its start a program may still be installing its handlers."""
_ENDING = frozenset(str(number_of(name)) for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"))
"""Signals that are commonly used to stop programs."""


def gather(
    engine: Engine,
    details: Details,
    seen: tuple[Process, ...],
    *,
    unseen_reason: str,
    history: Sequence[PastStop],
    events: Sequence[EngineEvent],
    client: "Callable[[ProcessId], FileClient]" = file_client,
) -> Facts:
    """Returns the facts about one running container.

    `seen` are its processes, read just now; `unseen_reason` says why none or not all are there. `history` holds earlier
    stops, `events` the engine's events about this container or about all. `client` makes the agent for files that may
    block.
    """
    now = time.time()
    with ContainerReader(seen[0].id if seen else ProcessId(details.pid, 0), client) as reader:
        read = _files(reader, seen)
        unwritable = frozenset(
            one.pid for one in seen[:PROCESS_LIMIT] if _is(one, "Redis or Valkey", lambda it: _cannot_write(reader, it))
        )
        go_programs, units = _go_programs(reader, seen), _units(reader, seen)
    return Facts(
        details=details,
        signal=number_of(details.stop_signal),
        processes=seen,
        now=now,
        unseen_reason=unseen_reason,
        files=read,
        environments=_environments(engine, details, seen, read),
        cannot_write=unwritable,
        go_programs=go_programs,
        units=units,
        unread=(unseen_reason, *reader.unread) if seen and unseen_reason else reader.unread,
        clients=clients_of(details.pid, seen) if seen else None,
        restart_disarmed=_restart_disarmed(engine, details),
        history=tuple(history),
        early_signals=_early_signals(events, details),
        product=engine.product,
    )


def _early_signals(events: Sequence[EngineEvent], details: Details) -> tuple[EarlySignal, ...]:
    """Returns stop signals sent soon after the start; the engine keeps 256 events (moby daemon/events/events.go)."""
    started = details.started_at
    if started is None:
        return ()
    sent = [
        (event.time, event.attributes.get("signal", ""))
        for event in events
        if event.container == details.id and event.action == "kill" and 0 <= event.time - started <= EARLY_S
    ]
    return tuple(EarlySignal(at, int(number)) for at, number in sent if number in _ENDING)


def _restart_disarmed(engine: Engine, details: Details) -> bool | None:
    """Returns whether the engine has marked the container as manually stopped; None if unknown.

    moby container/container.go, HasBeenManuallyStopped; the file lies beside the container's hostname file. If a stop
    signal is configured, docker kill sets the mark with any signal, but only that signal cancels the policies that
    ignore the mark (daemon/kill.go, restartmanager.go); which signal it was is not recorded. Podman sets its mark with
    any signal, and no policy ignores it (podman libpod/container_api.go, Kill; container_internal.go, shouldRestart).
    """
    if details.restart_disarmed is not None:
        return details.restart_disarmed
    if details.restart_policy == "no" or not engine.local:
        return None
    if details.restart_policy != "unless-stopped" and details.stop_signal_source == "container":
        return None
    place = engine.inspect_raw(details.id).get("HostnamePath")
    if not isinstance(place, str) or posixpath.basename(posixpath.dirname(place)) != details.id:
        return None
    try:
        record = json.loads(read_bytes(posixpath.join(posixpath.dirname(place), "config.v2.json"), RECORD_BYTES))
    except (ContainerlabError, ValueError):
        return None
    return bool(record.get("HasBeenManuallyStopped"))


def _files(reader: ContainerReader, seen: Sequence[Process]) -> Mapping[tuple[int, str], str]:
    """Reads the files that decide what these processes do; the keys are process and path."""
    found: dict[tuple[int, str], str] = {}
    for process in seen[:PROCESS_LIMIT]:
        wanted = tuple(_wanted(process))
        if not wanted and not catalogue.is_shell(process):
            continue
        try:
            with reader.view(process.id) as view:
                for path in wanted:
                    text = view.text(path)
                    if text is not None:
                        found[process.pid, path] = text
                if _is(process, "supervisord", lambda _: True):
                    _read_includes(process, view, found)
                _read_neighbours(process, view, found)
        except ContainerlabError:
            continue
    return found


def _wanted(process: Process) -> Iterable[str]:
    """Yields the paths of relevant files, as the process names them."""
    yield from scripts.script_paths(process)
    known = catalogue.recognise(process)
    if known is None:
        return
    match known.name:
        case "supervisord":
            yield from supervisord.candidates(process)
        case "s6-svscan":
            yield from inits.s6_files(process)
        case name:
            yield from options.files_of(name, process)


def _read_includes(process: Process, view: View, found: dict[tuple[int, str], str]) -> None:
    """Reads the files that supervisord's configuration includes; their keys begin with a plus sign."""
    for path in supervisord.candidates(process):
        text = found.get((process.pid, path))
        if text is None:
            continue
        patterns = supervisord.includes_of(text, view.absolute(path))
        names = (name for pattern in patterns for name in _matching(view, pattern))
        for name in itertools.islice(names, INCLUDE_LIMIT):
            included = view.text(name)
            if included is not None:
                found[process.pid, f"+{name}"] = included
        return


def _read_neighbours(process: Process, view: View, found: dict[tuple[int, str], str]) -> None:
    """Reads the files beside a script that it names; their keys begin with an ampersand."""
    script = catalogue.script_of(process)
    texts = [(path, found.get((process.pid, path))) for path in scripts.script_paths(process)]
    if script is not None and script.kind == "code" and catalogue.is_shell(process):
        texts = [("", script.text)]
    for path, text in texts:
        if text is None:
            continue
        read = 0
        for name in scripts.neighbours(process, path, text):
            beside = view.text(name) if read < scripts.NEIGHBOUR_LIMIT else None
            if beside is not None:
                found[process.pid, f"&{name}"] = beside
                read += 1
        return


def _matching(view: View, pattern: str) -> list[str]:
    """Returns the files that match a pattern in the last part of a path, sorted."""
    directory, name = posixpath.split(pattern)
    if not any(mark in name for mark in "*?["):
        return [pattern]
    return [posixpath.join(directory, one) for one in sorted(fnmatch.filter(view.names(directory or "/"), name))]


def _is(process: Process, name: str, also: Callable[[Process], bool]) -> bool:
    known = catalogue.recognise(process)
    return known is not None and known.name == name and also(process)


def _cannot_write(reader: ContainerReader, process: Process) -> bool:
    """Returns whether permissions or a read-only file system prevent a process from writing to its directory."""
    try:
        with reader.view(process.id) as view:
            about = view.state(view.absolute("."))
    except ContainerlabError:
        return False
    if about is None or about.read_only:
        return about is not None
    own = 0o222 if about.uid == process.uid else 0o022  # its groups are unknown, so group permission counts
    return process.uid != 0 and not about.mode & own


_UNIT_DIRECTORIES = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")


def _units(reader: ContainerReader, seen: Sequence[Process]) -> Mapping[str, str]:
    """Reads the systemd units that packages installed for the container's programs, by program path."""
    found: dict[str, str] = {}
    for process in seen[:PROCESS_LIMIT]:
        path = daemons.program_path(process)
        if not path or path in found or catalogue.recognise(process) or not process.dispositions.caught:
            continue
        name = posixpath.basename(path)
        try:
            with reader.view(process.id) as view:
                texts = (view.text(f"{place}/{name}.service") for place in _UNIT_DIRECTORIES)
                unit = next((text for text in texts if text is not None and path in text), None)
        except ContainerlabError:
            continue
        if unit is not None:
            found[path] = unit
    return found


_GO_MARKS = (b'\xff Go build ID: "', b"Go\x00\x00", b"\xff Go buildinf:")


def _go_programs(reader: ContainerReader, seen: Sequence[Process]) -> frozenset[str]:
    """Returns the program files that Go's linker made: its note is in the first pages of the file."""
    known: dict[str, bool] = {}
    for process in seen[:PROCESS_LIMIT]:
        if len(process.dispositions.caught) < 40 or not process.exe or process.exe in known:
            continue  # Go's runtime handles nearly all signals
        try:
            with reader.view(process.id) as view:
                head = view.data(process.exe, GO_BYTES) or b""
        except ContainerlabError:
            continue
        known[process.exe] = any(mark in head for mark in _GO_MARKS)
    return frozenset(path for path, is_go in known.items() if is_go)


_ENVIRONMENT = {
    "tini": re.compile("TINI_KILL_PROCESS_GROUP"),
    "dumb-init": re.compile("DUMB_INIT_SETSID"),
    "uWSGI": re.compile("UWSGI_(MASTER|DIE_ON_TERM)"),
    "uWSGI without a master": re.compile("UWSGI_(MASTER|DIE_ON_TERM)"),
}


def _environments(
    engine: Engine, details: Details, seen: Sequence[Process], files: Mapping[tuple[int, str], str]
) -> Mapping[int, Mapping[str, str]]:
    """Reads the environment variables that change how known programs react; no others are kept.

    Without root those count that the container was created with: its programs inherit them.
    """
    found: dict[int, Mapping[str, str]] = {}
    configured = cache(lambda: _configured_environment(engine, details))
    for process in seen[:PROCESS_LIMIT]:
        known = catalogue.recognise(process)
        wanted = _ENVIRONMENT.get(known.name) if known else None
        if known and known.name == "supervisord":
            texts = (text for (pid, _), text in files.items() if pid == process.pid)
            wanted = supervisord.variables(texts)
        if wanted is None:
            continue
        try:
            entries = read_text(f"/proc/{process.pid}/environ").split("\0")
        except Denied:
            entries = configured()
        except ContainerlabError:
            continue
        pairs = [entry.partition("=") for entry in entries]
        found[process.pid] = {name: value for name, _, value in pairs if wanted.fullmatch(name)}
    return found


def _configured_environment(engine: Engine, details: Details) -> list[str]:
    try:
        config = engine.inspect_raw(details.id).get("Config")
    except ContainerlabError:
        return []  # it was removed meanwhile, or the engine went away
    entries = config.get("Env") if isinstance(config, dict) else None
    return [str(one) for one in entries] if isinstance(entries, list) else []
