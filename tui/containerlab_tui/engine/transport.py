"""Opens the connection to an engine, of whatever kind: a Unix socket, TCP, TLS or ssh.

All HTTP clients here use it, docker-py too, so all have the same settings and raise the same errors. It follows neither
proxies nor other settings for web clients in the environment.
"""

import os
import socket
import stat
from urllib.parse import urlsplit

from containerlab_probes.errors import Unreachable, Unsupported
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import Explained

CONNECT_TIMEOUT_S = 10.0
PLAIN_PORT, TLS_PORT = 2375, 2376


def dial(where: Endpoint, timeout_s: float | None = None) -> socket.socket:
    """Returns a connected socket whose operations have this time limit.

    Raises OSError (ssl.SSLError for TLS, errors.Explained for ssh), and Unreachable, Denied for unusable files of TLS.
    """
    limit_s = CONNECT_TIMEOUT_S if timeout_s is None else min(timeout_s, CONNECT_TIMEOUT_S)
    made = _connected(where, limit_s)
    made.settimeout(timeout_s)
    return made


def _connected(where: Endpoint, limit_s: float) -> socket.socket:
    if where.socket_path is not None:
        return _unix(where, where.socket_path, limit_s)
    url = urlsplit(where.url)
    if url.scheme == "ssh":
        from containerlab_tui.engine import ssh

        return ssh.dial(where.url)
    if url.scheme not in ("tcp", "http", "https") or not url.hostname:
        raise Unsupported(f"Could not connect to {where.shown}: only unix://, tcp:// and ssh:// are supported.")
    if where.tls is None:
        return socket.create_connection((url.hostname, url.port or PLAIN_PORT), limit_s)
    from containerlab_tui.engine import tls

    settings = tls.context(where.tls)
    plain = socket.create_connection((url.hostname, url.port or TLS_PORT), limit_s)
    try:
        return settings.wrap_socket(plain, server_hostname=url.hostname)
    except BaseException:
        plain.close()
        raise


def _unix(where: Endpoint, path: str, limit_s: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(limit_s)
        made.connect(path)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        made.close()
        raise Explained(Unreachable(_nothing_at(where.shown, path))) from error
    except BaseException:
        made.close()
        raise
    return made


def _nothing_at(where: str, path: str) -> str:
    """Returns the sentence for a Unix socket that is not there or that nothing listens on."""
    if not os.path.exists(path):
        return f"No Docker engine answers at {where}: there is no such socket. Is the daemon running?"
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        return f"No Docker engine answers at {where}: that is not a socket."
    return (
        f"No Docker engine answers at {where}: the socket is there, but nothing listens on it (Connection refused). "
        "Is the daemon running?"
    )
