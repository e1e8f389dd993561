"""Gathers what the doctor is told about a container: inspect, processes, configuration files. Changes nothing.

Files are read through `probes.rootfs`, below the root of the process that names them, as that process sees them.
"""

import fnmatch
import json
import os
import posixpath
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from containerlab_probes import rootfs
from containerlab_probes.errors import ContainerlabError, Gone, TimedOut, Unreachable
from containerlab_probes.records import Process
from containerlab_probes.signals import number_of
from containerlab_tui.core import doctor_customs, doctor_inits, doctor_scripts, doctor_supervisor, programs
from containerlab_tui.core.doctor import diagnose
from containerlab_tui.core.doctor_facts import Diagnosis, Facts
from containerlab_tui.core.ending import PastStop
from containerlab_tui.core.inventory import Details
from containerlab_tui.engine.api import Engine
from containerlab_tui.services import history as history_of_stops
from containerlab_tui.services.stops import see_processes

FILE_LIMIT = 256 * 1024
"""Bytes of one file that are looked at."""
PROCESS_LIMIT = 64
"""Processes of one container whose files are looked at."""
INCLUDE_LIMIT = 100

History = Callable[[Details], Sequence[PastStop]]


def remembered(details: Details) -> tuple[PastStop, ...]:
    """The stops of this container, then those of others of its image, the latest first."""
    memory = history_of_stops.History()
    own = memory.of_container(details.id)
    return (*own, *(one for one in memory.of_image(details.image, 20) if one.container != details.id))


def doctor(engine: Engine, container: str, history: History | None = None) -> Diagnosis:
    """How a stop of this container would go. Raises Gone (no such container, or it isn't running), Unreachable."""
    details = engine.inspect(container)
    if not details.pid:
        raise Gone(f"{details.name} is not running, so there is nothing to stop: start it first.")
    return diagnose(gather(engine, details, history))


def doctor_all(engine: Engine, history: History | None = None) -> tuple[tuple[Diagnosis, ...], tuple[str, ...]]:
    """The diagnoses of all running containers, in the engine's order, and a sentence for each that had none.

    Raises Unreachable, TimedOut: an engine that doesn't answer for one container isn't asked about the others.
    """
    running = [(one.id, one.name) for one in engine.containers() if one.state in ("running", "paused")]
    return doctor_each(engine, running, history)


def doctor_each(
    engine: Engine, containers: Iterable[tuple[str, str]], history: History | None = None
) -> tuple[tuple[Diagnosis, ...], tuple[str, ...]]:
    """The same for containers of these ids and names; one that has ended since is left out."""
    made: list[Diagnosis] = []
    unseen: list[str] = []
    for container, name in containers:
        try:
            made.append(doctor(engine, container, history))
        except Gone:
            continue
        except (Unreachable, TimedOut):
            raise
        except ContainerlabError as error:
            unseen.append(f"{name}: {error}")
    return tuple(made), tuple(unseen)


def gather(engine: Engine, details: Details, history: History | None = None) -> Facts:
    """The facts about one running container."""
    seen, blind_reason = see_processes(engine, details)
    now = time.time()
    return Facts(
        details=details,
        signal=number_of(details.stop_signal),
        processes=seen,
        now=now,
        blind_reason=blind_reason,
        files=_files(seen),
        environments=_environments(seen),
        cannot_write=frozenset(one.pid for one in seen[:PROCESS_LIMIT] if _is(one, "Redis or Valkey", _cannot_write)),
        go_programs=_go_programs(seen),
        units=_units(seen),
        clients=_clients(details.pid) if _any_drains(seen, details.stop_signal) else None,
        restart_disarmed=_restart_disarmed(engine, details),
        history=tuple(history(details)) if history else (),
    )


def _restart_disarmed(engine: Engine, details: Details) -> bool | None:
    """Whether the engine has it marked as stopped by hand; None where its own record can't be read.

    moby container/container.go, HasBeenManuallyStopped; the record lies beside the container's hostname file.
    """
    if details.restart_policy == "no" or not engine.local:
        return None
    place = engine.inspect_raw(details.id).get("HostnamePath")
    if not isinstance(place, str) or posixpath.basename(posixpath.dirname(place)) != details.id:
        return None
    try:
        with open(posixpath.join(posixpath.dirname(place), "config.v2.json"), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    return bool(record.get("HasBeenManuallyStopped"))


def _files(seen: Sequence[Process]) -> Mapping[tuple[int, str], str]:
    """The text of the files that decide what these processes do, by process and path."""
    found: dict[tuple[int, str], str] = {}
    for process in seen[:PROCESS_LIMIT]:
        wanted = tuple(_wanted(process))
        if not wanted:
            continue
        try:
            with _View(process.pid) as view:
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
    """The paths, as the process names them, whose content matters."""
    yield from doctor_scripts.script_paths(process)
    known = programs.recognise(process)
    if known is None:
        return
    match known.name:
        case "supervisord":
            yield from doctor_supervisor.candidates(process)
        case "s6-svscan":
            yield from doctor_inits.s6_files(process)
        case "Squid":
            yield doctor_inits.SQUID_CONFIGURATION
        case "uWSGI":
            for word in process.argv[1:]:
                match = doctor_inits.UWSGI_FILES.search(word)
                if match:
                    yield match[1]


def _read_includes(process: Process, view: "_View", found: dict[tuple[int, str], str]) -> None:
    """The files that supervisord's configuration includes, under their path with a plus sign in front."""
    for path in doctor_supervisor.candidates(process):
        text = found.get((process.pid, path))
        if text is None:
            continue
        for pattern in doctor_supervisor.includes_of(text, view.absolute(path)):
            for name in view.matching(pattern)[:INCLUDE_LIMIT]:
                included = view.text(name)
                if included is not None:
                    found[process.pid, f"+{name}"] = included
        return


def _read_neighbours(process: Process, view: "_View", found: dict[tuple[int, str], str]) -> None:
    """The files that a script names and that lie beside it, under their path with an ampersand in front."""
    for path in doctor_scripts.script_paths(process):
        text = found.get((process.pid, path))
        if text is None:
            continue
        read = 0
        for name in doctor_scripts.neighbours(process, path, text):
            beside = view.text(name) if read < doctor_scripts.NEIGHBOUR_LIMIT else None
            if beside is not None:
                found[process.pid, f"&{name}"] = beside
                read += 1
        return


class _View:
    """The files of a container as one of its processes sees them."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._root = rootfs.open_root(pid)
        self._directory: str | None = None

    def __enter__(self) -> "_View":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def absolute(self, path: str) -> str:
        """A path below the process's working directory, which is a path inside the container as well."""
        if path.startswith("/"):
            return path
        if self._directory is None:
            try:
                self._directory = os.readlink(f"/proc/{self._pid}/cwd")
            except OSError:
                self._directory = "/"
        return posixpath.join(self._directory, path)

    def text(self, path: str) -> str | None:
        """The beginning of a file; None where it can't be read or isn't text."""
        try:
            data = rootfs.read_file(self._root, self.absolute(path), FILE_LIMIT)
        except ContainerlabError:
            return None
        return None if b"\0" in data[:4096] else data.decode("utf-8", "replace")

    def matching(self, pattern: str) -> list[str]:
        """The files that a pattern in the last part of a path means, sorted."""
        directory, name = posixpath.split(pattern)
        if not any(mark in name for mark in "*?["):
            return [pattern]
        try:
            fd = rootfs.open_in_root(self._root, directory or "/", os.O_RDONLY | os.O_DIRECTORY)
        except ContainerlabError:
            return []
        try:
            return [posixpath.join(directory, one) for one in sorted(fnmatch.filter(os.listdir(fd), name))]
        finally:
            os.close(fd)


def _is(process: Process, name: str, also: Callable[[Process], bool]) -> bool:
    known = programs.recognise(process)
    return known is not None and known.name == name and also(process)


def _cannot_write(process: Process) -> bool:
    """Whether the modes of its working directory, or a read-only file system, keep a process from writing there."""
    place = f"/proc/{process.pid}/cwd"
    try:
        about, system = os.stat(place), os.statvfs(place)
    except OSError:
        return False
    if system.f_flag & os.ST_RDONLY:
        return True
    own = 0o222 if about.st_uid == process.uid else 0o022  # its groups aren't known: theirs counts for it
    return process.uid != 0 and not about.st_mode & own


_UNIT_DIRECTORIES = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")


def _units(seen: Sequence[Process]) -> Mapping[str, str]:
    """The systemd unit that starts a program of the container, by the program's path, where a package left one."""
    found: dict[str, str] = {}
    for process in seen[:PROCESS_LIMIT]:
        path = doctor_customs.program_path(process)
        if not path or path in found or programs.recognise(process) or not process.dispositions.caught:
            continue
        name = posixpath.basename(path)
        try:
            with _View(process.pid) as view:
                texts = (view.text(f"{place}/{name}.service") for place in _UNIT_DIRECTORIES)
                unit = next((text for text in texts if text is not None and path in text), None)
        except ContainerlabError:
            continue
        if unit is not None:
            found[path] = unit
    return found


def _any_drains(seen: Sequence[Process], signal: str) -> bool:
    """Whether a program among them waits for its clients on that signal. Only then are connections worth reading."""
    for process in seen[:PROCESS_LIMIT]:
        known = programs.recognise(process)
        reaction = known.reaction(signal) if known else None
        if reaction is not None and reaction.does == "drains":
            return True
    return False


def _clients(pid: int) -> int | None:
    """Established TCP connections to ports that somebody in the same network namespace listens on."""
    listening: set[str] = set()
    established: list[str] = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file.read().splitlines()[1:]]
        except OSError:
            return None
        for row in rows:
            port = row[1].rpartition(":")[2]
            if row[3] == _LISTEN:
                listening.add(port)
            elif row[3] == _ESTABLISHED:
                established.append(port)
    return sum(port in listening for port in established)


_LISTEN, _ESTABLISHED = "0A", "01"
"""The states of include/net/tcp_states.h as /proc/net/tcp writes them."""
_GO_MARKS = (b'\xff Go build ID: "', b"Go\x00\x00", b"\xff Go buildinf:")
_go_known: dict[tuple[int, int, int], bool] = {}
"""By device, inode and time of change of a program's file."""


def _go_programs(seen: Sequence[Process]) -> frozenset[str]:
    """The program files that Go's linker made: its note stands in the first pages of the file."""
    found = set()
    for process in seen[:PROCESS_LIMIT]:
        if len(process.dispositions.caught) < 40 or not process.exe:
            continue  # Go's runtime catches nearly all signals
        try:
            with open(f"/proc/{process.pid}/exe", "rb") as file:
                about = os.fstat(file.fileno())
                key = (about.st_dev, about.st_ino, about.st_mtime_ns)
                if key not in _go_known:
                    head = file.read(16384)
                    _go_known[key] = any(mark in head for mark in _GO_MARKS)
                if _go_known[key]:
                    found.add(process.exe)
        except OSError:
            continue
    return frozenset(found)


_ENVIRONMENT = ("TINI_KILL_PROCESS_GROUP", "DUMB_INIT_SETSID")


def _environments(seen: Sequence[Process]) -> Mapping[int, Mapping[str, str]]:
    """What the environment says to the inits that listen to it."""
    found: dict[int, Mapping[str, str]] = {}
    for process in seen[:PROCESS_LIMIT]:
        known = programs.recognise(process)
        if known is None or known.name not in ("tini", "dumb-init"):
            continue
        try:
            with open(f"/proc/{process.pid}/environ", encoding="utf-8", errors="surrogateescape") as file:
                pairs = [entry.partition("=") for entry in file.read().split("\0")]
        except OSError:
            continue
        found[process.pid] = {name: value for name, _, value in pairs if name in _ENVIRONMENT}
    return found
