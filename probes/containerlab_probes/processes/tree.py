"""Reads the process tree of one container, with the signal dispositions of each process."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import answer_bytes, read_link, read_status, read_text
from containerlab_probes.kernel.local import LocalMounts, NotLocal
from containerlab_probes.kernel.user_ids import IdKind, id_map
from containerlab_probes.processes.awaiting import awaits_signals
from containerlab_probes.processes.container_files import passwd_of
from containerlab_probes.processes.dispositions import dispositions_of, read_threads
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.membership import membership_of
from containerlab_probes.processes.shell_foreground import foreground_of, shell_of
from containerlab_probes.records import WITHOUT_ROOT, ContainerRun, Dispositions, Process, ProcessId, ProcessList

_TICKS = os.sysconf("SC_CLK_TCK")
_BOOT = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
"""Epoch seconds of the machine's boot; measured once, so that the start of a process never changes."""
_CHILD_SIGNAL = 17
PROCESSES_LIMIT = 32_000
"""Processes of one container that are listed; it may have as many as the machine (man 5 proc_sys_kernel, pid_max)."""
TEXT_BYTES = 24 * 1024 * 1024
"""Bytes of their command lines and other texts together in an answer. One command line may have 256 KiB, and processes
that fork share the memory of theirs."""
READING_S = 8.0
"""Time after which a listing of processes stops. Each one may have thousands of threads and open files."""


def read_process(pid: int) -> Process:
    """Reads one process by its number on the host. Raises `Gone`.

    `container_pid` is its number in its own innermost PID namespace.
    """
    return _read(pid, _read_stat(pid), -1, _Users(identify(pid)))


def level_of(pid: int) -> int:
    """Returns the number of PID namespaces above that of a process. Raises `Gone`."""
    return len(procfs.parse_status(read_status(f"/proc/{pid}")).namespace_pids) - 1


def pid_and_name(pid: int, level: int) -> tuple[int, str]:
    """Returns the number of a process `level` PID namespaces below the host's (0: it is not in that one), and its comm.

    It takes only two reads, so it is cheap enough for each new process. Raises `Gone`.
    """
    numbers = procfs.parse_status(read_status(f"/proc/{pid}")).namespace_pids
    return numbers[level] if level < len(numbers) else 0, _read_stat(pid).name


def list_processes(
    run: ContainerRun, passwd: Callable[[ProcessId], bytes] | None = None, within_s: float = READING_S
) -> ProcessList:
    """Returns the processes that belong to this run of a container; parents before children, children by PID.

    `membership` says which those are. Processes that `docker exec` started or that entered through nsenter follow PID
    1's tree. If the container shares a PID namespace (`--pid=host` or `container:…`), only the cgroup counts. A process
    that exits during the reading is omitted. `passwd` reads the container's user names where their file may block;
    without it they stay numbers there. Raises `Gone` if PID 1 has exited, and as `membership_of`.
    """
    until = time.monotonic() + within_s
    membership, init = membership_of(run), run.init
    users, members = _Users(init, passwd), membership.pids()
    order = _in_reading_order(members, init)
    stats = {pid: stat for pid in order[:PROCESSES_LIMIT] if (stat := _stat_or_none(pid))}
    held = _groups_held(stats)
    found: list[Process] = []
    unread, text_bytes = "", 0
    for count, pid in enumerate(order):
        why = _reason_to_stop(count, text_bytes, until) if count else None
        if why is not None:
            unread = f"Processes: the first {count:,} of {len(members):,} are listed{why}."
            break
        if pid not in stats:
            continue
        with suppress(Gone):
            is_orphaned = stats[pid].group not in held
            found.append(_read(pid, stats[pid], membership.level if members[pid] else None, users, is_orphaned))
            text_bytes += sum(map(answer_bytes, (*found[-1].argv, found[-1].exe, found[-1].user)))
    if all(process.id != init for process in found):
        raise Gone(f"PID 1 of the container (process {init.pid}) has exited.")
    return ProcessList(_in_tree_order(found, init), unread)


def _reason_to_stop(count: int, text_bytes: int, until: float) -> str | None:
    """Returns why no further process is read, as the end of a sentence, which may be empty; None: read on."""
    if count == PROCESSES_LIMIT:
        return ""
    if text_bytes > TEXT_BYTES:
        return "; their command lines are too long for more"
    return "; reading took too long" if time.monotonic() > until else None


def process_ids(run: ContainerRun) -> tuple[tuple[ProcessId, ...], str]:
    """Returns which processes `list_processes` lists, and a sentence as in `ProcessList`; much faster. Raises as it."""
    members = membership_of(run).pids()
    found = []
    for pid in _in_reading_order(members, run.init)[:PROCESSES_LIMIT]:
        with suppress(Gone):
            found.append(identify(pid))
    if len(members) <= PROCESSES_LIMIT:
        return tuple(found), ""
    return tuple(found), f"Processes: the first {PROCESSES_LIMIT:,} of {len(members):,} are searched."


def _in_reading_order(pids: Collection[int], init: ProcessId) -> list[int]:
    """Returns PID 1 first, since it matters most: its number need not be the lowest."""
    return sorted(pids, key=lambda pid: (pid != init.pid, pid))


class _Users:
    """Users as the container sees them. Its /etc/passwd is read at the first use."""

    def __init__(self, id: ProcessId, passwd: Callable[[ProcessId], bytes] | None = None) -> None:
        self._id, self._passwd, self._ids = id, passwd, id_map(id.pid, IdKind.USER)
        self._names: dict[int, str] | None = None

    def number(self, uid: int) -> int:
        """Returns the uid in PID 1's user namespace."""
        return self._ids.inside(uid)

    def name(self, uid: int) -> str:
        """Returns the name, or the uid as text without such a file or user."""
        if self._names is None:
            try:
                self._names = procfs.parse_users(self._text())
            except ContainerlabError:
                self._names = {}
        return self._names.get(uid, str(uid))

    def _text(self) -> str:
        try:
            data = passwd_of(self._id, LocalMounts(self._id.pid))
        except NotLocal:
            if self._passwd is None:
                raise
            data = self._passwd(self._id)
        return data.decode("utf-8", "surrogateescape")


def _read(pid: int, stat: procfs.Stat, level: int | None, users: _Users, orphaned_group: bool | None = None) -> Process:
    """Reads the process that `stat` was read of. Raises `Gone`.

    `level` selects its container PID: 0 is the host's, -1 that of the innermost namespace. None: it is outside of the
    container's PID namespace and has no number there.
    """
    status = procfs.parse_status(read_status(f"/proc/{pid}"))
    argv = procfs.parse_command_line(_proc_text(pid, "cmdline"))
    try:
        exe = read_link(f"/proc/{pid}/exe")
    except ContainerlabError:
        exe = ""
    shell = shell_of(stat.name, exe, argv)
    awaits = awaits_signals(stat.name)
    threads = read_threads(pid, status, wait_for_sleep=awaits or shell is not None)
    dispositions = dispositions_of(pid, threads, awaits)
    if shell and dispositions.caught - {_CHILD_SIGNAL}:
        dispositions = _with_foreground(dispositions, *foreground_of(pid, shell, threads[0]))
    if procfs.parse_started(_proc_text(pid, "stat")) != stat.started:
        raise Gone(f"Process {pid} has exited.")
    numbers, uid = status.namespace_pids, users.number(status.uid)
    namespace_init = numbers[-1] == 1
    return Process(
        id=ProcessId(pid, stat.started),
        container_pid=numbers[level] if level is not None and level < len(numbers) else 0,
        parent_pid=status.parent,
        started_at=round(_BOOT + stat.started / _TICKS, 2),
        state=status.state,
        uid=uid,
        user=users.name(uid),
        name=stat.name,
        argv=argv,
        threads=status.threads,
        dispositions=dispositions,
        exe=exe,
        namespace_init=namespace_init,
        orphaned_group=orphaned_group,
        spared_by_kernel=_spared_by_kernel(dispositions) if namespace_init else None,
    )


def _spared_by_kernel(init: Dispositions) -> bool | None:
    """Tests the kernel only if it matters: few programs block a signal without a handler in one thread only."""
    if not init.leader_blocked - init.blocked - init.caught - init.ignored - init.sigwait:
        return None
    from containerlab_probes.kernel.asking import spares_init_when_main_thread_blocks

    return spares_init_when_main_thread_blocks()


def _with_foreground(dispositions: Dispositions, children: tuple[int, ...], unread: str) -> Dispositions:
    open_to = dispositions.caught - dispositions.blocked - {_CHILD_SIGNAL}
    if not unread:
        assumed = dispositions.assumed | open_to if WITHOUT_ROOT in dispositions.unread else dispositions.assumed
        return replace(dispositions, foreground=children, assumed=assumed)
    return replace(dispositions, unclear=dispositions.unclear | open_to, unread=(*dispositions.unread, unread))


def _read_stat(pid: int) -> procfs.Stat:
    return procfs.parse_stat(_proc_text(pid, "stat"))


def _stat_or_none(pid: int) -> procfs.Stat | None:
    try:
        return _read_stat(pid)
    except Gone:
        return None


def _proc_text(pid: int, name: str) -> str:
    return read_text(f"/proc/{pid}/{name}", at_once=True)


def _groups_held(stats: dict[int, procfs.Stat]) -> set[int]:
    """Returns the process groups that aren't orphaned: job control signals don't suspend an orphaned one.

    A group is orphaned if no member has a parent in the same session but another group (kernel/exit.c,
    will_become_orphaned_pgrp).
    """
    held: set[int] = set()
    outside = dict[int, tuple[int, int] | None]()
    for stat in stats.values():
        if stat.state in "ZX" or stat.parent <= 1 or stat.group in held:
            continue
        if parent := stats.get(stat.parent):
            ids: tuple[int, int] | None = parent.group, parent.session
        else:
            if stat.parent not in outside:
                outside[stat.parent] = _group_and_session(stat.parent)
            ids = outside[stat.parent]
        if ids and ids[0] != stat.group and ids[1] == stat.session:
            held.add(stat.group)
    return held


def _group_and_session(pid: int) -> tuple[int, int] | None:
    try:
        return os.getpgid(pid), os.getsid(pid)
    except OSError:
        return None


def _in_tree_order(processes: list[Process], init: ProcessId) -> tuple[Process, ...]:
    by_parent: defaultdict[int, list[Process]] = defaultdict(list)
    known = {process.pid for process in processes}
    roots: list[Process] = []
    for process in processes:
        outside = process.parent_pid not in known or process.id == init
        (roots if outside else by_parent[process.parent_pid]).append(process)
    roots.sort(key=lambda process: (process.id != init, process.pid))
    ordered: dict[int, Process] = {}
    waiting = roots[::-1]
    while waiting:
        process = waiting.pop()
        if process.pid not in ordered:
            ordered[process.pid] = process
            waiting.extend(sorted(by_parent[process.pid], key=lambda child: -child.pid))
    # A parent that exited between two reads leaves a PID that may belong to another process in the list.
    return (*ordered.values(), *(process for process in processes if process.pid not in ordered))
