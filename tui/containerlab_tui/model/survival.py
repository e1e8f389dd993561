"""An object and where it lives -> what it outlives. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

from containerlab_probes.records import Backing, IpcKind


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Survival:
    """Whether an object is still there after each of four events."""

    process_exit: Answer
    """Every process that uses it ends, the container runs on."""
    stop_start: Answer
    """The container is stopped and started again."""
    remove: Answer
    """The container is removed."""
    host_reboot: Answer
    reason: str = ""
    """One or two sentences: where it lives, and why that outlives what it outlives."""


_IN_DEV_SHM = (IpcKind.POSIX_SHM, IpcKind.POSIX_SEM)


def survival_of_ipc(kind: IpcKind, ipc_mode: str, *, removed: bool = False, auto_remove: bool = False) -> Survival:
    """What an IPC object outlives in a container of that IPC mode.

    `ipc_mode` is the engine's word: private, shareable, host, none, container:NAME; empty where it says nothing.
    `removed`: a segment that is marked for removal (SHM_DEST). `auto_remove`: the container is removed when it
    stops (`docker run --rm`). Namespaces: man 7 ipc_namespaces; modes: `docker run --ipc`.
    """
    if removed:
        return _answers("nnnn", "It is marked for removal: it goes with the last process that has it attached.")
    place = "the tmpfs on /dev/shm" if kind in _IN_DEV_SHM else "the IPC namespace"
    mode, _, donor = ipc_mode.partition(":")
    if mode == "host":
        return _answers("yyyn", f"It lives in {place} of the host, which ends with the host's run.")
    if mode == "container":
        return _answers(
            "yyyn",
            f"It lives in {place} of the container {donor}: this container's end leaves it alone, that of {donor} "
            "takes it away.",
        )
    if mode == "none" and kind in _IN_DEV_SHM:
        return _answers("ynnn", _ends("It lives in the container's own /dev, a tmpfs", auto_remove))
    if mode in ("", "private", "none"):
        return _answers("ynnn", _ends(f"It lives in {place} of this container alone", auto_remove))
    if mode == "shareable":
        return _answers(
            "ynnn",
            f"It lives in {place} that this container made: a stop and start gives the container a new one. The old "
            "one stays for as long as a container that joined it runs.",
        )
    return _answers("y???", f"What becomes of {place} in the IPC mode {ipc_mode!r} is not known.")


def _ends(where: str, auto_remove: bool) -> str:
    more = "; the container itself is removed then" if auto_remove else ""
    return f"{where}, and goes when the container's last process ends{more}."


def survival_of_file(
    backing: Backing | None,
    *,
    path: str = "",
    ipc_mode: str = "",
    filesystem: str = "",
    shared: bool = True,
    auto_remove: bool = False,
) -> Survival:
    """What the bytes behind a mapping outlive.

    `path` as the container sees it and `ipc_mode` tell whose /dev/shm it is; `filesystem` is the type of the mount
    (a bind mount of a tmpfs does not outlive the host's run); a private mapping (not `shared`) keeps its own changes
    to itself; `auto_remove`: the container is removed when it stops (`docker run --rm`).
    """
    survival = _of_file(backing, path, ipc_mode, filesystem, auto_remove)
    if shared or backing is None:
        return survival
    return replace(
        survival,
        reason=f"{survival.reason} That is the file: what the process changes in this private mapping goes with it.",
    )


def _of_file(backing: Backing | None, path: str, ipc_mode: str, filesystem: str, auto_remove: bool) -> Survival:
    if backing is Backing.SYSV:
        return survival_of_ipc(IpcKind.SHM, ipc_mode, auto_remove=auto_remove)
    if backing is Backing.TMPFS and path.startswith("/dev/shm/"):  # noqa: S108 - a container's path, compared only
        return survival_of_ipc(IpcKind.POSIX_SHM, ipc_mode, auto_remove=auto_remove)
    if backing is Backing.WRITABLE_LAYER and auto_remove:
        return _answers(
            "ynny", "It lives in the container's writable layer, and the container is removed when it stops (--rm)."
        )
    if backing in (Backing.VOLUME, Backing.BIND) and filesystem in ("tmpfs", "ramfs"):
        return _answers("yyyn", f"It lives outside the container, but in memory: a {filesystem} of the host.")
    return _FILES[backing]


def _answers(four: str, reason: str) -> Survival:
    meaning = {"y": Answer.YES, "n": Answer.NO, "?": Answer.UNKNOWN}
    process_exit, stop_start, remove, host_reboot = (meaning[one] for one in four)
    return Survival(process_exit, stop_start, remove, host_reboot, reason)


_FILES = {
    Backing.IMAGE: _answers("yyyy", "It lives in the image: no container changes it, removing the image ends it."),
    Backing.WRITABLE_LAYER: _answers(
        "yyny", "It lives in the container's writable layer, which stays until the container is removed."
    ),
    Backing.VOLUME: _answers(
        "yyyy",
        "It lives in a volume, which stays until it is removed itself (an anonymous one: by --rm or `docker rm -v`).",
    ),
    Backing.BIND: _answers("yyyy", "It lives in a file of the host, which no end of the container touches."),
    Backing.TMPFS: _answers("ynnn", "It lives in memory, on a tmpfs that each start of the container makes anew."),
    Backing.ANONYMOUS_SHARED: _answers(
        "nnnn", "It is memory without a file: it goes with the last process that has it mapped or open."
    ),
    Backing.DELETED: _answers(
        "nnnn", "Its file is deleted: the bytes go with the last process that has it mapped or open."
    ),
    None: _answers("????", "Where its bytes live could not be told."),
}
