"""Translates an engine's refusals and failures into this program's errors.

For every way of talking to an engine: this program's own connections, docker-py and requests.
"""

import http.client
import json
import re
from collections.abc import Mapping

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, TimedOut, Unreachable, Unsupported
from containerlab_probes.safe_text import safe_line

KINDS: Mapping[int, type[ContainerlabError]] = {401: Denied, 403: Denied, 404: Gone, 501: Unsupported}
"""Errors by HTTP status; any other refusal is a BadRequest with the engine's reason."""
_FULL_ID = re.compile(r"\b[0-9a-f]{64}\b")


def refused(status: int, body: bytes, what: str) -> ContainerlabError:
    """Returns the error for an HTTP status that is not a success; `what` completes "Could not …"."""
    try:
        reason = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        reason = body.decode("utf-8", "replace") or f"status {status}"
    reason = _FULL_ID.sub(lambda found: found[0][:12], reason).strip().rstrip(".")
    reason = safe_line(reason)  # on one line: a container's text in it must not look like a sentence of this program
    return KINDS.get(status, BadRequest)(f"Could not {what}: {reason}.")


def unanswered(error: BaseException, url: str, what: str) -> ContainerlabError:
    """Returns the error for a request without a usable response, from an error and its causes."""
    causes = _causes(error)
    if any(isinstance(cause, PermissionError) for cause in causes):
        return Denied(f"No permission to open {url}. Join the group that owns the socket, or run this with sudo.")
    if any(isinstance(cause, TimeoutError) or "timed out" in str(cause).lower() for cause in causes):
        return TimedOut(f"Could not {what}: no response from {url} (timed out).")
    if any(
        isinstance(cause, http.client.IncompleteRead | json.JSONDecodeError | UnicodeDecodeError) for cause in causes
    ):
        return Unreachable(f"Could not {what}: the connection to {url} closed mid-response.")
    if any(isinstance(cause, http.client.HTTPException) for cause in causes):
        return Unreachable(f"{url} is not a Docker engine, or the connection closed early (could not {what}).")
    system = next((cause for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    reason = safe_line(system.strerror or "" if system is not None else str(causes[-1]) or type(causes[-1]).__name__)
    return Unreachable(f"No Docker engine answers at {url} (could not {what}: {reason}).")


def _causes(error: BaseException) -> list[BaseException]:
    """Yields an error and its causes; urllib3 keeps the cause in `args` or `reason` rather than in `__cause__`."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseException) and not any(item is seen for seen in found):
            found.append(item)
            todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return found
