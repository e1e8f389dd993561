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
PLAIN_TO_TLS = (
    "the engine expects TLS on this port. Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use a context with TLS."
)
_TLS_EXPECTED = re.compile(r"HTTP request (to an HTTPS server|was sent to HTTPS port)")
"""What Go's net/http and nginx answer to plain HTTP."""
_TLS_ALERT = "\x15\x03"
"""How a TLS server begins its answer to anything else (RFC 8446, section 5.1)."""
_API_VERSION = re.compile(r"client version \S+ is too (old|new)")
_FULL_ID = re.compile(r"\b[0-9a-f]{64}\b")


class Explained(OSError):
    """A failure of a connection whose sentence is known where it happens; clients hand it on like any OSError."""

    def __init__(self, error: ContainerlabError) -> None:
        self.error = error
        super().__init__(str(error))


class LoginRefused(Denied):
    """The engine's host does not let this user in; many hosts block whoever keeps trying."""


def refused(status: int, body: bytes, what: str) -> ContainerlabError:
    """Returns the error for an HTTP status that is not a success; `what` completes "Could not …"."""
    try:
        reason = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        reason = body.decode("utf-8", "replace") or f"status {status}"
        if _TLS_EXPECTED.search(reason):
            return Unreachable(f"Could not {what}: {PLAIN_TO_TLS}")
    reason = _FULL_ID.sub(lambda found: found[0][:12], reason).strip().rstrip(".")
    reason = safe_line(reason)  # on one line: a container's text in it must not look like a sentence of this program
    if _API_VERSION.search(reason):
        reason += "; DOCKER_API_VERSION asks for it: unset it or choose another version"
    return KINDS.get(status, BadRequest)(f"Could not {what}: {reason}.")


def unanswered(error: BaseException, where: str, what: str) -> ContainerlabError:
    """Returns the error for a request without a usable response, from an error and its causes.

    `where` is the engine's address for a sentence (`Endpoint.shown`); `what` completes "Could not …".
    """
    causes = _causes(error)
    if (known := explained(error, where)) is not None:
        return known
    if any(isinstance(cause, PermissionError) for cause in causes):
        return Denied(f"No permission to open {where}. Join the group that owns the socket, or run this with sudo.")
    if any(isinstance(cause, TimeoutError) or "timed out" in str(cause).lower() for cause in causes):
        return TimedOut(f"Could not {what}: no response from {where} (timed out).")
    if any(
        isinstance(cause, http.client.IncompleteRead | json.JSONDecodeError | UnicodeDecodeError) for cause in causes
    ):
        return Unreachable(f"Could not {what}: the connection to {where} closed mid-response.")
    if any(isinstance(cause, http.client.BadStatusLine) and _TLS_ALERT in str(cause) for cause in causes):
        return Unreachable(f"Could not {what}: {PLAIN_TO_TLS}")
    if any(isinstance(cause, http.client.HTTPException) for cause in causes):
        return not_an_engine(where, what)
    system = next((cause for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    reason = safe_line(system.strerror or "" if system is not None else str(causes[-1]) or type(causes[-1]).__name__)
    return Unreachable(f"No Docker engine answers at {where} (could not {what}: {reason}).")


def not_an_engine(where: str, what: str) -> ContainerlabError:
    """Returns the error for an answer that no engine gives."""
    return Unreachable(f"{where} is not a Docker engine, or the connection closed early (could not {what}).")


def explained(error: BaseException, where: str) -> ContainerlabError | None:
    """Returns the error that an error or its causes carry; None if they don't say more than that it failed."""
    return next((found for cause in _causes(error) if (found := _known(cause, where)) is not None), None)


def _known(cause: BaseException, where: str) -> ContainerlabError | None:
    """Returns the error for a cause that explains itself: one of this program's, ssh's or OpenSSL's."""
    if isinstance(cause, ContainerlabError):
        return cause
    if isinstance(cause, Explained):
        return cause.error
    if type(cause).__module__ == "ssl":  # else it need not be loaded
        from containerlab_tui.engine import tls

        return tls.failure(cause, where)
    return None


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
