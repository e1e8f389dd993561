"""Signals to watched processes, their deliveries, and forks, execs and exits of those, as the kernel reports them.

Signals, forks and execs come from tracepoints in a private tracefs instance; exits from the process connector, as
their tracepoint tells no status (where the connector can't be had, the tracepoint serves, without it). Both clocks
are CLOCK_MONOTONIC. The kernel drops SIGCHLD of ended children and SIGURG of Go's scheduler; of the rest it gives
the whole machine's, because a signal is generated in the sender's context and a child may get one before a
filter of PIDs could be changed. What nobody watches is dropped as soon as it is decoded.
"""

import atexit
import contextlib
import itertools
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable
from operator import itemgetter

from containerlab_probes.errors import ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import names_in, read_text
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import Lost, ProcessId, TracedExit, TraceRecord
from containerlab_probes.trace import ring_buffer, tracefs
from containerlab_probes.trace.connector import Connector
from containerlab_probes.trace.watched import Following, Newcomer

_QUIET = "(sig != 17 || code < 1) && (sig != 23 || code != -6)"
"""All but SIGCHLD by the kernel and SIGURG by tgkill; those that a person sends with kill stay."""
_EXIT_EVENT = "sched/sched_process_exit"
_EVENTS = (
    ("signal/signal_generate", _QUIET, ring_buffer.generated),
    ("signal/signal_deliver", _QUIET, ring_buffer.delivered),
    ("task/task_newtask", "", ring_buffer.new_task),
    ("sched/sched_process_exec", "", ring_buffer.execed),
    (_EXIT_EVENT, "", ring_buffer.ended),
)
_TICK_S = 0.01
"""Between two readings while something comes: events carry the kernel's time, so nothing is lost by waiting."""
_LATE_NS = 2_000_000
"""How long after its time stamp an event may become readable; younger ones wait, to be put in order."""
_RESYNC_S = 1.0
"""After a loss /proc is searched at most this often."""
_CLOCK_STEP_NS = 500_000
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the machine's own PID namespace (include/linux/proc_ns.h)."""

_numbers = itertools.count(1)


class Tracer:
    """Reads the kernel's record in a daemon thread and tells what concerns the watched processes.

    One may be in use beside others, in this program and elsewhere. `watch` may be called at any time and
    from any thread.
    """

    def __init__(self) -> None:
        self._following = Following(_look, self._newcomer)
        self._namespaces: dict[int, int] = {}
        self._lock = threading.Lock()
        self._beginning = threading.Lock()
        """Held by `start`: whoever ends it meanwhile waits until there is a thread to end."""
        self._instance: tracefs.Instance | None = None
        self._connector: Connector | None = None
        self._thread: threading.Thread | None = None
        self._bell = -1
        self._closing = False

    def available(self) -> str:
        """Why the kernel's record can't be had here, in a sentence; empty: it can."""
        try:
            _check_place()
            tracefs.check_events(event for event, _, _ in _EVENTS)
        except ContainerlabError as error:
            return str(error)
        return ""

    @property
    def watched(self) -> frozenset[int]:
        """The processes that are watched now, by their PIDs on the host."""
        with self._lock:
            return frozenset(self._following.pids)

    def watch(self, ids: Iterable[ProcessId]) -> None:
        """Watch these processes, what has descended from them and what will; of a PID namespace's init, whatever
        is in that namespace or enters it. One that has ended is left out.
        """
        for id in ids:
            try:
                if identify(id.pid) != id:
                    continue
                self._register_namespace(id.pid)
            except ContainerlabError:
                continue
            self._take_in(id.pid, id.pid)
        self._take_in_kin()

    def start(self, on_records: Callable[[tuple[TraceRecord, ...]], None]) -> None:
        """Begin. `on_records` is called in the reading thread with what has come, in the order of time (but for what
        the kernel tells more than 2 ms late), at most 100 times a second. Raises `Denied` or `Unsupported`.
        """
        _check_place()
        with self._beginning:
            atexit.register(self.close)  # before there is anything to remove: the program may end at any moment
            with contextlib.suppress(ContainerlabError):  # without it exits are reported without their status
                self._connector = Connector()
            try:
                self._instance = tracefs.Instance(next(_numbers))
                pages = self._set_up(self._instance)
                buffers = self._instance.open_buffers()
            except BaseException:
                self._release()
                raise
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            source = _Source(self._instance, self._connector, pages, buffers, self._bell)
            self._thread = threading.Thread(
                target=self._run, args=(source, on_records), name="kernel-trace", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """End and remove every trace of it in the kernel; what has come until now is told before. May be called
        again, and from `on_records`.
        """
        self._closing = True
        with self._beginning:
            thread = self._thread
        if thread is None:
            return
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)
        if thread is not threading.current_thread():
            thread.join()

    def _set_up(self, instance: tracefs.Instance) -> ring_buffer.Pages:
        instance.prepare()
        decoders = {}
        try:
            for event, only, decoder in _EVENTS:
                if event == _EXIT_EVENT and self._connector:
                    continue
                text = instance.read(f"events/{event}/format")
                decoders[ring_buffer.parse_id(text)] = decoder(ring_buffer.parse_fields(text))
                instance.enable(event, only)
            return ring_buffer.Pages(instance.read("../../events/header_page"), decoders)
        except ValueError as error:
            raise Unsupported(f"The kernel's trace can't be read: {error}.") from error

    def _run(self, source: "_Source", on_records: Callable[[tuple[TraceRecord, ...]], None]) -> None:
        lost, last_resync = False, 0.0
        try:
            while True:
                closing = self._closing
                if not closing:
                    source.wait()
                resync = lost and time.monotonic() - last_resync > _RESYNC_S
                with self._lock:
                    known = tuple(self._following.pids)
                gone = [pid for pid in known if not _threads(pid)] if resync else []
                events, losses = source.read(everything=resync or closing)
                with self._lock:
                    records: list[TraceRecord] = [*losses, *self._following.fold(events, source.offset_ns)]
                    for pid in gone:
                        records += self._following.gone(pid, time.time())
                    self._forget_namespaces(record.pid for record in records if isinstance(record, TracedExit))
                    if losses or resync:
                        self._following.forget_strangers()
                if resync:
                    self._take_in_kin(anew=True)
                    lost, last_resync = False, time.monotonic()
                lost = lost or bool(losses)
                if records:
                    on_records(tuple(records))
                if closing:
                    return
        finally:
            self._release()

    def _release(self) -> None:
        with self._lock:
            if self._bell >= 0:
                os.close(self._bell)
                self._bell = -1
        if self._connector:
            self._connector.close()
            self._connector = None
        if self._instance:
            self._instance.close()
            self._instance = None
        atexit.unregister(self.close)

    def _register_namespace(self, pid: int) -> None:
        if procfs.parse_status(read_text(f"/proc/{pid}/status")).namespace_pids[-1] == 1:
            namespace = namespace_inode(pid, "pid")
            if namespace != namespace_inode(0, "pid"):
                with self._lock:
                    self._namespaces.setdefault(namespace, pid)

    def _forget_namespaces(self, roots: Iterable[int]) -> None:
        """The inode of a namespace is used again for a later one. Called while the lock is held."""
        for gone in roots:
            for namespace in [key for key, root in self._namespaces.items() if root == gone]:
                del self._namespaces[namespace]

    def _take_in(self, pid: int, root: int) -> None:
        """Watch a process with its threads; those it makes meanwhile are found by the next look."""
        seen: frozenset[int] = frozenset()
        _, name = _look(pid) or (pid, "")
        while (threads := _threads(pid)) - seen:
            with self._lock:
                self._following.add(pid, threads - seen, root, name)
            seen |= threads
        with self._lock:
            self._following.leave_out(pid, seen - threads)

    def _take_in_kin(self, anew: bool = False) -> None:
        """Watch what has descended from watched processes, and what is in watched namespaces; `anew` looks for new
        threads and names of those that are watched already, too.
        """
        with self._lock:
            known = {pid: self._following.root_of(pid) for pid in self._following.pids}
            namespaces = dict(self._namespaces)
        for pid in known if anew else ():
            self._take_in(pid, known[pid])
        parents = _parents()
        for pid in parents:
            line = [pid]
            while line[-1] in parents and line[-1] not in known and len(line) < len(parents):
                line.append(parents[line[-1]])
            root = known.get(line[-1]) or (namespaces.get(_namespace(pid)) if namespaces else None)
            if root and pid not in known:
                known[pid] = root
                self._take_in(pid, root)

    def _newcomer(self, thread: int) -> Newcomer | None:
        """Called while the lock is held."""
        root = self._namespaces.get(_namespace(thread)) if self._namespaces else None
        if root is None or root not in self._following.pids:
            return None
        found = _look(thread)
        return Newcomer(found[0], _threads(found[0]), root) if found else None


class _Source:
    """Both sources as one: what has come, in the order of time."""

    def __init__(
        self, instance: tracefs.Instance, connector: Connector | None, pages: ring_buffer.Pages, buffers: list[int],
        bell: int,
    ) -> None:  # fmt: skip
        self._instance = instance
        self._connector = connector
        self._pages = pages
        self._idle, self._busy = select.poll(), select.poll()
        for fd in (bell, *buffers, *([connector.fileno()] if connector else [])):
            self._idle.register(fd, select.POLLIN)
        self._busy.register(bell, select.POLLIN)
        self._held: list[ring_buffer.Event] = []
        self._came = False
        self._overrun = 0
        self.offset_ns = _offset_ns()

    def wait(self) -> None:
        """Until something comes; while something does, until the next tick."""
        if self._came or self._held:
            self._busy.poll(_TICK_S * 1000)
        else:
            self._idle.poll()

    def read(self, everything: bool) -> tuple[list[ring_buffer.Event], list[Lost]]:
        """The events that are old enough to be in order, or `everything` that is there; and what was lost."""
        until = time.monotonic_ns() - _LATE_NS
        events, losses = self._held, []
        before = len(events)
        for pages in self._instance.pages():
            for page in pages:
                events += self._pages.events(page)
            if any(map(self._pages.missed, pages)):
                overrun = self._instance.overrun()
                losses.append(Lost(time.time(), overrun - self._overrun))
                self._overrun = overrun
        if self._connector:
            exits, lost = self._connector.read()
            events += exits
            if lost:
                losses.append(Lost(time.time(), None))
        self._came = len(events) > before
        events.sort(key=itemgetter(0))
        ready = len(events)
        while not everything and ready and events[ready - 1].time > until:
            ready -= 1
        self._held = events[ready:]
        offset_ns = _offset_ns()
        if abs(offset_ns - self.offset_ns) > _CLOCK_STEP_NS:
            self.offset_ns = offset_ns
        return events[:ready], losses


def _check_place() -> None:
    """Raises `Unsupported` where numbers of processes, or the buffers' bytes, wouldn't mean what is read here."""
    if sys.byteorder != "little":
        raise Unsupported("The kernel's trace is read on little-endian machines only.")
    if namespace_inode(0, "pid") != _FIRST_PID_NAMESPACE:
        raise Unsupported("The kernel's trace needs the machine's own PID namespace (docker run --pid=host).")


def _offset_ns() -> int:
    """Epoch less CLOCK_MONOTONIC, of three measurements the one that was disturbed least."""

    def measure() -> tuple[int, int]:
        before, epoch, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        return after - before, epoch - (before + after) // 2

    return min(measure() for _ in range(3))[1]


def _look(thread: int) -> tuple[int, str] | None:
    """The process of a thread, and that process's name; None: it is gone."""
    try:
        pid = procfs.parse_status(read_text(f"/proc/{thread}/status")).tgid
        return pid, procfs.parse_stat(read_text(f"/proc/{pid}/stat")).name
    except (ContainerlabError, ValueError):
        return None


def _threads(pid: int) -> frozenset[int]:
    """The threads of a process that have not ended."""
    threads = set()
    with contextlib.suppress(ContainerlabError):
        for name in names_in(f"/proc/{pid}/task"):
            with contextlib.suppress(Gone, ValueError):
                if procfs.parse_stat(read_text(f"/proc/{pid}/task/{name}/stat")).state not in "ZX":
                    threads.add(int(name))
    return frozenset(threads)


def _parents() -> dict[int, int]:
    """The parent of each process of the machine."""
    parents = {}
    for name in names_in("/proc"):
        if name.isdecimal():
            with contextlib.suppress(Gone, ValueError):
                parents[int(name)] = procfs.parse_stat(read_text(f"/proc/{name}/stat")).parent
    return parents


def _namespace(thread: int) -> int:
    """The inode of its PID namespace; 0 where it is gone."""
    try:
        return namespace_inode(thread, "pid")
    except ContainerlabError:
        return 0
