"""Two threads that read facts missing from the engine's list of containers, and post them in batches.

`DetailsReader` inspects each container once after it has started or stopped. `LoadReader` reads cgroup files, and less
often the IPC namespaces, of the visible rows. Neither asks the engine anything while nothing happens.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError, Denied, Gone
from containerlab_probes.memory_records import Overview
from containerlab_probes.records import HostLoad, Usage
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Details
from containerlab_tui.session.store import Inspected, Load, StopEffect
from containerlab_tui.session.threads import unexpected

if TYPE_CHECKING:
    from containerlab_probes.client import OverviewClient

BATCH_S = 0.08
"""Results within this time are posted together."""
LOADS_S = 5.0
ROWS_KEPT = 500
"""Readings kept for rows, more than any screen has: a container that was removed between two readings leaves one."""
OVERVIEWS_EVERY = 3
"""Every third round also reads the IPC namespaces."""


class DetailsReader:
    """Inspects containers and reads the effect of their stop signal on PID 1."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        effect_of: Callable[[Engine, Details], StopEffect | None],
        post: Callable[[Sequence[Inspected]], object],
        failed: Callable[[ContainerlabError], object] = lambda error: None,
    ) -> None:
        """`failed` gets defects of this program; containers that can't be inspected are posted without details."""
        self._failed = failed
        self._engine, self._effect_of, self._post = engine, effect_of, post
        self._wanted: dict[str, Details | None] = {}
        self._change = threading.Condition()

    def start(self) -> None:
        threading.Thread(target=self._run, name="details", daemon=True).start()

    def want(self, wanted: "Mapping[str, Details | None]", urgent: bool = False) -> None:
        """Queues containers, by id and with their details if known; `urgent` ones come first."""
        with self._change:
            self._wanted = {**wanted, **self._wanted, **wanted} if urgent else {**self._wanted, **wanted}
            self._change.notify()

    def _run(self) -> None:
        found, since = list[Inspected](), 0.0
        while True:
            with self._change:
                if not self._wanted and found:
                    self._change.release()
                    try:
                        self._post(tuple(found))
                    finally:
                        self._change.acquire()
                    found = []
                while not self._wanted:
                    self._change.wait()
                container = next(iter(self._wanted))
                details = self._wanted.pop(container)
            if not found:
                since = time.monotonic()
            found.append(self._read(container, details))
            if time.monotonic() - since > BATCH_S:
                self._post(tuple(found))
                found = []

    def _read(self, container: str, details: Details | None) -> Inspected:
        try:
            engine = self._engine()
            details = details or engine.inspect(container)
            return Inspected(container, details, self._effect_of(engine, details))
        except Gone:
            return Inspected(container)
        except ContainerlabError as error:
            return Inspected(container, unread=str(error))
        except Exception as error:  # noqa: BLE001  a defect about one container must not end the thread
            self._failed(unexpected(error))
            return Inspected(container, unread=str(unexpected(error)))


@dataclass(slots=True)
class _Seen:
    at: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Loads:
    """The results of one round over the visible rows."""

    loads: Mapping[str, Load] = field(default_factory=dict)
    overviews: Mapping[str, Overview] = field(default_factory=dict)
    problem: str = ""
    """Why CPU, memory or IPC figures are missing, a sentence; empty if they are not."""
    host: HostLoad | None = None
    """The usage of this machine; None if not read."""


class LoadReader:
    """Reads CPU, memory and IPC figures of the visible rows, and of this machine, every few seconds."""

    def __init__(
        self,
        usage_of: Callable[[Details], Usage | None],
        overviews_of: Callable[[Sequence[Details]], Mapping[str, Overview]],
        post: Callable[[Loads], object],
        clock: Callable[[], float] = time.monotonic,
        host_of: Callable[[], HostLoad | None] = lambda: None,
    ) -> None:
        """`overviews_of` returns overviews of running containers, by id."""
        self._usage_of, self._overviews_of, self._post, self._clock = usage_of, overviews_of, post, clock
        self._host_of = host_of
        self._watched: tuple[Details, ...] = ()
        self._seen: dict[str, _Seen] = {}
        self._wake = threading.Event()
        self._round = 0
        self.paused = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="loads", daemon=True).start()

    def watch(self, watched: Sequence[Details]) -> None:
        """Sets the containers to read; new ones are read at once."""
        before = {one.id for one in self._watched}
        self._watched = tuple(watched)
        if any(one.id not in before for one in watched):
            self._round = 0
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(LOADS_S)
            if self._wake.is_set():
                self._wake.clear()
                time.sleep(0.15)  # scrolling changes the visible rows many times in a row
            if not self.paused and (loads := self.read()) != Loads():
                self._post(loads)

    def read(self) -> Loads:
        """Reads one round."""
        loads, problem = dict[str, Load](), ""
        for details in self._watched:
            try:
                usage = self._usage_of(details)
            except Gone:
                continue
            except ContainerlabError as error:
                problem = str(error)
                continue
            except Exception as error:  # noqa: BLE001  a defect about one container must not end the thread
                problem = str(unexpected(error))
                continue
            if usage is not None:
                loads[details.id] = self._load(details.id, usage)
                problem = problem or usage.unread
        overviews: Mapping[str, Overview] = {}
        if self._round % OVERVIEWS_EVERY == 0:
            try:
                overviews = self._overviews_of([one for one in self._watched if one.pid])
            except ContainerlabError as error:
                problem = problem or str(error)
        self._round += 1
        return Loads(loads, overviews, problem, self._host_of())

    def _load(self, container: str, usage: Usage) -> Load:
        if usage.cpu_seconds is None:
            return Load(None, usage.memory_bytes)
        now, before = self._clock(), self._seen.get(container)
        percent = None
        if before is not None and now > before.at and usage.cpu_seconds >= before.cpu_seconds:
            percent = 100 * (usage.cpu_seconds - before.cpu_seconds) / (now - before.at)
        self._seen[container] = _Seen(now, usage.cpu_seconds)
        if len(self._seen) > ROWS_KEPT:
            del self._seen[next(iter(self._seen))]
        return Load(percent, usage.memory_bytes)


def _reading(details: Details) -> Callable[[], Usage]:
    """Returns what reads the usage of this run of a container. Raises Gone and Unsupported."""
    from containerlab_probes.kernel.cgroups import UsageReader
    from containerlab_tui.services.processes import run_of

    return UsageReader(run_of(details)).read


class UsageReaders:
    """Reads CPU and memory from cgroup files, with one open reader for each run of a container."""

    def __init__(self, reading: Callable[[Details], Callable[[], Usage]] = _reading) -> None:
        self._reading = reading
        self._readers: dict[str, tuple[int, Callable[[], Usage]]] = {}

    def usage_of(self, details: Details) -> Usage:
        """Returns the current usage. Raises Gone, or Unsupported if there is no accounting."""
        known = self._readers.get(details.id)
        if known is None or known[0] != details.pid:
            known = self._readers[details.id] = (details.pid, self._reading(details))
            if len(self._readers) > ROWS_KEPT:
                del self._readers[next(iter(self._readers))]
        try:
            usage = known[1]()
        except Gone:
            del self._readers[details.id]
            raise
        if usage.unread:
            del self._readers[details.id]  # its cgroup may be mounted, or get the controller, later
        return usage


class Overviews:
    """Reads the IPC namespaces of many containers with one agent."""

    def __init__(self) -> None:
        self._client: OverviewClient | None = None

    def overviews_of(self, watched: Sequence[Details]) -> dict[str, Overview]:
        """Returns readable overviews by container id. Raises like the client."""
        from containerlab_probes.client import OverviewClient, unavailable_reason
        from containerlab_tui.services.processes import run_of

        reason = unavailable_reason()
        if reason:
            raise Denied(reason)
        runs = []
        for one in watched:
            with contextlib.suppress(Gone):
                runs.append(run_of(one))
        if not runs:
            return {}
        if self._client is None:
            self._client = OverviewClient()
        found = self._client.overview(runs)
        return {container: one for container, one in found.items() if isinstance(one, Overview)}
