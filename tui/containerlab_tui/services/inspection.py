"""Reads a container's IPC objects and mapped files, with users and survival.

Used by the screens and the commands alike. Everything that is read comes through one probe agent.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import TracebackType

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.memory_records import IpcKind, IpcObject, IpcSnapshot, Mapping, Storage, Window
from containerlab_probes.records import ContainerRun, Process, ProcessId
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import HAS_PROCESSES, Details, natural
from containerlab_tui.model.storage import as_the_engine_names_it
from containerlab_tui.model.survival import Survival, survival_of_file, survival_of_ipc
from containerlab_tui.model.views import FileRow, FilesView, IpcRow, IpcUse, IpcView
from containerlab_tui.services.policy import Operation, Policy
from containerlab_tui.services.processes import run_of

__all__ = ["FileRow", "FilesView", "Inspector", "IpcRow", "IpcView"]


class Inspector:
    """Inspects one running container. Methods may be called from any thread, one at a time.

    They raise Gone (no such container or object), Denied (not root), Unsupported (remote engine), TimedOut.
    """

    def __init__(
        self, local: bool, details: Details, policy: Policy, client: Callable[[ContainerRun], ProbeClient] = ProbeClient
    ) -> None:
        """`local`: the container runs on this kernel; `client` makes its agent. Raises Gone if it isn't running."""
        self.details = details
        self._policy = policy
        if not details.pid:
            raise Gone(f"{details.name} is not running and has no memory to inspect. Start it first.")
        if not local:
            raise Unsupported(f"{details.name} runs on another machine: its memory cannot be read.")
        self._make = client
        self._client = client(run_of(details))

    def __enter__(self) -> "Inspector":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def init(self) -> ProcessId:
        return self._client.run.init

    def close(self) -> None:
        self._client.close()

    def ipc(self, neighbours: Iterable[Details] = ()) -> IpcView:
        """Returns all IPC objects; `neighbours` are containers that may share the namespace."""
        snapshot = self._client.ipc()
        listed = self._client.processes()
        by_pid = {process.pid: process for process in listed.processes}
        if listed.unread:
            snapshot = replace(snapshot, unread=(*snapshot.unread, listed.unread))
        mode = self.details.ipc_mode
        return IpcView(
            snapshot,
            mode,
            shared_with(snapshot.namespace, self.details, neighbours),
            tuple(_ipc_row(held, mode, by_pid, self.details.auto_remove) for held in snapshot.objects),
        )

    def read_ipc(self, kind: IpcKind, object_id: str, offset: int, length: int) -> Window:
        return self._client.read_ipc(kind, object_id, offset, length)

    def use_of(self, kind: IpcKind, object_id: str, others: Iterable[Details] = ()) -> IpcUse:
        """Returns one object and its users, also those in `others`, the containers of the engine that share it.

        Raises Gone if there is no such object, BadRequest if `object_id` can't be one.
        """
        _check_id(kind, object_id)
        snapshot = self._client.ipc()
        found = _found(snapshot, kind, object_id)
        if found is None:
            raise Gone(f"Could not remove {kind.value} {object_id} of {self.details.name}: it does not exist.")
        users, is_partial = self._users(found)
        is_partial = is_partial or bool(snapshot.users_unread)
        for other in sharing(snapshot.namespace, self.details, others):
            with contextlib.suppress(ContainerlabError), Inspector(True, other, self._policy, self._make) as opened:
                seen = opened._client.ipc()
                there = _found(seen, kind, object_id)
                if there is not None and is_same_object(there, found):
                    more, is_short = opened._users(there)
                    users, is_partial = users + more, is_partial or is_short or bool(seen.users_unread)
        return IpcUse(self.details.name, found, tuple(users), is_partial)

    def remove_ipc(
        self, kind: IpcKind, object_id: str, shown: IpcObject | None = None, host_object: bool = False
    ) -> IpcObject | None:
        """Removes one object. Returns it if it still exists: a segment that is attached is only marked.

        Raises ReadOnly, Gone if it is no longer the object that was `shown`, and BadRequest if it belongs to the host
        and `host_object` doesn't say so.
        """
        name = self.details.name
        self._policy.require(Operation.IPC_REMOVE, f"remove {kind.value} {object_id} of {name}")
        found = _found(self._client.ipc(), kind, object_id)
        if shown is not None and (found is None or not is_same_object(found, shown)):
            raise Gone(f"{kind.value} {object_id} of {name} was replaced since it was shown. Nothing removed.")
        if found is not None and found.of_host and not host_object:
            raise BadRequest(f"{kind.value} {object_id} belongs to the host, not to {name} alone. Nothing removed.")
        self._client.remove_ipc(kind, object_id)
        left = _found(self._client.ipc(), kind, object_id) if found is not None else None
        return left if left is not None and found is not None and left.removed else None

    def _users(self, object: IpcObject) -> tuple[list[tuple[str, Process]], bool]:
        """Returns the processes that use an object, and whether some of them may be missing."""
        wanted = set(object.users)
        if not wanted:
            return [], False
        listed = self._client.processes()
        return [(self.details.name, one) for one in listed.processes if one.pid in wanted], bool(listed.unread)

    def files(self) -> FilesView:
        """Returns all mappings of all processes, including private ones, with their storage."""
        found = self._client.maps(self.details.upper_dir, self.details.lower_dir)
        listed = self._client.processes()
        by_id = {process.id: process for process in listed.processes}
        rows = []
        known: dict[tuple[str, bool, Storage], tuple[Storage, Survival]] = {}
        for mapping in found.mappings:
            process = by_id.get(mapping.id)
            if process is None:
                continue  # it exited between the two readings
            key = (mapping.path, mapping.shared, mapping.storage)
            if key not in known:  # a file may be mapped thousands of times
                known[key] = self._named(mapping)
            storage, survives = known[key]
            rows.append(FileRow(mapping, process, storage.backing, storage.host_path, survives, storage.reason))
        unread = dict.fromkeys((*found.unread, listed.unread) if listed.unread else found.unread)
        return FilesView(tuple(rows), tuple(unread))

    def _named(self, mapping: Mapping) -> tuple[Storage, Survival]:
        """Returns where the bytes of a mapping are, with the engine's names for mounts, and what they survive."""
        storage = as_the_engine_names_it(mapping.storage, mapping.path, self.details.mounts)
        survives = survival_of_file(
            storage.backing,
            path=mapping.path,
            ipc_mode=self.details.ipc_mode,
            filesystem=storage.filesystem,
            shared=mapping.shared,
            auto_remove=self.details.auto_remove,
            reason=storage.reason,
        )
        return storage, survives

    def read_mapping(self, mapping: Mapping, offset: int, length: int) -> Window:
        return self._client.read_mapping(mapping.id, mapping.range, offset, length)


def inspector(engine: Engine, details: Details, policy: Policy) -> Inspector:
    """Returns an Inspector for a container of this engine."""
    return Inspector(engine.local, details, policy)


def running(engine: Engine) -> list[Details]:
    """Returns the details of every running container, for shared namespaces."""
    found = []
    for one in engine.containers():
        if one.state in HAS_PROCESSES:
            with contextlib.suppress(Gone):
                found.append(engine.inspect(one.id))
    return found


def is_same_object(one: IpcObject, other: IpcObject) -> bool:
    """Returns whether two readings show the same object: an id or a name may be reused."""
    if one.key is None or one.kind is IpcKind.SEM:  # semctl(SETVAL) changes the time of a set, which is ordinary use
        return (one.key, one.inode) == (other.key, other.inode)
    return (one.key, one.creator_pid, one.changed_at) == (other.key, other.creator_pid, other.changed_at)


def shared_with(namespace: int, details: Details, neighbours: Iterable[Details]) -> tuple[str, ...]:
    """Returns the sorted names of other running containers in the same IPC namespace."""
    return tuple(sorted((one.name for one in _in_namespace(namespace, details, neighbours)), key=natural))


def sharing(namespace: int, details: Details, others: Iterable[Details]) -> list[Details]:
    """Returns the other running containers that share the IPC namespace, or what is mounted on /dev/shm, by name."""
    others = tuple(others)
    found = {one.id: one for one in _in_namespace(namespace, details, others)}
    if own := _mounted_on_shm(details):
        found |= {one.id: one for one in others if one.id != details.id and one.pid and _mounted_on_shm(one) == own}
    return sorted(found.values(), key=lambda one: natural(one.name))


def _in_namespace(namespace: int, details: Details, others: Iterable[Details]) -> Iterator[Details]:
    for other in others:
        if other.id == details.id or not other.pid:
            continue
        try:
            if namespace_inode(other.pid, "ipc") == namespace:
                yield other
        except ContainerlabError:
            continue  # it has stopped, or is unreadable, which this container's own result reports


def _mounted_on_shm(details: Details) -> str:
    """Returns the source of a volume or directory of the host on /dev/shm; empty: the container's own tmpfs."""
    return next((mount.source for mount in details.mounts if mount.target == "/dev/shm"), "")  # noqa: S108  # nosec B108 # compared only


def _check_id(kind: IpcKind, object_id: str) -> None:
    if kind in (IpcKind.SHM, IpcKind.SEM, IpcKind.MSG):
        if not (object_id.isascii() and object_id.isdecimal()):
            raise BadRequest(f"{object_id!r} is not the id of a System V object; use a number that `ipc` shows.")
    elif not object_id or "/" in object_id or "\0" in object_id:
        raise BadRequest(f"{object_id!r} is not the name of a POSIX object.")


def _found(snapshot: IpcSnapshot, kind: IpcKind, object_id: str) -> IpcObject | None:
    return next((one for one in snapshot.objects if (one.kind, one.id) == (kind, object_id)), None)


def _ipc_row(held: IpcObject, mode: str, by_pid: dict[int, Process], auto_remove: bool) -> IpcRow:
    return IpcRow(
        held,
        survival_of_ipc(held.kind, mode, removed=held.removed, auto_remove=auto_remove),
        by_pid.get(held.creator_pid),
        by_pid.get(held.last_pid),
        tuple(by_pid[pid] for pid in held.users if pid in by_pid),
    )
