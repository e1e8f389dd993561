"""Traces the signals of watched processes, their deliveries, and the forks, execs and exits of these processes.

Signals, forks and execs come from tracepoints in a private tracefs instance. Exits come from the process connector,
because their tracepoint has no status; without the connector, the tracepoint is used and the status is unknown. Both
clocks are CLOCK_MONOTONIC. A filter in the kernel drops SIGCHLD of exited children and SIGURG of Go's scheduler. All
other events of the machine are read, because a signal is generated in the sender's context, and a child may get one
before a filter of PIDs could be changed. Events of unwatched processes are dropped once they are decoded.
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

from containerlab_probes.errors import ContainerlabError, Denied, Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import names_in, read_status, read_text
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId
from containerlab_probes.trace import ring_buffer, tracefs
from containerlab_probes.trace.connector import Connector
from containerlab_probes.trace.watched import EnteredProcess, WatchedProcesses
from containerlab_probes.trace_records import LostEvents, TracedExit, TraceRecord

PIDS_LIMIT = 1 << 22
"""The largest number of PIDs that a kernel may have (man 5 proc_sys_kernel, pid_max)."""
_QUIET = "(sig != 17 || code < 1) && (sig != 23 || code != -6)"
"""Drops SIGCHLD from the kernel and SIGURG from tgkill; keeps those that a user sends with kill."""
_EXIT_EVENT = "sched/sched_process_exit"
_EVENTS = (
    ("signal/signal_generate", _QUIET, ring_buffer.generated),
    ("signal/signal_deliver", _QUIET, ring_buffer.delivered),
    ("task/task_newtask", "", ring_buffer.new_task),
    ("sched/sched_process_exec", "", ring_buffer.execed),
    (_EXIT_EVENT, "", ring_buffer.ended),
)
_TICK_S = 0.01
"""Between two readings while events arrive: they carry the kernel's time, so waiting loses nothing."""
_LATE_NS = 2_000_000
"""Maximum delay until an event is readable; younger events are held back, to be sorted."""
_RESYNC_S = 1.0
"""After a loss /proc is searched at most this often."""
_CLOCK_STEP_NS = 500_000
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the host's PID namespace (include/linux/proc_ns.h)."""

_numbers = itertools.count(1)


class Tracer:
    """Reads the kernel trace in a daemon thread and reports the records of the watched processes.

    Several tracers can run at the same time, in this program and in others. `watch` may be called at any time and from
    any thread.
    """

    def __init__(self) -> None:
        self._processes = WatchedProcesses(_process_of, self._entered)
        self._namespaces: dict[int, int] = {}
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        """Held by `start`, so that a `close` meanwhile waits until there is a thread to stop."""
        self._instance: tracefs.Instance | None = None
        self._connector: Connector | None = None
        self._thread: threading.Thread | None = None
        self._bell = -1
        self._closing = False

    def available(self) -> str:
        """Returns a sentence that says why the kernel trace is not available; empty if it is."""
        try:
            _check_machine()
            tracefs.check_events(event for event, _, _ in _EVENTS)
        except ContainerlabError as error:
            return str(error)
        return ""

    @property
    def watched(self) -> frozenset[int]:
        """Host PIDs of the processes that are watched now."""
        with self._lock:
            return frozenset(self._processes.pids)

    def watch(self, ids: Iterable[ProcessId]) -> None:
        """Watches these processes and their present and later descendants; omits processes that have exited.

        For PID 1 of a PID namespace, it watches all processes that are in that namespace or enter it. Raises `Denied`
        if that namespace can't be read (CAP_SYS_PTRACE): signals to processes that enter it would be missing. All
        `ids` are watched even then.
        """
        denied: Denied | None = None
        for id in ids:
            try:
                if identify(id.pid) != id:
                    continue
                self._register_namespace(id.pid)
            except Denied as error:
                denied = error
            except ContainerlabError:
                continue
            self._watch_process(id.pid, id.pid)
        self._watch_relatives()
        if denied is not None:
            raise denied

    def start(self, on_records: Callable[[tuple[TraceRecord, ...]], None]) -> None:
        """Starts the trace. Raises `Denied` or `Unsupported`.

        The reading thread calls `on_records` at most 100 times a second, with records in the order of time (except
        those that the kernel reports more than 2 ms late).
        """
        _check_machine()
        with self._starting:
            atexit.register(self.close)  # before there is anything to remove: the program may exit at any moment
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
            source = _TraceSource(self._instance, self._connector, pages, buffers, self._bell)
            self._thread = threading.Thread(
                target=self._run, args=(source, on_records), name="kernel-trace", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stops the trace and removes its instance from the kernel, after it has reported all records until now.

        May be called again, and from `on_records`.
        """
        self._closing = True
        with self._starting:
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
            raise Unsupported(f"Could not read the kernel trace: {error}.") from error

    def _run(self, source: "_TraceSource", on_records: Callable[[tuple[TraceRecord, ...]], None]) -> None:
        lost, last_resync = False, 0.0
        try:
            while True:
                closing = self._closing
                if not closing:
                    source.wait()
                resync = lost and time.monotonic() - last_resync > _RESYNC_S
                with self._lock:
                    known = tuple(self._processes.pids)
                vanished = [pid for pid in known if not _threads(pid)] if resync else []
                events, losses = source.read(everything=resync or closing)
                with self._lock:
                    records: list[TraceRecord] = [*losses, *self._processes.fold(events, source.offset_ns)]
                    for pid in vanished:
                        records += self._processes.vanished(pid, time.time())
                    self._forget_namespaces(record.pid for record in records if isinstance(record, TracedExit))
                    if losses or resync:
                        self._processes.forget_unwatched()
                if resync:
                    self._watch_relatives(refresh=True)
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
        if procfs.parse_status(read_status(f"/proc/{pid}")).namespace_pids[-1] == 1:
            namespace = namespace_inode(pid, "pid")
            if namespace != namespace_inode(0, "pid"):
                with self._lock:
                    self._namespaces.setdefault(namespace, pid)

    def _forget_namespaces(self, roots: Iterable[int]) -> None:
        """Forgets the namespaces of these processes, because inodes are reused. The caller holds the lock."""
        for exited in roots:
            for namespace in [key for key, root in self._namespaces.items() if root == exited]:
                del self._namespaces[namespace]

    def _watch_process(self, pid: int, root: int) -> None:
        """Watches a process and its threads; reads again until there are no new threads."""
        seen: frozenset[int] = frozenset()
        _, name = _process_of(pid) or (pid, "")
        while (threads := _threads(pid)) - seen:
            with self._lock:
                self._processes.add(pid, threads - seen, root, name)
            seen |= threads
        with self._lock:
            self._processes.remove_threads(pid, seen - threads)

    def _watch_relatives(self, refresh: bool = False) -> None:
        """Watches the descendants of watched processes, and the processes in watched namespaces.

        `refresh` also reads the threads and names of the already watched processes again.
        """
        with self._lock:
            known = {pid: self._processes.root_of(pid) for pid in self._processes.pids}
            namespaces = dict(self._namespaces)
        for pid in known if refresh else ():
            self._watch_process(pid, known[pid])
        parents = _parents()
        for pid in parents:
            ancestry = [pid]
            while ancestry[-1] in parents and ancestry[-1] not in known and len(ancestry) < len(parents):
                ancestry.append(parents[ancestry[-1]])
            root = known.get(ancestry[-1]) or (namespaces.get(_namespace(pid)) if namespaces else None)
            if root and pid not in known:
                known[pid] = root
                self._watch_process(pid, root)

    def _entered(self, thread: int) -> EnteredProcess | None:
        """Returns the process of a thread that has entered a watched namespace. The caller holds the lock."""
        root = self._namespaces.get(_namespace(thread)) if self._namespaces else None
        if root is None or root not in self._processes.pids:
            return None
        found = _process_of(thread)
        return EnteredProcess(found[0], _threads(found[0]), root) if found else None


class _TraceSource:
    """Merges the events of both sources in the order of time."""

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
        self._has_news = False
        self._overrun = 0
        self.offset_ns = _offset_ns()

    def wait(self) -> None:
        """Waits for an event; while events arrive, until the next tick."""
        if self._has_news or self._held:
            self._busy.poll(_TICK_S * 1000)
        else:
            self._idle.poll()

    def read(self, everything: bool) -> tuple[list[ring_buffer.Event], list[LostEvents]]:
        """Returns the events that are old enough to be sorted (with `everything`, all events), and the losses."""
        until = time.monotonic_ns() - _LATE_NS
        events, losses = self._held, []
        before = len(events)
        for pages in self._instance.pages():
            for page in pages:
                events += self._pages.events(page)
            if any(map(self._pages.missed, pages)):
                overrun = self._instance.overrun()
                losses.append(LostEvents(time.time(), overrun - self._overrun))
                self._overrun = overrun
        if self._connector:
            exits, lost = self._connector.read()
            events += exits
            if lost:
                losses.append(LostEvents(time.time(), None))
        self._has_news = len(events) > before
        events.sort(key=itemgetter(0))
        ready = len(events)
        while not everything and ready and events[ready - 1].time > until:
            ready -= 1
        self._held = events[ready:]
        offset_ns = _offset_ns()
        if abs(offset_ns - self.offset_ns) > _CLOCK_STEP_NS:
            self.offset_ns = offset_ns
        return events[:ready], losses


def _check_machine() -> None:
    """Raises `Unsupported` on a big-endian machine and outside the host's PID namespace."""
    if sys.byteorder != "little":
        raise Unsupported("The kernel trace needs a little-endian machine.")
    if namespace_inode(0, "pid") != _FIRST_PID_NAMESPACE:
        raise Unsupported("The kernel trace needs the host's PID namespace (docker run --pid=host).")


def _offset_ns() -> int:
    """Returns epoch time minus CLOCK_MONOTONIC: the best of three measurements."""

    def measure() -> tuple[int, int]:
        before, epoch, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        return after - before, epoch - (before + after) // 2

    return min(measure() for _ in range(3))[1]


def _process_of(thread: int) -> tuple[int, str] | None:
    """Returns the process of a thread, and that process's name; None: it has exited."""
    try:
        pid = procfs.parse_status(read_status(f"/proc/{thread}")).tgid
        return pid, procfs.parse_stat(read_text(f"/proc/{pid}/stat")).name
    except (ContainerlabError, ValueError):
        return None


def _threads(pid: int) -> frozenset[int]:
    """Returns the threads of a process that have not exited."""
    threads = set()
    with contextlib.suppress(ContainerlabError):
        for name in names_in(f"/proc/{pid}/task", PIDS_LIMIT):
            with contextlib.suppress(Gone, ValueError):
                if procfs.parse_stat(read_text(f"/proc/{pid}/task/{name}/stat")).state not in "ZX":
                    threads.add(int(name))
    return frozenset(threads)


def _parents() -> dict[int, int]:
    """Returns the parent of each process of the machine."""
    parents = {}
    for name in names_in("/proc", PIDS_LIMIT):
        if name.isdecimal():
            with contextlib.suppress(Gone, ValueError):
                parents[int(name)] = procfs.parse_stat(read_text(f"/proc/{name}/stat")).parent
    return parents


def _namespace(thread: int) -> int:
    """Returns the inode of a thread's PID namespace; 0 if it has exited."""
    try:
        return namespace_inode(thread, "pid")
    except ContainerlabError:
        return 0
