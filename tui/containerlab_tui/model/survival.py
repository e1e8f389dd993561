"""Predicts what an object survives, from its kind and location."""

from dataclasses import dataclass, replace
from enum import StrEnum

from containerlab_probes.memory_records import Backing, IpcKind


class Answer(StrEnum):
    """Whether an object survives an event."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Survival:
    """Whether an object survives each of four events."""

    process_exit: Answer
    """Every process that uses it exits; the container keeps running."""
    stop_start: Answer
    """The container is stopped and started."""
    remove: Answer
    """The container is removed."""
    host_reboot: Answer
    reason: str = ""
    """One or two sentences: where it is stored, and what that survives."""


_IN_DEV_SHM = (IpcKind.POSIX_SHM, IpcKind.POSIX_SEM)


def survival_of_ipc(kind: IpcKind, ipc_mode: str, *, removed: bool = False, auto_remove: bool = False) -> Survival:
    """Predicts what an IPC object survives in a container of that IPC mode.

    `ipc_mode` is the engine's word: private, shareable, host, none, container:NAME; empty if unknown. `removed`: a
    segment marked for removal (SHM_DEST). `auto_remove`: the container is removed when it stops (`docker run --rm`).
    Namespaces: man 7 ipc_namespaces; modes: `docker run --ipc`.
    """
    if removed:
        return _answers("nnnn", "Marked for removal: destroyed when the last process detaches it.")
    place = "the tmpfs on /dev/shm" if kind in _IN_DEV_SHM else "the IPC namespace"
    mode, _, donor = ipc_mode.partition(":")
    if mode == "host":
        return _answers("yyyn", f"It belongs to {place} of the host: lost only when the host reboots.")
    if mode == "container":
        return _answers(
            "yyyn",
            f"It belongs to {place} of the container {donor}: it survives this container and is destroyed with "
            f"{donor}.",
        )
    if mode == "none" and kind in _IN_DEV_SHM:
        return _answers("ynnn", _destroyed("It is in the container's private /dev, a tmpfs,", auto_remove))
    if mode in ("", "private", "none"):
        private = "private IPC namespace" if place == "the IPC namespace" else "private /dev/shm, a tmpfs,"
        return _answers("ynnn", _destroyed(f"It belongs to this container's {private}", auto_remove))
    if mode == "shareable":
        return _answers(
            "ynnn",
            f"It belongs to {place} that this container created. A restart creates a new one; the old one remains "
            "while a container that joined it runs.",
        )
    return _answers("y???", f"How long {place} lasts in IPC mode {ipc_mode!r} is unknown.")


def _destroyed(where: str, auto_remove: bool) -> str:
    more = "; the container is then removed (--rm)" if auto_remove else ""
    return f"{where} and is destroyed with the last process{more}."


def survival_of_file(
    backing: Backing | None,
    *,
    path: str = "",
    ipc_mode: str = "",
    filesystem: str = "",
    shared: bool = True,
    auto_remove: bool = False,
    reason: str = "",
) -> Survival:
    """Predicts what the bytes behind a mapping survive.

    `path` is the path in the container; with `ipc_mode` it identifies the /dev/shm. `filesystem` is the type of the
    mount: a bind-mounted tmpfs is lost on host reboot. Changes in a private mapping (not `shared`) are not written to
    the file. `auto_remove`: the container is removed when it stops (`docker run --rm`). `reason`: why the backing is
    unknown.
    """
    survival = _of_file(backing, path, ipc_mode, filesystem, auto_remove)
    if backing is None:
        return replace(survival, reason=f"{survival.reason} {reason}".rstrip())
    if shared:
        return survival
    return replace(
        survival,
        reason=f"{survival.reason} That is the file; changes in this private mapping are lost with the process.",
    )


def _of_file(backing: Backing | None, path: str, ipc_mode: str, filesystem: str, auto_remove: bool) -> Survival:
    if backing is Backing.SYSV:
        return survival_of_ipc(IpcKind.SHM, ipc_mode, auto_remove=auto_remove)
    if backing is Backing.TMPFS and path.startswith("/dev/shm/"):  # noqa: S108  # nosec B108 # a container's path, compared only
        return survival_of_ipc(IpcKind.POSIX_SHM, ipc_mode, auto_remove=auto_remove)
    if backing is Backing.WRITABLE_LAYER and auto_remove:
        return _answers("ynny", "In the container's writable layer, which is removed when the container stops (--rm).")
    if backing is Backing.VOLUME and filesystem in ("tmpfs", "ramfs"):
        return _answers("y??n", f"In a volume in memory: a {filesystem}, perhaps until no container uses the volume.")
    if backing is Backing.BIND and filesystem in ("tmpfs", "ramfs"):
        return _answers("yyyn", f"Outside the container, but in memory: a {filesystem} of the host.")
    if backing is Backing.ENGINE:
        return replace(
            _FILES[backing],
            stop_start=Answer.NO if auto_remove else Answer.UNKNOWN,
            host_reboot=Answer.NO if filesystem in ("tmpfs", "ramfs") else Answer.YES,
        )
    return _FILES[backing]


def _answers(four: str, reason: str) -> Survival:
    meaning = {"y": Answer.YES, "n": Answer.NO, "?": Answer.UNKNOWN}
    process_exit, stop_start, remove, host_reboot = (meaning[one] for one in four)
    return Survival(process_exit, stop_start, remove, host_reboot, reason)


_FILES = {
    Backing.IMAGE: _answers("yyyy", "Part of the image: read-only for containers, deleted with the image."),
    Backing.WRITABLE_LAYER: _answers("yyny", "In the container's writable layer: kept until the container is removed."),
    Backing.VOLUME: _answers(
        "yyyy",
        "In a volume: kept until the volume is removed (an anonymous one: by --rm or `docker rm -v`).",
    ),
    Backing.BIND: _answers("yyyy", "In a file of the host, independent of the container."),
    Backing.ENGINE: _answers(
        "y?ny", "In a file that the engine keeps for this container, and may write again when it starts."
    ),
    Backing.TMPFS: _answers("ynnn", "On a tmpfs: empty after every start of the container."),
    Backing.ANONYMOUS_SHARED: _answers("nnnn", "Anonymous memory: freed when the last process unmaps or closes it."),
    Backing.DELETED: _answers("nnnn", "Deleted file: its bytes are freed when the last process unmaps or closes it."),
    None: _answers("????", "Backing storage unknown."),
}
