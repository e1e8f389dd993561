"""Finds the engine that `docker` would use, like its command line (docker/cli cli/command/cli.go).

In order: an explicit endpoint, an explicit context, DOCKER_HOST, DOCKER_CONTEXT, the current context of
config.json in $DOCKER_CONFIG or ~/.docker, the socket at /var/run/docker.sock.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone
from containerlab_probes.kernel.files import read_bytes

_FILE_BYTES = 4 * 1024 * 1024
"""Limit of one file of the docker client's configuration."""
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for a TLS connection; an empty path means none."""

    ca: str
    certificate: str
    key: str
    verify: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str
    """As for `docker --host`."""
    tls: Tls | None = None
    context: str = ""
    """The context that named it; empty if none did."""

    @property
    def socket_path(self) -> str | None:
        """The path of a Unix socket; None for other endpoints."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None


def resolve(
    endpoint: str | None = None, context: str | None = None, environ: Mapping[str, str] | None = None
) -> Endpoint:
    """Returns the endpoint to use. Raises BadRequest for both a host and a context, a missing context, or a bad URL."""
    environ = os.environ if environ is None else environ
    if endpoint and context:
        raise BadRequest("Pass a host or a context, not both: each names an engine.")
    if endpoint:
        return Endpoint(_checked(endpoint, "--host"), _tls_of_environment(environ))
    if not context and (host := environ.get("DOCKER_HOST", "")):
        return Endpoint(_checked(host, "DOCKER_HOST"), _tls_of_environment(environ))
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    name = context or environ.get("DOCKER_CONTEXT") or _current_context(folder)
    if name in ("", "default"):
        host = environ.get("DOCKER_HOST", "") if context else ""
        return Endpoint(_checked(host or DEFAULT_ENDPOINT, "DOCKER_HOST"), _tls_of_environment(environ))
    return _of_context(name, folder)


def _checked(url: str, source: str) -> str:
    """Returns the URL with its scheme; `host:port` alone is TCP."""
    scheme, separator, rest = url.partition("://")
    if not separator and url.rpartition(":")[2].isdigit() and not url.startswith("/"):
        return f"tcp://{url}"
    if scheme not in SCHEMES or not rest:
        raise BadRequest(
            f"{source} is {url!r}, not an engine's address; use unix:///PATH, tcp://HOST:PORT or ssh://HOST."
        )
    return url


def _current_context(folder: Path) -> str:
    document = _json_of(folder / "config.json")
    name = document.get("currentContext")
    return name if isinstance(name, str) else ""


def _of_context(name: str, folder: Path) -> Endpoint:
    """Returns a context's endpoint from the store, whose directories are named by the SHA-256 of the context."""
    import hashlib  # it loads OpenSSL

    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _json_of(folder / "contexts" / "meta" / digest / "meta.json")
    docker = (meta.get("Endpoints") or {}).get("docker")
    if not isinstance(docker, dict):
        raise BadRequest(f"No Docker context is named {name!r}; list them with `docker context ls`.")
    url = _checked(docker.get("Host") or DEFAULT_ENDPOINT, f"The host of context {name!r}")
    files = folder / "contexts" / "tls" / digest / "docker"
    verify = not docker.get("SkipTLSVerify")
    tls = _tls_in(files, verify) if files.is_dir() else None
    return Endpoint(url, tls, name)


def _json_of(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_bytes(str(path), _FILE_BYTES))
    except Gone:
        return {}
    except (ContainerlabError, ValueError) as error:
        raise BadRequest(f"Cannot read {path} ({error}). Fix it or pass --host.") from error
    return document if isinstance(document, dict) else {}


def _tls_of_environment(environ: Mapping[str, str]) -> Tls | None:
    """Reads DOCKER_TLS_VERIFY (any value), DOCKER_TLS, DOCKER_CERT_PATH (docker/cli cli/flags/options.go)."""
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not environ.get("DOCKER_TLS"):
        return None
    folder = environ.get("DOCKER_CERT_PATH") or environ.get("DOCKER_CONFIG")
    return _tls_in(Path(folder) if folder else Path(environ.get("HOME") or Path.home()) / ".docker", verify)


def _tls_in(folder: Path, verify: bool) -> Tls:
    paths = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
    ca, certificate, key = (str(path) if path.is_file() else "" for path in paths)
    return Tls(ca, certificate, key, verify)
