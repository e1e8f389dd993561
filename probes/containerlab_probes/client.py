"""Asks a probe agent. Starts it with the first question; limits the time of each question and the size of each answer.

An agent that exceeds a limit is killed and the question fails with an error. The next question starts a new agent.
"""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from containerlab_probes.codec import ANSWER_LIMIT, CONTAINER_GONE, PROTOCOL, Located, OneOverview, decoder, unpack
from containerlab_probes.errors import BY_KIND, ContainerlabError, Denied, Gone, Unanswered, Unsupported
from containerlab_probes.kernel.files import read_status
from containerlab_probes.kernel.namespaces import nsenter_command
from containerlab_probes.memory_records import IpcKind, IpcSnapshot, Mappings, Overview, Window
from containerlab_probes.records import ContainerRun, ProcessId, ProcessList

TIME_LIMIT_S = 5.0
"""For one question, including the start of its agent."""
LISTING_FACTOR = 5
"""How much longer a question with a long answer may take: the agent stops reading after 8 s, then it sends."""

KILL_LIMIT_S = 1.0
"""Time to wait for the end of a killed agent."""
PACKAGES = ("psutil", "sysv_ipc")
"""Packages that an agent may import besides the standard library and this package."""

_CAPABILITIES = {"CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21}
"""Capabilities that an agent needs (include/uapi/linux/capability.h)."""


def unavailable_reason() -> str:
    """Returns why probes can't work here, a sentence; empty if they can. It does not cover remote engines."""
    if sys.platform != "linux":
        return "Inspecting processes and memory of containers needs Linux."
    if shutil.which("nsenter") is None:
        return "nsenter is missing; install the package util-linux."
    missing = [name for name, bit in _CAPABILITIES.items() if not _effective_capabilities() >> bit & 1]
    if missing:
        return f"Inspecting containers needs root (missing: {', '.join(missing)}); run this with sudo."
    return ""


def _effective_capabilities() -> int:
    try:
        for line in read_status("/proc/self").splitlines():
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    except ContainerlabError:
        pass
    return 0


def agent_command(*arguments: str) -> list[str]:
    """Returns the command line of an agent: this interpreter, isolated.

    The agent can import the standard library, this package and `PACKAGES`, and no other installed package.
    """
    main = str(Path(__file__).with_name("__main__.py"))
    named = [f"{name}={directory}" for name in PACKAGES if (directory := _directory_of(name))]
    return [sys.executable, "-I", "-S", "-X", "utf8", main, *named, "--serve", *arguments]


def _directory_of(package: str) -> str:
    """Returns the directory where a package or module is installed, without importing it; empty if it is missing."""
    from importlib.util import find_spec

    found = find_spec(package)
    if found is None or found.origin is None:
        return ""
    file = os.path.abspath(found.origin)
    return os.path.dirname(os.path.dirname(file) if found.submodule_search_locations else file)


class _AgentProcess:
    """One running agent. Every wait is bounded; `end` leaves neither a process nor a file descriptor behind."""

    def __init__(self, command: Sequence[str]) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
        try:
            self.process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Unsupported(f"{command[0]} is missing, so containers can't be inspected; install it.") from error
        except OSError as error:
            raise Unsupported(f"{command[0]} can't be started: {error.strerror}.") from error
        pipes = [pipe.fileno() for pipe in (self.process.stdin, self.process.stdout, self.process.stderr) if pipe]
        for pipe in pipes:
            os.set_blocking(pipe, False)
        self._stdin, self._stdout, self._stderr = pipes
        self.end = weakref.finalize(self, _end, self.process)

    def is_alive(self) -> bool:
        """Returns whether the process runs."""
        return self.process.poll() is None

    def ask(self, question: bytes, until: float) -> bytes:
        """Returns the answer's line.

        Raises `TimedOut`, `Unsupported` (too large, or a defect) or the error for its exit.
        """
        try:
            self._send(question, until)
            return self._receive(until)
        except (BrokenPipeError, EOFError) as error:
            raise self._explain(until) from error

    def _send(self, data: bytes, until: float) -> None:
        while data:
            _wait(self._stdin, select.POLLOUT, until)
            data = data[os.write(self._stdin, data) :]

    def _receive(self, until: float) -> bytes:
        answer = bytearray()
        while not answer.endswith(b"\n"):
            _wait(self._stdout, select.POLLIN, until)
            part = os.read(self._stdout, 1 << 18)
            if not part:
                raise EOFError
            answer += part
            if len(answer) > ANSWER_LIMIT:
                raise Unsupported(f"A probe agent's answer was larger than the limit of {ANSWER_LIMIT >> 20} MiB.")
        return bytes(answer)

    def _explain(self, until: float) -> ContainerlabError:
        """Returns the error for an agent that has closed its streams."""
        try:
            status = self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return Unanswered("A probe agent closed its streams but did not exit in time.")
        try:
            said = os.read(self._stderr, 4096).decode("utf-8", "replace").strip()
        except OSError:
            said = ""
        if status == CONTAINER_GONE or "No such" in said:
            return Gone("The container has exited.")
        if "not permitted" in said or "Permission denied" in said:
            return Denied(
                "The container's namespaces can't be entered without root (CAP_SYS_ADMIN, CAP_SYS_PTRACE); "
                "run this with sudo."
            )
        last = said.splitlines()[-1] if said else "no message"
        return Unsupported(f"A probe agent exited with status {status}: {last}.")


def _wait(fd: int, event: int, until: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(max(0.0, (until - time.monotonic()) * 1000)):
        raise Unanswered("A probe agent did not answer in time and was killed.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills an agent. One that waits for a FUSE server can't be killed, so it is left behind until that answers."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILL_LIMIT_S)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


Key = tuple[str, ProcessId | None]
"""What kind of client asked, and the container's PID 1."""
stuck: dict[Key, list["subprocess.Popen[bytes]"]] = {}
"""Killed agents that still wait for a file system."""


def count_stuck(key: Key) -> int:
    """Returns how many killed agents of a container still wait for a file system."""
    stuck[key] = [one for one in stuck.get(key, ()) if one.poll() is None]
    return len(stuck[key]) or len(stuck.pop(key))


class AgentClient:
    """One agent at a time, one question at a time, from any thread."""

    most_stuck = 2
    """With so many killed agents of the container that still wait, no further one is started."""
    enters_namespaces = True
    """Whether its agents need the privileges for that."""

    def __init__(
        self, ours: Sequence[str], command: Sequence[str] | None, time_limit_s: float, of: ProcessId | None = None
    ) -> None:
        self._key = (type(self).__name__, of)
        self._command = command or ours
        self._needs_privileges = command is None and self.enters_namespaces
        self.time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._agent: _AgentProcess | None = None
        self._closed = False
        self._number = 0

    def close(self) -> None:
        """Kills the agent. A question in progress fails and later ones are refused. Safe to call twice."""
        self._closed = True
        agent = self._agent
        if agent is not None and agent.is_alive():
            agent.process.kill()
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._agent is not None:
            process = self._agent.process
            self._agent.end()
            self._agent = None
            if process.poll() is None:
                stuck.setdefault(self._key, []).append(process)

    def ask(self, form: object, ask: str, times: int = 1, /, **fields: object) -> object:
        """Returns the answer as a value of the type `form`. Raises the agent's error, or one for its failure.

        It takes at most the client's time limit, `times` over.
        """
        with self._lock:
            until = time.monotonic() + times * self.time_limit_s
            try:
                if self._agent is not None and not self._agent.is_alive():
                    self._drop()
                plain = self._exchange(self._agent or self._start(until), until, ask, fields)
                return decoder(form)(plain)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                self._drop()
                raise Unsupported("A probe agent sent an invalid answer.") from error

    def _start(self, until: float) -> _AgentProcess:
        if self._closed:
            raise Gone("The inspection of this container has been closed.")
        reason = unavailable_reason() if self._needs_privileges else ""
        if reason:
            raise (Denied if "root" in reason else Unsupported)(reason)
        if count_stuck(self._key) >= self.most_stuck:
            raise Unanswered("A file system in the container still does not answer the probe agents that asked it.")
        self._agent, self._number = _AgentProcess(self._command), 0
        hello = self._exchange(self._agent, until, "hello", {})
        if not isinstance(hello, dict) or hello.get("protocol") != PROTOCOL:
            raise ValueError
        return self._agent

    def _exchange(self, agent: _AgentProcess, until: float, ask: str, fields: dict[str, object]) -> object:
        self._number += 1
        question = json.dumps({"id": self._number, "ask": ask, **fields}).encode("ascii") + b"\n"
        try:
            answer = json.loads(agent.ask(question, until))
        except ContainerlabError:
            self._drop()
            raise
        if not isinstance(answer, dict) or answer.get("id") != self._number:
            raise ValueError
        if "error" in answer:
            raise error_of(answer["error"])
        return answer["answer"]


def error_of(plain: object) -> ContainerlabError:
    """Returns the error in an agent's answer."""
    if not isinstance(plain, dict) or not isinstance(plain.get("sentence"), str):
        raise TypeError("not an error of an agent")
    return BY_KIND.get(str(plain.get("kind")), Unsupported)(plain["sentence"])


class ProbeClient(AgentClient):
    """Inspects one container: its processes, IPC objects and mappings.

    Once the previous question is done, each method takes at most `time_limit_s`. It raises `Gone` (the container or the
    object), `Denied`, `TimedOut`, `Unsupported` or `BadRequest`.
    """

    def __init__(
        self, run: ContainerRun, *, time_limit_s: float = TIME_LIMIT_S, command: Sequence[str] | None = None
    ) -> None:
        """`command` replaces the command that starts the agent through nsenter."""
        self.run = run
        ours = agent_command("--container", _text_of(run))
        super().__init__(nsenter_command(run.init.pid, ("ipc",), ours), command, time_limit_s, run.init)

    def processes(self) -> ProcessList:
        """Returns the container's processes, as `list_processes` returns them."""
        return cast(ProcessList, self.ask(ProcessList, "processes", LISTING_FACTOR))

    def ipc(self) -> IpcSnapshot:
        """Returns every IPC object of the container's namespace and POSIX directories."""
        return cast(IpcSnapshot, self.ask(IpcSnapshot, "ipc", LISTING_FACTOR))

    def read_ipc(self, kind: IpcKind, object_id: str, offset: int, length: int) -> Window:
        """Returns a window of a segment (`shm`) or of a POSIX object's file."""
        fields = {"kind": kind, "object": object_id, "offset": offset, "length": length}
        return cast(Window, self.ask(Window, "ipc-read", **fields))

    def remove_ipc(self, kind: IpcKind, object_id: str) -> None:
        """Removes one object of any kind."""
        self.ask(type(None), "ipc-remove", kind=kind, object=object_id)

    def maps(self, upper_dir: str = "", lower_dir: str = "") -> Mappings:
        """Returns every mapping of the container's processes, and where its bytes are stored.

        Only a FUSE overlay needs the directories of its layers as the engine names them; the lower ones are separated
        by colons.
        """
        found = cast(Located, self.ask(Located, "maps", LISTING_FACTOR, upper_dir=upper_dir, lower_dir=lower_dir))
        try:
            return unpack(found)
        except (ValueError, IndexError) as error:
            raise Unsupported("A probe agent sent an invalid answer.") from error

    def read_mapping(self, id: ProcessId, range_: str, offset: int, length: int) -> Window:
        """Returns a window of the file behind a mapping of one of the container's processes (`Mapping.range`)."""
        fields = {"pid": id.pid, "started": id.started, "range": range_, "offset": offset, "length": length}
        return cast(Window, self.ask(Window, "map-read", **fields))


class OverviewClient(AgentClient):
    """Counts the IPC objects of many containers, with one agent that visits each namespace."""

    def __init__(self, *, time_limit_s: float = TIME_LIMIT_S, command: Sequence[str] | None = None) -> None:
        super().__init__(agent_command(), command, time_limit_s)

    def overview(self, runs: Iterable[ContainerRun]) -> dict[str, Overview | ContainerlabError]:
        """Returns the totals for each container, or an error, by container id. Raises as `ProbeClient`."""
        asked = [_text_of(run) for run in runs]
        plain = cast(dict[str, OneOverview], self.ask(dict[str, OneOverview], "overview", runs=asked))
        return {container: one.overview or error_of(one.error) for container, one in plain.items()}


def _text_of(run: ContainerRun) -> str:
    return f"{run.id}:{run.init.pid}:{run.init.started}"
