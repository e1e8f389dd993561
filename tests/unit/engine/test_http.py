"""Requests to an engine over a Unix socket, against a scripted listener."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, TimedOut, Unreachable, Unsupported
from containerlab_tui.engine import http, streams
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import unanswered

Answering = Callable[[bytes], Endpoint]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    """Returns an endpoint that sends this response to the first request, then closes the connection."""
    listener = socket.socket(socket.AF_UNIX)
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> Endpoint:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()

        def work() -> None:
            with listener.accept()[0] as connection:
                received = b""
                while not received.endswith(b"\r\n\r\n"):
                    received += connection.recv(65536)
                with suppress(BrokenPipeError):  # the reader may hang up before the end
                    connection.sendall(answer)

        threads.append(threading.Thread(target=work, daemon=True))
        threads[0].start()
        return Endpoint(f"unix://{tmp_path / 'socket'}")

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


def head(status: str, *more: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *more, "", "")).encode()


@pytest.mark.parametrize(
    "answer",
    [
        head("200 OK", "Content-Length: 8") + b'{"a": 1}',
        head("200 OK", "Transfer-Encoding: chunked") + b'3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n',
        head("200 OK") + b'{"a": 1}',
    ],
    ids=["length", "chunks", "until-closed"],
)
def test_a_response_is_read_completely(answering: Answering, answer: bytes) -> None:
    assert http.get_json(answering(answer), "/x", "ask") == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (head("404 Not Found") + b'{"message": "No such container: x."}', Gone, "Could not ask: No such container: x."),
        (head("409 Conflict") + b'{"message": "in use by ' + b"a1" * 32 + b'"}', BadRequest, "in use by a1a1a1a1a1a1."),
        (head("403 Forbidden"), Denied, "Could not ask: status 403."),
        (head("501 Not Implemented") + b"no", Unsupported, "Could not ask: no."),
        (
            head("400 Bad Request") + b"Client sent an HTTP request to an HTTPS server.\n",
            Unreachable,
            "Could not ask: the engine expects TLS on this port. Set DOCKER_TLS_VERIFY=1",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x28", Unreachable, "the engine expects TLS on this port"),
        (
            head("400 Bad Request") + b'{"message": "client version 1.99 is too new. Maximum is 1.41"}',
            BadRequest,
            "DOCKER_API_VERSION asks for it: unset it",
        ),
        (b"", Unreachable, "is not a Docker engine, or the connection closed early"),
        (b"SSH-2.0\r\n\r\n", Unreachable, "is not a Docker engine"),
        (head("200 OK", *(f"X-{n}: {'y' * 1000}" for n in range(200))), Unreachable, "is not a Docker engine"),
        (head("200 OK", "Content-Length: 80") + b'{"a"', Unreachable, "closed mid-response"),
        (head("200 OK") + b'{"a"', Unreachable, "closed mid-response"),
    ],
)
def test_a_bad_response_is_one_sentence(
    answering: Answering, answer: bytes, kind: type[ContainerlabError], sentence: str
) -> None:
    with pytest.raises(ContainerlabError) as raised:
        http.get_json(answering(answer), "/x", "ask")
    assert type(raised.value) is kind
    assert sentence in str(raised.value)


def test_a_response_has_a_limit(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_BYTES", 1 << 20)
    with pytest.raises(Unsupported, match="longer than 1 MiB"):
        http.get(answering(head("200 OK") + b"x" * ((1 << 20) + 1)), "/x", "ask")


def test_no_listener(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No Docker engine answers at unix:///"):
        http.get(Endpoint(f"unix://{tmp_path}/none"), "/x", "ask")
    with pytest.raises(Unsupported, match=r"only unix://, tcp:// and ssh:// are supported"):
        http.get(Endpoint("npipe:////./pipe/docker"), "/x", "ask")


def test_each_kind_of_absence_has_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "s"
    where = Endpoint(f"unix://{path}", source="DOCKER_HOST")
    with pytest.raises(
        Unreachable, match=rf"at unix://{path} \(DOCKER_HOST\): there is no such socket\. Is the daemon"
    ):
        http.get(where, "/x", "ask")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(
        Unreachable, match=r"the socket is there, but nothing listens on it \(Connection refused\)\. Is the"
    ):
        http.get(where, "/x", "ask")
    path.unlink()
    path.touch()
    with pytest.raises(Unreachable, match="that is not a socket"):
        http.get(where, "/x", "ask")


def test_an_engine_that_is_silent_times_out(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with pytest.raises(TimedOut, match=r"Could not ask: no response from unix:.*timed out"):
            http.get(Endpoint(f"unix://{tmp_path}/socket"), "/x", "ask", timeout_s=0.05)


def test_a_socket_that_may_not_be_opened() -> None:
    made = unanswered(ConnectionError("aborted", PermissionError(13, "Permission denied")), "unix:///x", "ask")
    assert isinstance(made, Denied)
    assert "No permission to open unix:///x" in str(made)


@pytest.mark.parametrize("status", ["101 UPGRADED", "200 OK"])
def test_output_that_comes_with_the_head_is_not_lost(answering: Answering, status: str) -> None:
    where = answering(head(status, "Connection: Upgrade", "Upgrade: tcp") + b"first output")
    attached = streams.Attached(http.upgrade(where, "/attach", "attach"), tty=True)
    assert attached.read() == b"first output"
    assert attached.read() == b""
    attached.close()


def test_an_attach_that_is_refused(answering: Answering) -> None:
    with pytest.raises(BadRequest, match="Could not attach to the container: it is paused"):
        http.upgrade(
            answering(head("409 Conflict") + b'{"message": "it is paused"}'), "/attach", "attach to the container"
        )


def test_an_endless_event_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "DOCUMENT_BYTES", 100)
    chunks = [b'{"a": 1}\n{"b": "', *[b"x" * 60] * 5, b'"}\n{"c": 3}\n', b'{"d"', b": 4}\n", b'{"e": 5}']
    assert list(streams.json_documents(chunks)) == [{"a": 1}, {"c": 3}, {"d": 4}]
