"""The endpoint is the one that `docker` itself would use; documents of every engine are understood."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, Unreachable
from containerlab_tui.engine import parse
from containerlab_tui.engine.endpoint import DEFAULT_ENDPOINT, Endpoint, Tls, resolve


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A docker configuration with contexts `far` (TLS), `plain`, and the current one, `near`."""
    for name, url in (
        ("odd", "ftp://odd"),
        ("far", "tcp://far:2376"),
        ("near", "unix:///near.sock"),
        ("plain", "tcp://plain:1"),
    ):
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = tmp_path / "contexts" / "meta" / digest / "meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": url}}}))
    files = tmp_path / "contexts" / "tls" / hashlib.sha256(b"far").hexdigest() / "docker"
    files.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (files / name).touch()
    (tmp_path / "config.json").write_text('{"currentContext": "near"}')
    return tmp_path


def test_order_of_precedence(store: Path) -> None:
    environ = {"DOCKER_CONFIG": str(store)}
    assert resolve(environ=environ) == Endpoint("unix:///near.sock", None, "near")
    environ["DOCKER_CONTEXT"] = "far"
    assert resolve(environ=environ).url == "tcp://far:2376"
    environ["DOCKER_HOST"] = "unix:///host.sock"
    assert resolve(environ=environ) == Endpoint("unix:///host.sock")
    assert resolve(context="near", environ=environ).url == "unix:///near.sock"
    assert resolve(context="default", environ=environ).url == "unix:///host.sock"
    assert resolve("tcp://given:1", environ=environ).url == "tcp://given:1"


def test_the_default_is_the_usual_socket(tmp_path: Path) -> None:
    found = resolve(environ={"HOME": str(tmp_path)})
    assert found == Endpoint(DEFAULT_ENDPOINT)
    assert found.socket_path == "/var/run/docker.sock"


def test_tls_of_a_context_and_of_the_environment(store: Path, tmp_path: Path) -> None:
    files = store / "contexts" / "tls" / hashlib.sha256(b"far").hexdigest() / "docker"
    expected = Tls(str(files / "ca.pem"), str(files / "cert.pem"), str(files / "key.pem"), verify=True)
    assert resolve(context="far", environ={"DOCKER_CONFIG": str(store)}).tls == expected
    environ = {"DOCKER_HOST": "tcp://h:2376", "DOCKER_CERT_PATH": str(files), "DOCKER_TLS_VERIFY": "1"}
    assert resolve(environ=environ).tls == expected
    assert resolve(environ={"DOCKER_HOST": "tcp://h:2375", "DOCKER_CERT_PATH": str(files)}).tls is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": "unix:///a", "context": "near"}, "not both"),
        ({"endpoint": "/a.sock"}, "not an engine's address"),
        ({"endpoint": "ftp://a"}, "not an engine's address"),
        ({"endpoint": "unix://"}, "not an engine's address"),
        ({"endpoint": "tcp://h:x"}, "not an engine's address"),
        ({"endpoint": "ssh://"}, "not an engine's address"),
        ({"endpoint": "ssh://user:secret@h"}, "at most a user, a host, a port and a path"),
        ({"endpoint": "ssh://h?a=b"}, "at most a user, a host, a port and a path"),
        ({"endpoint": "ssh://h#a"}, "at most a user, a host, a port and a path"),
    ],
)
def test_a_bad_engine_address_is_refused(store: Path, arguments: dict[str, str], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        resolve(**arguments, environ={"DOCKER_CONFIG": str(store)})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"DOCKER_HOST": "nonsense"}, "DOCKER_HOST is 'nonsense', not an engine's address"),
        ({"DOCKER_HOST": "ssh://h/a?b"}, "DOCKER_HOST is not a valid ssh address"),
        ({"DOCKER_CONTEXT": "gone"}, "No Docker context is named 'gone', which DOCKER_CONTEXT names"),
        ({"CURRENT": "gone"}, "No Docker context is named 'gone', which .*config.json names"),
        ({"DOCKER_CONTEXT": "odd"}, "The host of context 'odd' is 'ftp://odd', not an engine's address"),
        ({"TLS": "nowhere"}, r"DOCKER_CERT_PATH is .*/nowhere, which is not a directory"),
        ({"TLS": "cert.pem key.pem"}, "DOCKER_CERT_PATH is .*, which has no ca.pem"),
        ({"TLS": "ca.pem key.pem"}, "DOCKER_CERT_PATH is .*, which has key.pem but no cert.pem"),
        ({"TLS": "ca.pem cert.pem"}, "DOCKER_CERT_PATH is .*, which has cert.pem but no key.pem"),
    ],
)
def test_an_environment_without_an_engine(store: Path, tmp_path: Path, environ: dict[str, str], words: str) -> None:
    environ = {"DOCKER_CONFIG": str(store), **environ}
    if current := environ.pop("CURRENT", ""):
        (store / "config.json").write_text(json.dumps({"currentContext": current}))
    if files := environ.pop("TLS", ""):
        folder = tmp_path / ("nowhere" if files == "nowhere" else "files")
        environ |= {"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
        for name in [] if files == "nowhere" else files.split():
            folder.mkdir(exist_ok=True)
            (folder / name).touch()
    with pytest.raises(Unreachable, match=words) as raised:
        resolve(environ=environ)
    assert raised.value.exit_status == 5
    unix = environ | {"DOCKER_HOST": "unix:///s"}
    assert resolve(environ=unix).tls is None, "a Unix socket has no TLS"


def test_a_missing_context_of_the_command_line(store: Path) -> None:
    with pytest.raises(Unreachable, match="No Docker context is named 'nosuch', which --context names"):
        resolve(context="nosuch", environ={"DOCKER_CONFIG": str(store)})


def test_what_named_the_engine_is_shown(store: Path) -> None:
    environ = {"DOCKER_CONFIG": str(store)}
    assert resolve(environ=environ).shown == "unix:///near.sock (context 'near')"
    assert resolve("unix:///a", environ=environ).shown == "unix:///a"
    assert resolve(environ=environ | {"DOCKER_HOST": "tcp://h:1"}).shown == "tcp://h:1 (DOCKER_HOST)"


def test_https_alone_uses_the_authorities_of_the_system(store: Path) -> None:
    assert resolve("https://h", environ={}).tls == Tls("", "", "", verify=True)
    assert resolve("https://h:1/docker/", environ={}).base == "/docker"


def test_a_host_with_a_port_is_tcp() -> None:
    assert resolve("h:2375", environ={}).url == "tcp://h:2375"


@pytest.mark.parametrize("more", [{}, {"DOCKER_CONTEXT": "plain"}, {"DOCKER_HOST": "unix:///host.sock"}])
def test_docker_agrees(store: Path, more: dict[str, str]) -> None:
    environ = {"DOCKER_CONFIG": str(store), "PATH": "/usr/bin:/bin:/usr/local/bin", **more}
    done = subprocess.run(
        ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"),
        env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert resolve(environ=environ).url == done.stdout.strip()


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (None, ("SIGTERM", "default")),
        ("", ("SIGTERM", "default")),
        ("quit", ("SIGQUIT", "container")),
        ("SIGRTMIN+3", ("SIGRTMIN+3", "container")),
        ("9", ("SIGKILL", "container")),
        ("SIGNONSENSE", ("SIGTERM", "default")),
        ("0", ("SIGTERM", "default")),
    ],
)
def test_effective_stop_signal(configured: str | None, expected: tuple[str, str]) -> None:
    assert parse.stop_signal(configured) == expected


def test_missing_fields_are_empty() -> None:
    line = parse.container({"Id": "x", "Names": None, "Ports": None, "Labels": None})
    assert (line.id, line.name, line.ports, line.labels) == ("x", "", (), {})
    bare = parse.details({"Id": "x", "State": None, "HostConfig": None, "Config": None, "GraphDriver": None})
    assert (bare.stop_signal, bare.stop_timeout_s, bare.restart_policy) == ("SIGTERM", 10, "no")
    assert parse.event({}).action == ""


def test_names_and_ports_are_formatted_like_docker() -> None:
    ports = [
        {"IP": "192.0.2.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 53, "Type": "udp"},
    ]
    line = parse.container({"Id": "x", "Names": ["/other/alias", "/own"], "Ports": ports})
    assert line.name == "own"
    assert line.ports == ("192.0.2.1:8080->80/tcp", "[::]:8080->80/tcp", "53/udp")


def test_event_actions_end_at_the_colon() -> None:
    actor = {"ID": "x", "Attributes": {"name": "n", "image": "i", "signal": "15"}}
    one = parse.event({"Action": "exec_create: ls -l", "Actor": actor, "timeNano": 1_500_000_000}, 0.5)
    assert (one.action, one.container, one.name, one.image, one.time) == ("exec_create", "x", "n", "i", 1.0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("nonsense", None),
        ("1970-01-01T00:00:01.123456789Z", 1.123456),
        ("1970-01-01T01:00:01+01:00", 1.0),
    ],
)
def test_times(text: str | None, moment: float | None) -> None:
    assert parse.moment(text) == moment


@pytest.mark.parametrize(
    ("before", "theirs", "after", "offset"),
    [
        (10.0, 10.0, 14.0, 0.0),
        (10.0, 14.0, 14.0, 0.0),
        (10.0, 15.0, 14.0, 3.0),
        (10.0, 9.0, 12.0, -2.0),
        (1, None, 2, 0),
    ],
)
def test_the_clock_of_an_engine(before: float, theirs: float | None, after: float, offset: float) -> None:
    assert parse.clock_offset(before, theirs, after) == offset
