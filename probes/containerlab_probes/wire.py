"""Records as plain JSON values and back, for the lines between an agent and its client.

A record is an object with its fields' names, bytes are `{"base64": …}`, a set is a sorted list. Text that is no
UTF-8 keeps its surrogate escapes.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache

from containerlab_probes.records import Mappings, Overview

PROTOCOL = 1
"""Version of the questions and answers; the agent says its own in `hello`."""
ANSWER_LIMIT = 8 << 20
"""Bytes of one answer's line."""
QUESTION_LIMIT = 1 << 20
CONTAINER_GONE = 3
"""Exit status of an agent whose container has ended."""


@dataclass(frozen=True, slots=True)
class Located:
    """The answer to `maps`."""

    mappings: Mappings
    in_upper: frozenset[str] | None
    """Paths that the overlay's upper directory has; None: not known."""


@dataclass(frozen=True, slots=True)
class OneOverview:
    """Of one process in the answer to `overview`: either the one or the other."""

    overview: Overview | None = None
    error: dict[str, str] | None = None


def to_plain(value: object) -> object:
    """What json can write, of a record or of anything that records hold."""
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
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    raise TypeError(f"{type(value).__name__} does not cross the line")


@cache
def decoder(kind: object) -> Callable[[object], object]:
    """A function that makes a value of that type (a record, or what records hold) of a plain value.

    It raises ValueError, TypeError or KeyError for a value of another form; a record's fields that have
    defaults may be missing, fields it doesn't know are refused.
    """
    from types import NoneType, UnionType
    from typing import get_args, get_origin, get_type_hints

    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (inner,) = (decoder(argument) for argument in arguments if argument is not NoneType)
        return lambda value: None if value is None else inner(value)
    if origin in (tuple, frozenset):
        item, make = decoder(arguments[0]), origin
        return lambda value: make(item(one) for one in _checked(value, list))  # type: ignore[operator]
    if origin is dict:
        key, item = decoder(arguments[0]), decoder(arguments[1])
        return lambda value: {key(name): item(one) for name, one in _checked(value, dict).items()}  # type: ignore[attr-defined]
    if kind is NoneType:
        return lambda value: None
    if kind is bytes:
        return lambda value: b64decode(_checked(value, dict)["base64"], validate=True)  # type: ignore[index]
    if isinstance(kind, type) and is_dataclass(kind):
        hints = {name: decoder(hint) for name, hint in get_type_hints(kind).items()}
        return lambda value: kind(**{name: hints[name](item) for name, item in _checked(value, dict).items()})  # type: ignore[attr-defined]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if kind is float:
        return lambda value: float(_checked(value, (int, float)))  # type: ignore[arg-type]
    if isinstance(kind, type) and kind in (int, str, bool):
        return lambda value: _checked(value, kind)
    raise TypeError(f"{kind} does not cross the line")


def _checked(value: object, kind: type | tuple[type, ...]) -> object:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind} is due")
    return value
