"""docker-py and requests, as `docker_engine` uses them; besides it only `lab_client` imports docker, to build images.

A module of its own because it takes longer to load than most questions take to answer. What docker, requests and the
operating system raise becomes this program's own errors in one place, `translated`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import docker.errors
import requests
import requests.exceptions
from docker.api import APIClient
from docker.tls import TLSConfig
from docker.types import CancellableStream

from containerlab_probes.errors import ContainerlabError, Denied, TimedOut, Unreachable, Unsupported
from containerlab_tui.engine import endpoint, http

Item = TypeVar("Item")


def client(where: endpoint.Endpoint, api: str, timeout_s: int = int(http.ANSWER_TIMEOUT_S)) -> APIClient:
    """A low-level client of an endpoint; it asks nothing yet."""
    tls: TLSConfig | bool = False
    if where.tls is not None and where.url.startswith(("tcp:", "https:")):
        files = (where.tls.certificate, where.tls.key)
        tls = TLSConfig(
            client_cert=files if all(files) else None, ca_cert=where.tls.ca or None, verify=where.tls.verify
        )
    return APIClient(base_url=where.url, version=api, timeout=timeout_s, tls=tls)


class Stream(Generic[Item]):
    """What comes out of a streamed answer, until its end or `close` from any thread."""

    def __init__(self, items: Iterator[Item], response: requests.Response) -> None:
        self._items = CancellableStream(items, response)
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._items
        except (ValueError, AttributeError):  # what a reader raises whose file another thread has closed
            if not self._closed:
                raise

    def close(self) -> None:
        self._closed = True
        with suppress(OSError, AttributeError):  # it may have come to its end by itself
            self._items.close()


@contextmanager
def translated(endpoint_url: str, what: str) -> Iterator[None]:
    """Turns what docker, requests and the system raise into one sentence for the person."""
    try:
        yield
    except docker.errors.APIError as error:
        status, body = (0, b"") if error.response is None else (error.response.status_code, error.response.content)
        raise http.refused(status, body, what) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, OSError, ValueError) as error:
        raise _unanswered(error, endpoint_url, what) from error


def _unanswered(error: Exception, endpoint_url: str, what: str) -> ContainerlabError:
    """No answer: nobody there, not allowed to ask, or too slow; told from the chain of causes."""
    causes = _causes(error)
    if any(isinstance(cause, PermissionError) for cause in causes):
        return Denied(f"You may not open {endpoint_url}; join the group that owns the socket, or run as root.")
    if any("timed out" in str(cause).lower() or isinstance(cause, TimeoutError) for cause in causes):
        return TimedOut(f"Could not {what}: {endpoint_url} gave no answer in time.")
    if isinstance(error, docker.errors.DockerException) and endpoint_url.startswith("ssh:"):
        return Unsupported(
            f"{endpoint_url} can't be used: {error}. Install paramiko, or forward the socket with ssh -L."
        )
    system = next((cause for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    reason = system.strerror if system is not None else str(causes[-1]) or type(causes[-1]).__name__
    return Unreachable(f"No Docker engine answers at {endpoint_url} (could not {what}: {reason}).")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what led to it; urllib3 keeps the cause in `args` or `reason` rather than in `__cause__`."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseException) and not any(item is seen for seen in found):
            found.append(item)
            todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return found
