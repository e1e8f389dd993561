"""Answers questions about one container (the overview agent: about all containers) on its standard streams.

Each question is one JSON line, `{"id": N, "ask": NAME, …}`; each answer is one JSON line, `{"id": N, "answer": …}` or
`{"id": N, "error": {"kind", "sentence"}}`. The agent runs in the container's IPC namespace and otherwise on the host:
it runs no program of the container. It exits when its input ends, when its parent process exits and when the
container's PID 1 exits, so it never keeps a namespace and the memory in it alive.
"""

import json
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from containerlab_probes.codec import (
    ANSWER_LIMIT,
    CONTAINER_GONE,
    PROTOCOL,
    QUESTION_LIMIT,
    OneOverview,
    pack,
    to_plain,
)
from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.kernel.overlay import LayerNames
from containerlab_probes.memory import mappings, snapshot
from containerlab_probes.memory.windows import check_window
from containerlab_probes.memory_records import IpcKind
from containerlab_probes.processes.container_files import ContainerFiles
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.membership import membership_of
from containerlab_probes.processes.tree import list_processes, process_ids
from containerlab_probes.records import ContainerRun, ProcessId

Fields = dict[str, object]
_RUN_FORM = "ID:PID:STARTED"
_RUN = re.compile(r"([0-9A-Za-z]+):([1-9][0-9]{0,9}):([0-9]{1,19})", re.ASCII)

READING_S = 8.0
"""Time after which a listing stops and says that it is partial; well below the client's limit."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it was received; its fields are checked when they are read."""

    id: int
    ask: str
    fields: Fields

    def text(self, name: str, empty: bool = False) -> str:
        """Returns a field that is a string, perhaps the name of a file. Raises `BadRequest`."""
        value = self.fields[name]
        if not isinstance(value, str) or not (value or empty) or "\0" in value:
            raise BadRequest(f"{name} must be a string.")
        try:
            os.fsencode(value)
        except UnicodeEncodeError as error:
            raise BadRequest(f"{name} must be a string that can be a file name.") from error
        return value

    def number(self, name: str) -> int:
        """Returns a field that is a whole number, 0 or greater. Raises `BadRequest`."""
        value = self.fields[name]
        if type(value) is not int or not 0 <= value < 1 << 63:
            raise BadRequest(f"{name} must be a whole number, 0 or greater.")
        return value

    def kind(self) -> IpcKind:
        """Returns the field `kind`. Raises `BadRequest`."""
        try:
            return IpcKind(self.text("kind"))
        except ValueError as error:
            raise BadRequest(f"kind must be one of {', '.join(IpcKind)}.") from error

    def window(self) -> tuple[int, int]:
        """Returns the fields `offset` and `length`. Raises `BadRequest`."""
        offset, length = self.number("offset"), self.number("length")
        check_window(offset, length)
        return offset, length


def parse_question(line: bytes) -> Question:
    """Parses one line. Raises `BadRequest`, which names the mistake."""
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest("A question is one JSON object on one line.") from error
    if not isinstance(plain, dict) or type(plain.get("id")) is not int or not isinstance(plain.get("ask"), str):
        raise BadRequest("A question is an object with a number `id` and a string `ask`.")
    fields = {name: value for name, value in plain.items() if name not in ("id", "ask")}
    return Question(plain["id"], plain["ask"], fields)


def parse_run(text: str) -> ContainerRun:
    """Parses a run of a container, `ID:PID:STARTED`. Raises `BadRequest`."""
    found = _RUN.fullmatch(text)
    if found is None:
        raise BadRequest(f"{text[:100]!r} is not of the form {_RUN_FORM}.")
    return ContainerRun(found[1], ProcessId(int(found[2]), int(found[3])))


class Agent:
    """Answers questions about a run of a container; None: this is the overview agent."""

    def __init__(self, run: ContainerRun | None) -> None:
        self._run = run
        self._questions: dict[str, tuple[Callable[[Question], object], frozenset[str]]] = {
            "hello": (self._hello, frozenset()),
            "overview": (self._overview, frozenset({"runs"})),
            "processes": (self._processes, frozenset()),
            "ipc": (self._ipc, frozenset()),
            "ipc-read": (self._ipc_read, frozenset({"kind", "object", "offset", "length"})),
            "ipc-remove": (self._ipc_remove, frozenset({"kind", "object"})),
            "maps": (self._maps, frozenset({"upper_dir", "lower_dir"})),
            "file": (self._file, frozenset({"pid", "started", "path", "limit"})),
            "file-names": (self._file_names, frozenset({"pid", "started", "path"})),
            "file-state": (self._file_state, frozenset({"pid", "started", "path"})),
            "file-is-program": (self._file_is_program, frozenset({"pid", "started", "path"})),
            "map-read": (self._map_read, frozenset({"pid", "started", "range", "offset", "length"})),
        }

    def answer(self, question: Question) -> object:
        """Returns the answer as plain JSON values. Raises the errors of this package."""
        if question.ask not in self._questions:
            raise BadRequest(f"Unknown question {question.ask!r}; use one of {', '.join(self._questions)}.")
        method, names = self._questions[question.ask]
        if question.fields.keys() != names:
            raise BadRequest(f"The question {question.ask} takes these fields: {', '.join(sorted(names)) or 'none'}.")
        return to_plain(method(question))

    @property
    def _target(self) -> ContainerRun:
        """The container.

        Raises `Gone` unless its PID 1 is still the same process, `Unsupported` in another namespace, and as
        `membership_of`.
        """
        if self._run is None:
            raise BadRequest("This agent belongs to no container: it answers only hello and overview, and reads files.")
        init = self._run.init
        here, there = namespace_inode(0, "ipc"), namespace_inode(init.pid, "ipc")
        membership_of(self._run)
        if here != there:
            raise Unsupported("PID 1 of the container is in another IPC namespace than this agent.")
        return self._run

    def _hello(self, _: Question) -> object:
        return {"protocol": PROTOCOL, "pid": os.getpid(), "namespace": namespace_inode(0, "ipc")}

    def _overview(self, question: Question) -> object:
        runs = question.fields["runs"]
        if not isinstance(runs, list) or not all(isinstance(run, str) for run in runs):
            raise BadRequest(f"runs must be a list of {_RUN_FORM}.")
        return {run.id: self._one_overview(run) for run in map(parse_run, runs)}

    def _one_overview(self, run: ContainerRun) -> OneOverview:
        try:
            membership_of(run)
            return OneOverview(overview=snapshot.overview(run.init.pid))
        except ContainerlabError as error:
            return OneOverview(error=_error(error))

    def _processes(self, _: Question) -> object:
        return list_processes(self._target)

    def _ipc(self, _: Question) -> object:
        until, run = time.monotonic() + READING_S, self._target
        ids, unread = process_ids(run)
        found = snapshot.snapshot(run.init, ids, until)
        if not unread:
            return found
        return replace(found, unread=(*found.unread, unread), users_unread=(*found.users_unread, unread))

    def _ipc_read(self, question: Question) -> object:
        kind, (offset, length) = question.kind(), question.window()
        ids, _ = process_ids(self._target)
        return snapshot.read(self._target.init, ids, kind, question.text("object"), offset=offset, length=length)

    def _ipc_remove(self, question: Question) -> object:
        snapshot.remove(self._target.init, question.kind(), question.text("object"))
        return None

    def _maps(self, question: Question) -> object:
        lowers = filter(None, question.text("lower_dir", empty=True).split(":"))
        named = LayerNames(question.text("upper_dir", empty=True), tuple(lowers))
        until, run = time.monotonic() + READING_S, self._target
        seen = list_processes(run, within_s=READING_S / 2)
        found = mappings.container_mappings(run, seen.processes, until, named=named)
        if seen.unread:
            found = replace(found, unread=(*found.unread, seen.unread))
        return pack(found)

    @contextmanager
    def _files(self, question: Question) -> Iterator[ContainerFiles]:
        files = ContainerFiles(ProcessId(question.number("pid"), question.number("started")))
        try:
            yield files
        finally:
            files.close()

    def _file(self, question: Question) -> object:
        with self._files(question) as files:
            return files.read(question.text("path"), question.number("limit"))

    def _file_names(self, question: Question) -> object:
        with self._files(question) as files:
            return files.names(question.text("path"))

    def _file_state(self, question: Question) -> object:
        with self._files(question) as files:
            return files.state(question.text("path"))

    def _file_is_program(self, question: Question) -> object:
        with self._files(question) as files:
            return files.is_program(question.text("path"))

    def _map_read(self, question: Question) -> object:
        id, (offset, length) = ProcessId(question.number("pid"), question.number("started")), question.window()
        if id.pid not in membership_of(self._target).pids() or identify(id.pid) != id:
            raise Gone(f"Process {id.pid} does not belong to this container, or has exited.")
        return mappings.read_mapping(id, question.text("range"), offset, length)


def _error(error: ContainerlabError) -> dict[str, str]:
    return {"kind": error.kind, "sentence": str(error)}


def answer_line(agent: Agent, line: bytes, limit: int = ANSWER_LIMIT) -> bytes:
    """Returns the answer to one line, of fewer than `limit` bytes. An error of any kind becomes an answer too."""
    number: int | None = None
    try:
        question = parse_question(line)
        number = question.id
        answer = json.dumps({"id": number, "answer": agent.answer(question)}, separators=(",", ":"))
        if len(answer) < limit:
            return answer.encode("ascii") + b"\n"
        error: ContainerlabError = Unsupported(
            f"The answer to {question.ask} is larger than the limit of {limit >> 20} MiB."
        )
    except ContainerlabError as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001 - a defect in one answer must not silence the next
        error = Unsupported(f"The probe agent failed on this question: {type(caught).__name__}: {caught}")
    return json.dumps({"id": number, "error": _error(error)}).encode("ascii") + b"\n"


def serve(run: ContainerRun | None) -> int:
    """Answers the questions on standard input until it is closed; returns the exit status."""
    agent = Agent(run)
    poll = select.poll()
    parent = os.pidfd_open(os.getppid()) if os.getppid() > 1 else -1
    target = -1
    if run is not None:
        try:
            target = os.pidfd_open(run.init.pid)
        except ProcessLookupError:
            return CONTAINER_GONE
        if identify(run.init.pid) != run.init:
            return CONTAINER_GONE
    for fd in (0, parent, target):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    waiting = bytearray()
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if target in ready:
            return CONTAINER_GONE
        data = os.read(0, 65536) if 0 in ready else b""
        if not data:
            return 0
        waiting += data
        *lines, rest = waiting.split(b"\n")
        waiting = rest if len(rest) <= QUESTION_LIMIT else bytearray(b"?")
        for line in lines:
            if line.strip():
                _write(answer_line(agent, bytes(line)))


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main(arguments: list[str]) -> int:
    """Parses `--serve [--container ID:PID:STARTED]` and serves; returns the exit status."""
    if arguments[:1] != ["--serve"] or len(arguments) not in (1, 3) or arguments[1:2] not in ([], ["--container"]):
        sys.stderr.write("usage: containerlab_probes --serve [--container ID:PID:STARTED]\n")
        return 2
    run = None
    if len(arguments) == 3:
        try:
            run = parse_run(arguments[2])
        except BadRequest as error:
            sys.stderr.write(f"--container: {error}\n")
            return 2
    try:
        return serve(run)
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
