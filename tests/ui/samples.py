"""Handwritten records of an engine and a kernel, and a host application for one screen or widget."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from containerlab_probes.memory_records import Backing, IpcKind, IpcObject, IpcSnapshot, Mapping, Semaphore
from containerlab_probes.records import Delivery, Dispositions, Process, ProcessId
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Graceful, Outlook
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, StopState, begin, fold
from containerlab_tui.model.survival import Answer, Survival
from containerlab_tui.model.views import FileRow, FilesView, IpcRow, IpcView

BEGAN = 1_764_000_000.0
"""A time in the past, epoch seconds."""
SIZES = ((80, 24), (140, 45))
HOSTILE = "x[/]\x1b]0;owned\x07[@click=app.bell]\x9b31m\u202e"
"""Markup, an OSC, a C1 CSI and a bidi control: must neither reach the terminal nor be parsed."""


class Host(App[None]):
    """Shows one widget, or pushes one screen and keeps its results."""

    def __init__(self, shown: "Widget | Screen[Any]") -> None:
        super().__init__()
        self._shown = shown
        self.answers: list[object] = []
        self.messages: list[object] = []

    def compose(self) -> ComposeResult:
        if not isinstance(self._shown, Screen):
            yield self._shown

    async def on_mount(self) -> None:
        if isinstance(self._shown, Screen):
            # Awaited: `run_test` then begins only after the screen has all its widgets.
            await self.push_screen(self._shown, self.answers.append)

    def on_ipc_panel_open_object(self, event: object) -> None:
        self.messages.append(event)

    on_ipc_panel_remove_object = on_ipc_panel_open_object
    on_files_panel_open_mapping = on_ipc_panel_open_object


def is_laid_out(app: App[Any]) -> bool:
    """Returns whether the screen in front has its widgets, and a place for each of them."""
    return app.screen.is_mounted and app.screen._compositor.size == app.size


def text_of(app: App[Any]) -> str:
    """Returns what a monochrome terminal would show, one line for each row.

    A screen that was pushed a moment ago shows nothing yet: `settled` waits until it does.
    """
    assert is_laid_out(app), f"{app.screen} is still being mounted: wait for it with settled()"
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip) for strip in strips]
    assert len(lines) == height
    assert all(len(line) <= width for line in lines)
    return "\n".join(line.rstrip() for line in lines) + "\n"


async def settled(pilot: Pilot[Any], condition: Callable[[], bool], what: str) -> None:
    """Waits until the screen in front is laid out and the condition holds; fails with the condition's name."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        if is_laid_out(pilot.app) and condition():
            return
        await pilot.pause(0.01)  # between two looks
    raise AssertionError(f"timed out waiting for {what}")


def process(
    container_pid: int,
    *argv: str,
    parent: int = 0,
    caught: Iterable[int] = (),
    ignored: Iterable[int] = (),
    host: int = 7000,
) -> Process:
    """A process whose host PID is its own PID and `host`; `parent` is a PID in the container."""
    return Process(
        id=ProcessId(host + container_pid, 100_000 + container_pid),
        container_pid=container_pid,
        parent_pid=host + parent,
        started_at=BEGAN - 180,
        state="S",
        uid=0,
        user="root",
        name=(argv[0] if argv else "x").rsplit("/", 1)[-1][:15],
        argv=argv,
        threads=1,
        dispositions=Dispositions(caught=frozenset(caught), ignored=frozenset(ignored)),
        namespace_init=container_pid == 1,
    )


SHELL = process(1, "sh", "-c", "python3 /app/dockerapp.py; true")
APP = process(7, "python3", "/app/dockerapp.py", parent=1, caught=(2, 10, 12, 15), ignored=(13,))
WORKER = process(13, "python3", "/app/dockerapp.py", parent=7, caught=(2, 10, 12), ignored=(13,))
HANDLER = process(1, "python3", "/app/dockerapp2.py", caught=(2, 10, 12, 15), ignored=(13,), host=7300)


def plan(*processes: Process, name: str = "shell-form", timeout_s: float = 10, signal: int = 15) -> StopPlan:
    return StopPlan(
        container=f"{name}-id".encode().hex().ljust(64, "0")[:64],
        name=name,
        signal=signal,
        signal_source="default",
        timeout_s=timeout_s,
        timeout_source="default",
        processes=processes,
        forecasts=tuple(forecast(one, signal) for one in processes),
        pid=processes[0].pid if processes else 0,
        unseen_reason="" if processes else "the engine is remote",
    )


def fed(state: StopState, *events: StopEvent) -> StopState:
    for event in events:
        state = fold(state, event)
    return state


def sent(after: float, signal: int) -> StopEvent:
    """Returns the engine's event of a signal to PID 1."""
    return StopEvent(BEGAN + after, Kind.SIGNAL, Source.ENGINE, container_pid=1, signal=signal)


def ended(after: float, one: Process, how: int | str | None) -> StopEvent:
    """Returns the kernel's event of an exit."""
    return StopEvent(BEGAN + after, Kind.ENDED, Source.KERNEL, one.id, one.container_pid, ended_by=how)


def by_engine(after: float, kind: Kind, code: int | None = None, detail: str = "") -> StopEvent:
    return StopEvent(BEGAN + after, kind, Source.ENGINE, ended_by=code, detail=detail)


def killed_stop() -> StopState:
    """Returns the stop of a shell without a SIGTERM handler: it and its children are killed after the grace period."""
    return fed(
        begin(plan(SHELL, APP, WORKER), BEGAN),
        by_engine(0.0, Kind.REQUESTED, detail="stop with SIGTERM, grace period 10 s"),
        sent(0.012, 15),
        sent(10.031, 9),
        ended(10.035, SHELL, "SIGKILL"),
        ended(10.036, APP, "SIGKILL"),
        ended(10.036, WORKER, "SIGKILL"),
        by_engine(10.102, Kind.DIED, 137),
        by_engine(10.131, Kind.STOPPED),
        by_engine(10.14, Kind.SETTLED),
    )


def graceful_stop(name: str = "dockerapp2") -> StopState:
    """A program that exits on its own after 0.2 s."""
    return fed(
        begin(plan(HANDLER, name=name), BEGAN),
        by_engine(0.0, Kind.REQUESTED, detail="stop with SIGTERM, grace period 10 s"),
        sent(0.009, 15),
        ended(0.212, HANDLER, 0),
        by_engine(0.251, Kind.DIED, 0),
        by_engine(0.26, Kind.STOPPED),
        by_engine(0.26, Kind.SETTLED),
    )


def stop_in_progress() -> StopState:
    """Returns the stop of the shell, in phase 1."""
    return fed(
        begin(plan(SHELL, APP, WORKER), BEGAN),
        by_engine(0.0, Kind.REQUESTED, detail="stop with SIGTERM, grace period 10 s"),
        sent(0.012, 15),
    )


def prediction(outlook: Outlook, confidence: Confidence = Confidence.CERTAIN) -> Diagnosis:
    """Returns a prediction of a stop with SIGTERM and 10 s."""
    return Diagnosis(
        "shell-form", "SIGTERM", "default", 10, "default", Delivery.DROPPED, outlook, Graceful.UNKNOWN, None,
        confidence, (), (), (),
    )  # fmt: skip


def by_kernel(after: float, kind: Kind, one: Process, signal: int, detail: str) -> StopEvent:
    return StopEvent(BEGAN + after, kind, Source.KERNEL, one.id, one.container_pid, signal, detail=detail)


def traced_stop() -> StopState:
    """Returns the killed stop with a kernel trace and a prediction, up to the exit of PID 1."""
    planned = replace(plan(SHELL, APP, WORKER), traced=True, prediction=prediction(Outlook.TIMES_OUT))
    return fed(
        begin(planned, BEGAN),
        by_engine(0.0, Kind.REQUESTED, detail="stop with SIGTERM, grace period 10 s"),
        by_kernel(0.011, Kind.SIGNAL, SHELL, 15, "discarded, from runc [8123]"),
        sent(0.012, 15),
        by_kernel(10.03, Kind.SIGNAL, SHELL, 9, "queued, from runc [8140]"),
        sent(10.031, 9),
        by_kernel(10.033, Kind.SIGNAL, APP, 9, "queued, from the kernel, for sh [7001]"),
        by_kernel(10.033, Kind.SIGNAL, WORKER, 9, "queued, from the kernel, for sh [7001]"),
        ended(10.035, SHELL, "SIGKILL"),
        ended(10.036, APP, "SIGKILL"),
        ended(10.036, WORKER, "SIGKILL"),
    )


def finished_traced_stop() -> StopState:
    return fed(
        traced_stop(),
        by_engine(10.102, Kind.DIED, 137),
        by_engine(10.131, Kind.STOPPED),
        by_engine(10.14, Kind.SETTLED),
    )


IN_MEMORY = Survival(
    Answer.YES, Answer.NO, Answer.NO, Answer.NO, "It belongs to the container's private IPC namespace."
)
IN_LAYER = Survival(Answer.YES, Answer.YES, Answer.NO, Answer.YES, "In the container's writable layer.")
IN_VOLUME = Survival(Answer.YES, Answer.YES, Answer.YES, Answer.UNKNOWN, "In the volume data.")

WRITER = process(1, "python3", "/app/writer.py")
READER = process(9, "python3", "/app/reader.py", parent=1)


def ipc_view() -> IpcView:
    shm = IpcObject(
        IpcKind.SHM, "0", 5678, "", 27, 0, 0, 0o666, WRITER.pid, READER.pid, 2, (WRITER.pid, READER.pid), BEGAN
    )
    private = IpcObject(IpcKind.SHM, "3", 0, "", 2 << 30, 0, 0, 0o600, 6999, 6999, 0, (), BEGAN, removed=True)
    sem = IpcObject(
        IpcKind.SEM, "1", 0x51, "", None, 0, 0, 0o600, semaphores=(Semaphore(1, 0, 0, 0), Semaphore(0, 2, 0, 7009))
    )
    msg = IpcObject(IpcKind.MSG, "2", 0x7FFFFFFF, "", 640, 1000, 1000, 0o640, last_pid=7009, messages=12)
    posix = IpcObject(IpcKind.POSIX_SHM, "ring", None, "/ring", 65536, 33, 33, 0o644, attached=1, users=(WRITER.pid,))
    return IpcView(
        IpcSnapshot(
            4026532841,
            (shm, private, sem, msg, posix),
            {"shmmax": 18446744073692774399, "shmmni": 4096, "semmsl": 32000, "msgmax": 8192,
             "dev_shm_bytes": 64 << 20, "dev_shm_free": 67 << 19},
        ),
        "shareable",
        ("systemv-shm-reader",),
        (
            IpcRow(shm, IN_MEMORY, WRITER, READER, (WRITER, READER)),
            IpcRow(private, replace(IN_MEMORY, process_exit=Answer.NO), None, None, ()),
            IpcRow(sem, IN_MEMORY, None, None, ()),
            IpcRow(msg, IN_MEMORY, None, READER, ()),
            IpcRow(posix, IN_MEMORY, None, None, (WRITER,)),
        ),
    )  # fmt: skip


def mapping(one: Process, start: int, length: int, permissions: str, path: str, file_bytes: int | None) -> Mapping:
    return Mapping(
        one.id, one.container_pid, start, start + length, permissions, 0, "08:01", 1234, path, False, file_bytes
    )


def files_view() -> FilesView:
    layer = "/var/lib/docker/overlay2/5f1c9aa03d/merged/data/shared.dat"
    return FilesView(
        (
            FileRow(mapping(WRITER, 0x7F1F0000, 4096, "rw-s", "/data/shared.dat", 501), WRITER,
                    Backing.WRITABLE_LAYER, layer, IN_LAYER),
            FileRow(mapping(WRITER, 0x7F2F0000, 65536, "rw-s", "/volume/journal", 1 << 20), WRITER,
                    Backing.VOLUME, "/var/lib/docker/volumes/data/_data/journal", IN_VOLUME),
            FileRow(mapping(READER, 0x7F3F0000, 4096, "rw-s", "/dev/zero", 4096), READER,
                    Backing.ANONYMOUS_SHARED, None, replace(IN_MEMORY, process_exit=Answer.NO)),
            FileRow(mapping(READER, 0x7F4F0000, 1 << 21, "r-xp", "/usr/lib/libc.so.6", 1922136), READER,
                    Backing.IMAGE, "/var/lib/docker/overlay2/aa11/merged/usr/lib/libc.so.6", IN_LAYER),
        ),
        ("The mappings of process 14 could not be read without root (CAP_SYS_PTRACE); run this with sudo.",),
    )  # fmt: skip
