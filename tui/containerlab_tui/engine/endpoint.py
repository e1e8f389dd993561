"""Finds the engine that `docker` would use, like its command line (docker/cli cli/command/cli.go).

In order: an explicit endpoint, an explicit context, DOCKER_HOST, DOCKER_CONTEXT, the current context of
config.json in $DOCKER_CONFIG or ~/.docker, the socket at /var/run/docker.sock.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unreachable
from containerlab_probes.kernel.files import read_bytes

_FILE_BYTES = 4 * 1024 * 1024
"""Limit of one file of the docker client's configuration."""
DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
WEB_SCHEMES = ("tcp:", "http:", "https:")
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
    """Set for https:// and for tcp:// with TLS."""
    context: str = ""
    """The context that named it; empty if none did."""
    source: str = field(default="", compare=False)
    """The environment variable or context that named it, for sentences."""

    @property
    def socket_path(self) -> str | None:
        """The path of a Unix socket; None for other endpoints."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    @property
    def shown(self) -> str:
        """The URL for a sentence, with its source."""
        return f"{self.url} ({self.source})" if self.source else self.url

    @property
    def base(self) -> str:
        """The path before all paths of the Engine API, for an engine behind a web server; usually empty."""
        return urlsplit(self.url).path.rstrip("/") if self.url.startswith(WEB_SCHEMES) else ""

    @property
    def host(self) -> str:
        """The Host header of requests."""
        return urlsplit(self.url).netloc if self.url.startswith(WEB_SCHEMES) else "docker"


def resolve(
    endpoint: str | None = None, context: str | None = None, environ: Mapping[str, str] | None = None
) -> Endpoint:
    """Returns the endpoint to use.

    Raises BadRequest for both a host and a context or a bad host, Unreachable for a bad DOCKER_HOST, a missing context
    and missing files of TLS.
    """
    environ = os.environ if environ is None else environ
    if endpoint and context:
        raise BadRequest("Pass a host or a context, not both: each names an engine.")
    if endpoint:
        return _of_environment(_checked(endpoint, "--host", BadRequest), "", environ)
    if not context and (host := environ.get("DOCKER_HOST", "")):
        return _of_environment(_checked(host, "DOCKER_HOST"), "DOCKER_HOST", environ)
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    name, source = _context_named(context, folder, environ)
    if name in ("", "default"):
        host = environ.get("DOCKER_HOST", "") if context else ""
        url = _checked(host or DEFAULT_ENDPOINT, "DOCKER_HOST")
        return _of_environment(url, "DOCKER_HOST" if host else "", environ)
    return _of_context(name, source, folder)


def _checked(url: str, source: str, error: type[ContainerlabError] = Unreachable) -> str:
    """Returns the URL with its scheme; `host:port` alone is TCP."""
    scheme, separator, rest = url.partition("://")
    if not separator and url.rpartition(":")[2].isdigit() and not url.startswith("/"):
        return _checked(f"tcp://{url}", source, error)
    if scheme not in SCHEMES or not rest or not (scheme == "unix" or _is_web(url)):
        raise error(f"{source} is {url!r}, not an engine's address; use unix:///PATH, tcp://HOST:PORT or ssh://HOST.")
    if scheme == "ssh" and (":" in urlsplit(url).netloc.rpartition("@")[0] or "?" in url or "#" in url):
        raise error(f"{source} is not a valid ssh address: it has at most a user, a host, a port and a path.")
    return url


def _is_web(url: str) -> bool:
    """Returns whether the URL has a host and, if any, a valid port."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _context_named(context: str | None, folder: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """Returns the name of the context to use and what names it; empty if nothing does."""
    if context:
        return context, "--context"
    if name := environ.get("DOCKER_CONTEXT", ""):
        return name, "DOCKER_CONTEXT"
    path = folder / "config.json"
    current = _json_of(path).get("currentContext")
    return (current, str(path)) if isinstance(current, str) else ("", "")


def _of_context(name: str, source: str, folder: Path) -> Endpoint:
    """Returns a context's endpoint from the store, whose directories are named by the SHA-256 of the context."""
    import hashlib  # it loads OpenSSL

    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _json_of(folder / "contexts" / "meta" / digest / "meta.json")
    docker = (meta.get("Endpoints") or {}).get("docker")
    if not isinstance(docker, dict):
        raise Unreachable(
            f"No Docker context is named {name!r}, which {source} names; list them with `docker context ls`."
        )
    shown = f"context {name!r}"
    url = _checked(docker.get("Host") or DEFAULT_ENDPOINT, f"The host of {shown}")
    files = folder / "contexts" / "tls" / digest / "docker"
    verify = not docker.get("SkipTLSVerify")
    tls = _tls_in(files, verify, f"The TLS directory of {shown}", needs_ca=False) if files.is_dir() else None
    return Endpoint(url, _tls_for(url, tls), name, shown)


def _json_of(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_bytes(str(path), _FILE_BYTES))
    except Gone:
        return {}
    except (ContainerlabError, ValueError) as error:
        raise BadRequest(f"Cannot read {path} ({error}). Fix it or pass --host.") from error
    return document if isinstance(document, dict) else {}


def _of_environment(url: str, source: str, environ: Mapping[str, str]) -> Endpoint:
    """Returns an endpoint with TLS as in DOCKER_TLS_VERIFY (any value), DOCKER_TLS and DOCKER_CERT_PATH.

    As docker/cli cli/flags/options.go.
    """
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not url.startswith(WEB_SCHEMES) or not (verify or environ.get("DOCKER_TLS")):
        return Endpoint(url, _tls_for(url, None), source=source)
    for name in ("DOCKER_CERT_PATH", "DOCKER_CONFIG"):
        if place := environ.get(name):
            return Endpoint(url, _tls_in(Path(place), verify, name, needs_ca=True), source=source)
    folder = Path(environ.get("HOME") or Path.home()) / ".docker"
    return Endpoint(url, _tls_in(folder, verify, "The directory of TLS files", needs_ca=True), source=source)


def _tls_for(url: str, tls: Tls | None) -> Tls | None:
    """Returns the TLS of an endpoint: none for what is no web address, the system's authorities for https alone."""
    if not url.startswith(WEB_SCHEMES):
        return None
    return Tls("", "", "", verify=True) if tls is None and url.startswith("https:") else tls


def _tls_in(folder: Path, verify: bool, source: str, *, needs_ca: bool) -> Tls:
    """Returns the files of TLS in a directory. Raises Unreachable for a missing one; `source` names the directory."""
    ca, certificate, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    there = f"{source} is {folder}"
    if not folder.is_dir():
        raise Unreachable(f"{there}, which is not a directory; TLS to the engine needs the files in it.")
    if verify and needs_ca and not ca.exists():
        raise Unreachable(f"{there}, which has no ca.pem; TLS needs it to verify the engine.")
    for one, other in ((certificate, key), (key, certificate)):
        if one.exists() and not other.exists():
            raise Unreachable(f"{there}, which has {one.name} but no {other.name}; TLS needs both or neither.")
    found = [str(path) if path.exists() else "" for path in (ca, certificate, key)]
    return Tls(found[0], found[1], found[2], verify)
