"""Containers in the URLs of requests, and in sentences. No I/O.

Names go into a URL only after a check, so that `../` can't reach another resource.
"""

import re
from urllib.parse import quote

from containerlab_probes.errors import Gone

NAME = re.compile(r"/?([a-zA-Z0-9][a-zA-Z0-9_.-]*)")
"""Valid container names (moby daemon/names/names.go); also matches ids."""


def reference(container: str) -> str:
    """Returns a container's name or id for a URL. Raises Gone if it is not valid."""
    match = NAME.fullmatch(container)
    if match is None:
        raise Gone(f"There is no container {container!r}: names have letters, digits, `_`, `.` and `-`.")
    return match[1]


def shown(container: str) -> str:
    """Returns a container for a sentence: a full id is cut to twelve digits."""
    return container[:12] if len(container) == 64 else container


def path_of(container: str, *more: str) -> str:
    """Returns the path of a request about a container. Raises Gone if its name is not valid."""
    return "/".join(("/containers", quote(reference(container), safe=""), *more))
