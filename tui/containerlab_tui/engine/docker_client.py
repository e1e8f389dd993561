"""Uses docker-py and requests for `docker_engine`; only `lab_client` also imports docker, to build images.

A separate module, because loading it takes longer than most requests. `translated` turns errors of docker, requests and
the operating system into this program's.
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

from containerlab_probes.errors import Unsupported
from containerlab_tui.engine import endpoint, errors, http

Item = TypeVar("Item")


def client(where: endpoint.Endpoint, api: str, timeout_s: int = int(http.ANSWER_TIMEOUT_S)) -> APIClient:
    """Returns a low-level client of an endpoint; sends no request."""
    tls: TLSConfig | bool = False
    if where.tls is not None and where.url.startswith(("tcp:", "https:")):
        files = (where.tls.certificate, where.tls.key)
        tls = TLSConfig(
            client_cert=files if all(files) else None, ca_cert=where.tls.ca or None, verify=where.tls.verify
        )
    return APIClient(base_url=where.url, version=api, timeout=timeout_s, tls=tls)


def body_of(response: requests.Response) -> bytes:
    """Returns the body of a response that was requested as a stream.

    Raises Unsupported for more than ANSWER_BYTES, and what requests raises.
    """
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > http.ANSWER_BYTES:
            response.close()
            raise Unsupported(f"The engine's response is longer than {http.ANSWER_BYTES >> 20} MiB.")
    return bytes(body)


class Stream(Generic[Item]):
    """Iterates over a streamed response until the end, or until `close` from any thread."""

    def __init__(self, items: Iterator[Item], response: requests.Response) -> None:
        self._items = CancellableStream(items, response)
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._items
        except (ValueError, AttributeError):  # raised by a reader whose file another thread closed
            if not self._closed:
                raise

    def close(self) -> None:
        self._closed = True
        with suppress(OSError, AttributeError):  # it may have ended on its own
            self._items.close()


@contextmanager
def translated(endpoint_url: str, what: str) -> Iterator[None]:
    """Turns what docker, requests and the system raise into this program's own errors."""
    try:
        yield
    except docker.errors.APIError as error:
        answer = error.response
        status, body = (0, b"") if answer is None else (answer.status_code, answer.content[: http.ANSWER_BYTES])
        raise errors.refused(status, body, what) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, OSError, ValueError) as error:
        if isinstance(error, docker.errors.DockerException) and endpoint_url.startswith("ssh:"):
            raise Unsupported(
                f"Could not connect to {endpoint_url}: {error}. Install paramiko, or forward the socket with ssh -L."
            ) from error
        raise errors.unanswered(error, endpoint_url, what) from error
