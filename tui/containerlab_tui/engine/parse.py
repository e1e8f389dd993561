"""Parses the Engine API's documents into records. No I/O.

Fields that an engine leaves out or sets to null read as empty: engines differ, and none of them is a reason to fail.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from containerlab_probes.errors import BadRequest
from containerlab_tui.model.inventory import EXITED, HEALTH, UP, Container, Details, EngineEvent, MountPoint
from containerlab_tui.model.product import DOCKER, PODMAN, Product

DEFAULT_STOP_SIGNAL = "SIGTERM"
DEFAULT_STOP_TIMEOUT_S = 10
_PODMAN_STOP_SIGNAL = "15"
_PODMAN_INIT = "/run/podman-init"
"""Where Podman mounts the program of `--init` (libpod/define/container.go, ContainerInitPath)."""


def containers(documents: Iterable[Mapping[str, Any]]) -> tuple[Container, ...]:
    """Parses GET /containers/json."""
    return tuple(container(document) for document in documents)


def container(document: Mapping[str, Any]) -> Container:
    """Parses one container of GET /containers/json."""
    return Container(
        id=document["Id"],
        name=_own_name(document.get("Names") or ()),
        image=document.get("Image") or "",
        state=_state(document.get("State")),
        status=document.get("Status") or "",
        command=document.get("Command") or "",
        created=float(document.get("Created") or 0),
        ports=tuple(dict.fromkeys(_port(port) for port in document.get("Ports") or ())),
        labels=document.get("Labels") or {},
    )


def _state(word: str | None) -> str:
    """Returns a state by Docker's word: Podman's `stopped` is an exit that it has not cleaned up after yet.

    Podman's `stopping` is the time between both signals of a stop (libpod/define/containerstate.go).
    """
    return {"stopped": EXITED, "stopping": UP}.get(word or "", word or "")


def _own_name(names: Iterable[str]) -> str:
    """Returns a container's name, without those from links (`/other/alias`)."""
    plain = [name.removeprefix("/") for name in names]
    return next((name for name in plain if "/" not in name), plain[0] if plain else "")


def _port(port: Mapping[str, Any]) -> str:
    """Formats a port like `docker ps`: `127.0.0.1:8080->80/tcp`, or `80/tcp` if not published."""
    inner = f"{port.get('PrivatePort')}/{port.get('Type', 'tcp')}"
    if not port.get("PublicPort"):
        return inner
    address = port.get("IP") or ""
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port['PublicPort']}->{inner}" if host else f"{port['PublicPort']}->{inner}"


def details(document: Mapping[str, Any], product: Product = DOCKER) -> Details:
    """Parses GET /containers/ID/json."""
    state, config = document.get("State") or {}, document.get("Config") or {}
    host, layers = document.get("HostConfig") or {}, (document.get("GraphDriver") or {}).get("Data") or {}
    configured, timeout = config.get("StopSignal"), config.get("StopTimeout")
    if product is PODMAN:
        configured, timeout = _set(configured, _PODMAN_STOP_SIGNAL), _set(timeout, DEFAULT_STOP_TIMEOUT_S)
    signal, signal_source = stop_signal(configured)
    return Details(
        id=document["Id"],
        name=(document.get("Name") or "").removeprefix("/"),
        image=config.get("Image") or document.get("Image") or "",
        state=_state(state.get("Status")),
        pid=state.get("Pid") or 0,
        exit_code=state.get("ExitCode") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        argv=_argv(document.get("Path") or "", document.get("Args") or ()),
        tty=bool(config.get("Tty")),
        stop_signal=signal,
        stop_signal_source=signal_source,
        stop_timeout_s=DEFAULT_STOP_TIMEOUT_S if timeout is None else timeout,
        stop_timeout_source="default" if timeout is None else "container",
        restart_policy=(host.get("RestartPolicy") or {}).get("Name") or "no",
        ipc_mode=host.get("IpcMode") or "shareable",
        pid_mode=host.get("PidMode") or "",
        init=bool(host.get("Init")),
        shm_bytes=host.get("ShmSize") or 0,
        upper_dir=layers.get("UpperDir") or "",
        lower_dir=layers.get("LowerDir") or "",
        mounts=tuple(_mount(mount) for mount in document.get("Mounts") or ()),
        labels=config.get("Labels") or {},
        environment=tuple(config.get("Env") or ()),
        auto_remove=bool(host.get("AutoRemove")),
        restart_count=document.get("RestartCount") or 0,
        error=state.get("Error") or "",
        memory_bytes=host.get("Memory") or 0,
        health=_health(state),
        open_input=bool(config.get("OpenStdin")),
    )


def _set(value: Any, default: object) -> Any:  # noqa: ANN401
    """Returns a setting, None for the default: Podman records the default where nothing was set."""
    return None if value == default else value


def _argv(path: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """Returns the command of a container, also where Podman's `--init` has put its program in front."""
    if path == _PODMAN_INIT and arguments[:1] == ["--"]:
        return tuple(arguments[1:])
    return (path, *arguments)


def _health(state: Mapping[str, Any]) -> str:
    found = str((state.get("Health") or {}).get("Status") or "")
    return "" if found == "none" else found


def _mount(mount: Mapping[str, Any]) -> MountPoint:
    return MountPoint(
        kind=mount.get("Type") or "",
        source=mount.get("Source") or "",
        target=mount.get("Destination") or "",
        name=mount.get("Name") or "",
    )


def product(document: Mapping[str, Any]) -> Product:
    """Parses GET /version: Podman names itself among the components."""
    names = [component.get("Name") for component in document.get("Components") or () if isinstance(component, Mapping)]
    return PODMAN if "Podman Engine" in names else DOCKER


def runs_on(document: Mapping[str, Any], release: str) -> bool:
    """Parses GET /version: whether containers run on this kernel, with processes that are visible here.

    `release` is this kernel's. Docker Desktop on Windows has the kernel of all distributions, but its processes are in
    another PID namespace.
    """
    platform = document.get("Platform")
    name = platform.get("Name") if isinstance(platform, Mapping) else ""
    return bool(release) and document.get("KernelVersion") == release and not str(name).startswith("Docker Desktop")


def asked_to_stop(document: Mapping[str, Any], version: str) -> bool | None:
    """Parses GET /libpod/containers/ID/json: whether the last run was stopped or killed on request.

    The field is missing if nobody asked, and before 4.7 (podman pull request 19889): None then.
    """
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    state = document.get("State")
    if not isinstance(state, Mapping) or numbers < [4, 7]:
        return None
    return state.get("StoppedByUser") is True


def stop_signal(configured: str | None) -> tuple[str, str]:
    """Returns the effective stop signal's name, and its source: `container` or `default`.

    An unknown name silently becomes SIGTERM (moby container/container.go, StopSignal).
    """
    if configured:
        from containerlab_probes.signals.names import name_of, number_of  # not needed for the first list

        with suppress(BadRequest):
            return name_of(number_of(configured)), "container"
    return DEFAULT_STOP_SIGNAL, "default"


_ACTIONS = {"remove": "destroy"}
"""What Podman calls otherwise than Docker, of containers."""


def event(document: Mapping[str, Any], clock_ahead_s: float = 0.0) -> EngineEvent:
    """Parses a container event of GET /events; `clock_ahead_s`: how far the engine's clock is ahead."""
    actor = document.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    nanoseconds = document.get("timeNano")
    action, _, rest = (document.get("Action") or document.get("status") or "").partition(":")
    if action == "health_status":  # Podman has the result in a separate field
        attributes = {**attributes, HEALTH: document.get("HealthStatus") or rest.strip()}
    return EngineEvent(
        time=(nanoseconds / 1e9 if nanoseconds else float(document.get("time") or 0)) - clock_ahead_s,
        action=_ACTIONS.get(action, action),
        container=actor.get("ID") or document.get("id") or "",
        name=attributes.get("name") or "",
        image=attributes.get("image") or document.get("from") or "",
        attributes=attributes,
    )


def moment(text: str | None) -> float | None:
    """Returns epoch seconds of an RFC 3339 time to the microsecond; None for the zero time, which means never."""
    if not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def clock_offset(before: float, theirs: float | None, after: float) -> float:
    """Returns how many seconds the engine's clock is ahead, from its time and this host's before and after asking.

    0 if both clocks can be the same: an answer may take seconds, and most clocks are synchronised.
    """
    if theirs is None or before <= theirs <= after:
        return 0.0
    return theirs - (before + after) / 2
