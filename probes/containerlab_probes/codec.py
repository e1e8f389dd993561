"""Records as plain JSON values and back, for the lines between an agent and its client.

A record becomes an object with the names of its fields, without those that have their defaults. Bytes become
`{"base64": …}`, a set becomes a sorted list. Text that is not UTF-8 keeps its surrogate escapes.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum

from containerlab_probes.memory_records import Mapping as MappingRecord
from containerlab_probes.memory_records import Mappings, Overview, Storage
from containerlab_probes.records import ProcessId

PROTOCOL = 4
"""Version of the questions and answers; the agent reports its own in `hello`."""
ANSWER_LIMIT = 64 << 20
"""Bytes of one answer's line: 32,000 objects of each of six kinds take about 45 MB."""
QUESTION_LIMIT = 1 << 20
CONTAINER_GONE = 3
"""Exit status of an agent whose container has exited."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """What the mappings of one file have in common."""

    path: str
    deleted: bool
    device: str
    inode: int
    file_bytes: int | None
    storage: int
    """The index of its storage."""
    ends_with: int
    """How many characters at the end of its path are also the end of the host's path; the storage has the rest."""


@dataclass(frozen=True, slots=True)
class Mapper:
    """A process that has mappings."""

    id: ProcessId
    container_pid: int


@dataclass(frozen=True, slots=True)
class Located:
    """The answer to `maps`, with each process and each file once: a path may have 4,096 bytes and 65,530 mappings."""

    processes: tuple[Mapper, ...]
    files: tuple[PackedFile, ...]
    permissions: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    """For each mapping the index in `processes`, `files` and `permissions`, then its start, end and offset."""
    storages: tuple[Storage, ...]
    unread: tuple[str, ...]


def pack(found: Mappings) -> Located:
    """Returns mappings in the form of the answer."""
    processes: dict[Mapper, int] = {}
    storages: dict[Storage, int] = {}
    ends: dict[tuple[str, Storage], tuple[int, int]] = {}
    files: dict[PackedFile, int] = {}
    permissions: dict[str, int] = {}
    rows = []
    for one in found.mappings:
        if (one.path, one.storage) not in ends:  # a file may be mapped thousands of times
            storage, shared = one.storage.without_end(one.path)
            ends[one.path, one.storage] = (storages.setdefault(storage, len(storages)), shared)
        number, shared = ends[one.path, one.storage]
        file = PackedFile(one.path, one.deleted, one.device, one.inode, one.file_bytes, number, shared)
        rows.append(
            (
                processes.setdefault(Mapper(one.id, one.container_pid), len(processes)),
                files.setdefault(file, len(files)),
                permissions.setdefault(one.permissions, len(permissions)),
                one.start,
                one.end,
                one.offset,
            )
        )
    return Located(tuple(processes), tuple(files), tuple(permissions), tuple(rows), tuple(storages), found.unread)


def unpack(answer: Located) -> Mappings:
    """Returns the mappings of an answer. Raises ValueError or IndexError for rows of another form."""
    stored = [answer.storages[file.storage].with_end(file.path, file.ends_with) for file in answer.files]
    made = []
    for process, number, permissions, start, end, offset in answer.rows:
        who, file = answer.processes[process], answer.files[number]
        made.append(
            MappingRecord(
                id=who.id,
                container_pid=who.container_pid,
                start=start,
                end=end,
                permissions=answer.permissions[permissions],
                offset=offset,
                device=file.device,
                inode=file.inode,
                path=file.path,
                deleted=file.deleted,
                file_bytes=file.file_bytes,
                storage=stored[number],
            )
        )
    return Mappings(tuple(made), answer.unread)


@dataclass(frozen=True, slots=True)
class OneOverview:
    """The part for one process of the answer to `overview`: an overview or an error."""

    overview: Overview | None = None
    error: dict[str, str] | None = None


def to_plain(value: object) -> object:
    """Converts a record, or a value of a record's field, to plain JSON values."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value.value) if isinstance(value, Enum) else value
    if isinstance(value, bytes):
        return {"base64": b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [to_plain(item) for item in sorted(value)]
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if is_dataclass(value):
        held = ((one, getattr(value, one.name)) for one in fields(value))
        return {one.name: to_plain(item) for one, item in held if item != one.default}
    raise TypeError(f"{type(value).__name__} can't be sent between agent and client")


_Decoder = Callable[[object], object]
_decoders: dict[object, _Decoder] = {}


def decoder(kind: object) -> _Decoder:
    """Returns a function that converts a plain value to a type: a record, or the type of a record's field.

    It raises ValueError, TypeError or KeyError for a value of another form. Fields with defaults may be missing;
    unknown fields are refused.
    """
    if kind not in _decoders:
        _decoders[kind] = _make_decoder(kind)
    return _decoders[kind]


def _make_decoder(kind: object) -> _Decoder:
    from types import NoneType, UnionType
    from typing import get_args, get_origin, get_type_hints

    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (inner,) = (decoder(argument) for argument in arguments if argument is not NoneType)
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = decoder(arguments[0])
        return lambda value: tuple(item(one) for one in _list(value))
    if origin is frozenset:
        item = decoder(arguments[0])
        return lambda value: frozenset(item(one) for one in _list(value))
    if origin is dict:
        item = decoder(arguments[1])
        return lambda value: {name: item(one) for name, one in _dict(value).items()}
    if kind is NoneType:
        return lambda value: None
    if kind is bytes:
        return lambda value: b64decode(str(_dict(value)["base64"]), validate=True)
    if kind is float:
        return _float
    if isinstance(kind, type):
        return _decoder_of_class(kind, get_type_hints)
    raise TypeError(f"{kind} can't be sent between agent and client")


def _decoder_of_class(kind: type, hints_of: Callable[[type], dict[str, object]]) -> _Decoder:
    if is_dataclass(kind):
        make, hints = kind, {name: decoder(hint) for name, hint in hints_of(kind).items()}
        return lambda value: make(**{name: hints[name](item) for name, item in _dict(value).items()})
    if issubclass(kind, Enum):
        return kind
    if kind in (int, str, bool):
        return lambda value: _scalar(value, kind)
    raise TypeError(f"{kind} can't be sent between agent and client")


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return value


def _dict(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {type(value).__name__}")
    return value


def _scalar(value: object, kind: type) -> object:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _float(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    return float(value)
