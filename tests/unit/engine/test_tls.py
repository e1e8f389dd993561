"""TLS to an engine: only the engine's own files count, and each failure has its sentence."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from containerlab_probes.errors import ContainerlabError, Denied, Unreachable
from containerlab_tui.engine import docker_client, http
from containerlab_tui.engine.endpoint import Endpoint, Tls
from tests.support.certificates import Authority, authority, lock

LOCAL = "DNS:localhost,IP:127.0.0.1"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def good(ours: Authority) -> Path:
    return ours.sign(ours.folder / "good", LOCAL)


@pytest.fixture
def listening() -> Iterator[Callable[[ssl.SSLContext | None], int]]:
    """Yields a function that starts a server, with TLS or without, that answers each connection; returns its port."""
    listeners: list[socket.socket] = []

    def answer(plain: socket.socket, settings: ssl.SSLContext | None) -> None:
        with plain if settings is None else _shaken(plain, settings) as connection:
            if b"\r\n\r\n" in connection.recv(65536):
                connection.sendall(ANSWER)
            else:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")

    def work(listener: socket.socket, settings: ssl.SSLContext | None) -> None:
        while True:
            try:
                plain = listener.accept()[0]
            except OSError:
                return
            plain.settimeout(30)
            with suppress(OSError):
                answer(plain, settings)

    def start(settings: ssl.SSLContext | None) -> int:
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=work, args=(listeners[-1], settings), daemon=True).start()
        port: int = listeners[-1].getsockname()[1]
        return port

    yield start
    for one in listeners:
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def _shaken(plain: socket.socket, settings: ssl.SSLContext) -> ssl.SSLSocket:
    """Returns the connection after the handshake; after a failed one, lets the client read why."""
    connection = settings.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    try:
        connection.do_handshake()
    except OSError:
        with connection, suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_WR)
            while socket.socket.recv(connection, 65536):
                pass
        raise
    return connection


Listening = Callable[[ssl.SSLContext | None], int]


def server(files: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files / "cert.pem", files / "key.pem")
    if client_ca is not None:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(client_ca)
    return made


def files(folder: Path, *, client: bool = True, verify: bool = True) -> Tls:
    own = (str(folder / "cert.pem"), str(folder / "key.pem")) if client else ("", "")
    return Tls(str(folder / "ca.pem"), *own, verify)


def with_http(where: Endpoint) -> object:
    return http.get_json(where, "/version", "ask")


def with_docker_py(where: Endpoint) -> object:
    with docker_client.translated(where.shown, "ask"):
        return docker_client.client(where, "1.41").version(api_version=False)


WAYS = pytest.mark.parametrize("ask", [with_http, with_docker_py])


def refusal(ask: Callable[[Endpoint], object], where: Endpoint) -> ContainerlabError:
    with pytest.raises(ContainerlabError) as raised:
        ask(where)
    assert "\n" not in str(raised.value)
    return raised.value


@WAYS
@pytest.mark.parametrize(
    "variable",
    ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "HTTPS_PROXY",
     "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
)  # fmt: skip
def test_the_environment_of_web_clients_has_no_effect(
    ask: Callable[[Endpoint], object], variable: str, good: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9" if "proxy" in variable.lower() else "/nosuch/file")
    port = listening(server(good, good / "ca.pem"))
    assert ask(Endpoint(f"tcp://127.0.0.1:{port}", files(good))) == {}


@WAYS
def test_a_certificate_that_is_not_trusted(
    ask: Callable[[Endpoint], object], good: Path, listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = authority(tmp_path / "other").sign(tmp_path / "theirs", LOCAL)
    port = listening(server(other))
    url = f"tcp://127.0.0.1:{port}"
    error = refusal(ask, Endpoint(url, files(good), source="DOCKER_HOST"))
    assert isinstance(error, Unreachable)
    assert f"The certificate of {url} (DOCKER_HOST) is not trusted: no authority in ca.pem signed it" in str(error)
    monkeypatch.setenv("SSL_CERT_FILE", str(other / "ca.pem"))
    assert "is not trusted" in str(refusal(ask, Endpoint(url, Tls("", "", "", verify=True))))
    assert ask(Endpoint(url, files(good, verify=False))) == {}, "unless verification is off"


@WAYS
@pytest.mark.parametrize(
    ("names", "days", "words"),
    [
        (LOCAL, 0, "has expired; renew it"),
        ("DNS:elsewhere", 2, "is for another host. Use a name that is in it"),
        ("IP:192.0.2.1", 2, "is for another host. Use a name that is in it"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_has_expired_or_names_another_host(
    ask: Callable[[Endpoint], object], names: str, days: int, words: str, host: str,
    ours: Authority, good: Path, listening: Listening, tmp_path: Path,
) -> None:  # fmt: skip
    port = listening(server(ours.sign(tmp_path / "bad", names, days)))
    error = refusal(ask, Endpoint(f"tcp://{host}:{port}", files(good)))
    assert isinstance(error, Unreachable)
    assert f"The certificate of tcp://{host}:{port} {words}" in str(error)


@WAYS
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_engine_that_wants_a_client_certificate(
    ask: Callable[[Endpoint], object], newest: ssl.TLSVersion, good: Path, listening: Listening, tmp_path: Path
) -> None:
    settings = server(good, good / "ca.pem")
    settings.maximum_version = newest
    url = f"tcp://127.0.0.1:{listening(settings)}"
    error = refusal(ask, Endpoint(url, files(good, client=False)))
    assert isinstance(error, Denied)
    assert f"{url} refused the TLS connection" in str(error)
    assert "it wants a client certificate that it trusts, in cert.pem and key.pem" in str(error)
    other = authority(tmp_path / "other").sign(tmp_path / "theirs", LOCAL)
    own = Tls(str(good / "ca.pem"), str(other / "cert.pem"), str(other / "key.pem"), verify=True)
    assert isinstance(refusal(ask, Endpoint(url, own)), Denied)


@WAYS
def test_tls_to_a_plain_port(ask: Callable[[Endpoint], object], good: Path, listening: Listening) -> None:
    url = f"tcp://127.0.0.1:{listening(None)}"
    assert f"{url} does not speak TLS. Unset DOCKER_TLS_VERIFY" in str(refusal(ask, Endpoint(url, files(good))))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ca.pem", "", "ca.pem has no certificate in PEM form"),
        ("cert.pem", "nonsense", "are not a certificate and its key in PEM form"),
        ("key.pem", None, "key.pem, which TLS to the engine needs"),
        ("key.pem", "other", "are not a certificate and its key in PEM form (key values mismatch)"),
        ("key.pem", "passphrase", "key.pem has a passphrase, which cannot be typed here"),
    ],
)
def test_files_that_cannot_be_used(name: str, content: str | None, words: str, ours: Authority, tmp_path: Path) -> None:
    mine = ours.sign(tmp_path / "mine", LOCAL)
    path = mine / name
    if content == "passphrase":
        lock(path)
    else:
        path.unlink()
    if content == "other":
        path.write_bytes((ours.folder / "key.pem").read_bytes())
    elif content is not None and content != "passphrase":
        path.write_text(content)
    for ask in (with_http, with_docker_py):
        assert words in str(refusal(ask, Endpoint("tcp://127.0.0.1:9", files(mine))))
