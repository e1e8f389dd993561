"""Chooses the version of the Engine API to speak, like the docker CLI: the newest that both sides know. No I/O."""

import re
from collections.abc import Mapping

from containerlab_probes.errors import BadRequest, ContainerlabError, Unreachable, Unsupported

OLDEST, NEWEST = "1.24", "1.51"
"""What this program and docker-py speak: from Docker 1.12 to Docker 28. Newer engines serve older versions, too."""
_FORM = re.compile(r"\d{1,4}\.\d{1,4}")


def chosen(document: Mapping[str, object], wanted: str, where: str) -> str:
    """Returns the API version for an engine, from its answer to /version.

    `wanted` is the value of DOCKER_API_VERSION, empty if unset; `where` is the engine's address for a sentence.
    Raises Unreachable for an answer without a version, BadRequest for a wish that can't be met, Unsupported.
    """
    wanted = wish(wanted)
    newest = document.get("ApiVersion")
    if not isinstance(newest, str) or not _FORM.fullmatch(newest):
        raise Unreachable(f"{where} is not a Docker engine: it names no API version.")
    lowest = document.get("MinAPIVersion")  # engines before 1.13 name none
    oldest = lowest if isinstance(lowest, str) and _FORM.fullmatch(lowest) else newest
    if number(newest) < number(OLDEST):
        raise Unsupported(
            f"The engine at {where} speaks API {newest}; {OLDEST} (Docker 1.12) is the oldest that this program knows."
        )
    if wanted:
        return _checked(wanted, oldest, newest, where)
    if number(oldest) > number(NEWEST):
        raise Unsupported(
            f"The engine at {where} speaks API {oldest} and newer; {NEWEST} is the newest that this program knows."
        )
    return min(newest, NEWEST, key=number)


def wish(value: str) -> str:
    """Returns the version in a value of DOCKER_API_VERSION, empty for none. Raises BadRequest for an unusable one."""
    wanted = value.removeprefix("v")
    if wanted and not _FORM.fullmatch(wanted):
        raise _wrong(wanted, "which is not a version like 1.41")
    if wanted and number(wanted) < number(OLDEST):
        raise _wrong(wanted, f"which is too old: {OLDEST} is the oldest that this program knows")
    return wanted


def _checked(wanted: str, oldest: str, newest: str, where: str) -> str:
    """Returns the wanted version. Raises BadRequest if the engine doesn't speak it."""
    if number(wanted) < number(oldest):
        raise _wrong(wanted, f"which is too old for {where}: it speaks {oldest} to {newest}")
    if number(wanted) > number(newest):
        raise _wrong(wanted, f"which is too new for {where}: it speaks {oldest} to {newest}")
    return wanted


def _wrong(wanted: str, reason: str) -> ContainerlabError:
    return BadRequest(f"DOCKER_API_VERSION is {wanted!r}, {reason}. Unset it or choose another version.")


def number(version: str) -> tuple[int, int]:
    """Returns a version for comparisons: 1.9 comes before 1.10."""
    major, _, minor = version.partition(".")
    return int(major), int(minor)
