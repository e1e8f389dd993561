"""Converts records to the JSON documents of the command line. Other programs rely on these names.

Times are ISO 8601 with microseconds in UTC, durations are seconds (`_s`), sizes bytes, signals names, and a
process carries `pid` (the host's number) and `container_pid`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from containerlab_probes.records import ProcessLoad
from containerlab_probes.signals.names import name_of
from containerlab_tui.present.safe_text import plain
from containerlab_tui.present.states import status_with_health

if TYPE_CHECKING:
    from containerlab_probes.memory_records import IpcObject, Window
    from containerlab_probes.records import Dispositions, Forecast, Process
    from containerlab_tui.model.inventory import Container, Details, EngineVersion
    from containerlab_tui.model.stop import Lane, Phase, StopEvent, StopState
    from containerlab_tui.model.survival import Survival
    from containerlab_tui.model.views import FilesView, IpcUse, IpcView, Sent

SCHEMA = 1

Document = dict[str, object]


def moment(epoch_s: float | None) -> str | None:
    """Formats a time as ISO 8601 in UTC with microseconds: `2026-11-24T08:13:56.000000Z`."""
    if epoch_s is None:
        return None
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def names(numbers: Iterable[int]) -> list[str]:
    """Returns the names of signals."""
    return [name_of(number) for number in sorted(numbers)]


def ps(
    endpoint: str, version: "EngineVersion", containers: "Sequence[Container]", details: "Mapping[str, Details]"
) -> Document:
    return {
        "schema": SCHEMA,
        "engine": {"endpoint": endpoint, "version": version.version, "product": version.product.name},
        "containers": [_container(one, details.get(one.id)) for one in containers],
    }


def _container(one: "Container", more: "Details | None") -> Document:
    return {
        "id": one.id,
        "name": one.name,
        "image": one.image,
        "state": one.state,
        "status": status_with_health(one, more),
        "pid": more.pid if more else None,
        "command": plain(one.command),
        "created": moment(one.created),
        "ports": list(one.ports),
        "ipc_mode": more.ipc_mode if more else None,
        "labels": dict(one.labels),
        "stop_signal": more.stop_signal if more else None,
        "stop_timeout_s": more.stop_timeout_s if more else None,
    }


def processes(container: str, seen: "Sequence[Process]", *unread: str) -> Document:
    return {
        "schema": SCHEMA,
        "container": container,
        "processes": [_process(one) for one in seen],
        "partial": _partial(*unread),
    }


def _partial(*unread: str) -> list[str]:
    return [plain(one) for one in unread if one]


def _process(one: "Process") -> Document:
    return {
        "pid": one.pid,
        "container_pid": one.container_pid,
        "parent_pid": one.parent_pid,
        "started": moment(one.started_at),
        "state": one.state,
        "user": one.user,
        "command": plain(one.command),
        "threads": one.threads,
        **_load(one.load or ProcessLoad()),
        **_dispositions(one.dispositions),
    }


def _load(load: ProcessLoad) -> Document:
    return {
        "cpu_percent": None if load.cpu_percent is None else round(load.cpu_percent, 1),
        "memory_bytes": load.memory_bytes,
        "descriptors": load.descriptors,
        "read_bytes": load.read_bytes,
        "written_bytes": load.written_bytes,
    }


def _dispositions(held: "Dispositions") -> Document:
    return {
        "caught": names(held.caught),
        "ignored": names(held.ignored),
        "blocked": names(held.blocked),
        "pending": names(held.pending),
        "awaited": names(held.sigwait | held.signalfd),
        "unread": list(held.unread),
    }


def forecasts(container: str, made: "Iterable[Forecast]", *unread: str) -> Document:
    return {
        "schema": SCHEMA,
        "container": container,
        "forecasts": [_forecast(one) for one in made],
        "partial": _partial(*unread),
    }


def _forecast(one: "Forecast") -> Document:
    return {
        "pid": one.id.pid,
        "container_pid": one.container_pid,
        "signal": name_of(one.signal),
        "delivery": one.delivery.value,
        "effect": one.effect.value,
        "evidence": one.evidence,
        "likely": one.likely,
    }


def signal(container: str, sent: "Sequence[Sent]", unread: str = "") -> Document:
    return {
        "schema": SCHEMA,
        "container": container,
        "sent": [
            {
                "pid": one.id.pid,
                "container_pid": one.container_pid,
                "signal": name_of(one.signal),
                "route": one.route,
                "forecast": None if one.forecast is None else _forecast(one.forecast),
                "observed": one.observed,
                "error": one.error or None,
            }
            for one in sent
        ],
        "partial": _partial(unread),
    }


def _phase(phase: "Phase | None") -> Document | None:
    return None if phase is None else {"started": moment(phase.started), "ended": moment(phase.ended)}


def stop(state: "StopState") -> Document:
    """Returns the JSON document of `stop`: the whole timeline."""
    plan = state.plan
    return {
        "schema": SCHEMA,
        "container": plan.name,
        "signal": name_of(plan.signal),
        "signal_source": plan.signal_source,
        "timeout_s": plan.timeout_s,
        "timeout_source": plan.timeout_source,
        "verdict": state.verdict.value if state.verdict else None,
        "exit_code": state.exit_code,
        "duration_s": _rounded(state.duration_s),
        "began": moment(state.began),
        "phase_1": _phase(state.phase_1) or {"started": None, "ended": None},
        "phase_2": _phase(state.phase_2),
        "out_of_memory": state.out_of_memory,
        "processes_unseen": plan.unseen_reason or None,
        "kernel_trace": plan.traced,
        "events": [_event(one, state.began) for one in state.events],
        "processes": [_lane(one, state.began) for one in state.lanes],
    }


def _event(event: "StopEvent", began: float) -> Document:
    return {
        "t_s": _rounded(event.at - began),
        "kind": event.kind.value,
        "pid": event.id.pid if event.id else None,
        "container_pid": event.container_pid,
        "signal": name_of(event.signal) if event.signal else None,
        "detail": plain(event.detail) or _ended(event.ended_by),
        "source": event.source.value,
    }


def _lane(lane: "Lane", began: float) -> Document:
    return {
        "pid": lane.id.pid,
        "container_pid": lane.container_pid,
        "command": plain(lane.command),
        "got_signal": lane.got_signal,
        "ended_t_s": _rounded(None if lane.ended_at is None else lane.ended_at - began),
        "ended_by": lane.ended_by,
    }


def _ended(ended_by: int | str | None) -> str:
    if ended_by is None:
        return ""
    return f"status {ended_by}" if isinstance(ended_by, int) else ended_by


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def ipc(container: str, view: "IpcView") -> Document:
    return {
        "schema": SCHEMA,
        "container": container,
        "namespace": view.snapshot.namespace,
        "mode": view.mode,
        "shared_with": list(view.shared_with),
        "limits": dict(view.snapshot.limits),
        "unread": list(view.snapshot.unread),
        "partial": [plain(one) for one in view.snapshot.unread],
        "objects": [
            {
                "kind": row.object.kind.value,
                "id": plain(row.object.id),
                "key": row.object.key,
                "name": plain(row.object.name),
                "bytes": row.object.bytes,
                "owner": row.object.owner,
                "mode": f"{row.object.mode:04o}",
                "creator": _whose(row.object.creator_pid, row.creator),
                "last_user": _whose(row.object.last_pid, row.last_user),
                "attached": row.object.attached,
                "users": [_whose(user.pid, user) for user in row.users],
                "removed": row.object.removed,
                "of_host": row.object.of_host,
                "messages": row.object.messages,
                "semaphores": [
                    {
                        "value": one.value,
                        "waiting_for_increase": one.waiting_for_increase,
                        "waiting_for_zero": one.waiting_for_zero,
                        "last_pid": one.last_pid or None,
                    }
                    for one in row.object.semaphores
                ],
                "survives": survives(row.survives),
            }
            for row in view.rows
        ],
    }


def ipc_removal(use: "IpcUse", done: str, left: "IpcObject | None") -> Document:
    """Returns the document about a removal.

    `done` is removed, marked or marked-before; `left` is the object if it still exists.
    """
    found = use.object
    return {
        "schema": SCHEMA,
        "container": use.container,
        "removed": {"kind": found.kind.value, "id": plain(found.id)},
        "result": done,
        "of_host": found.of_host,
        "attached": left.attached if left is not None else None,
        "users": [{"container": name, **(_whose(one.pid, one) or {})} for name, one in use.users],
    }


def _whose(pid: int, process: "Process | None") -> Document | None:
    """Returns a process that an object refers to; without a command if it has exited."""
    if not pid:
        return None
    return {
        "pid": pid,
        "container_pid": process.container_pid if process else None,
        "command": plain(process.command) if process else None,
    }


def maps(container: str, view: "FilesView") -> Document:
    return {
        "schema": SCHEMA,
        "container": container,
        "unread": list(view.unread),
        "partial": [plain(one) for one in view.unread],
        "mappings": [
            {
                "pid": row.process.pid,
                "container_pid": row.process.container_pid,
                "range": row.mapping.range,
                "path": plain(row.mapping.path),
                "shared": row.mapping.shared,
                "permissions": row.mapping.permissions,
                "bytes": row.mapping.bytes,
                "file_bytes": row.mapping.file_bytes,
                "backing": row.backing.value if row.backing else None,
                "host_path": None if row.host_path is None else plain(row.host_path),
                "reason": plain(row.reason) or None,
                "survives": survives(row.survives),
            }
            for row in view.rows
        ],
    }


def survives(survival: "Survival") -> Document:
    return {
        "process-exit": survival.process_exit.value,
        "stop-start": survival.stop_start.value,
        "remove": survival.remove.value,
        "host-reboot": survival.host_reboot.value,
    }


def window(container: str, of: Document, read: "Window") -> Document:
    return {
        "schema": SCHEMA,
        "container": container,
        **of,
        "offset": read.offset,
        "total": read.total,
        "data": {"base64": base64.b64encode(read.data).decode()},
    }
