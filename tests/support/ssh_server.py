"""An sshd of a test's own on 127.0.0.1, with its own keys, and an `ssh` that uses its own configuration."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from containerlab_tui.lab.daemon import SYSTEM_PATHS
from tests.support.docker import eventually

ADDRESS = "127.0.0.1"
SERVER = """
ListenAddress {address}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
MaxStartups 100
"""
CLIENT = """
{more}
IdentityFile {folder}/user_key
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile none
"""


@dataclass(slots=True)
class SshServer:
    """The server and the files of its client."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def bin(self) -> Path:
        """The directory of an `ssh` that reads this folder's configuration, for PATH."""
        return self.folder / "bin"

    def url(self, engine: str = "") -> str:
        """Returns the address of an engine behind this server; `engine` is its `unix://` address there."""
        return f"ssh://root@{ADDRESS}:{self.port}{engine.removeprefix('unix://')}"

    def configure(self, more: str = "") -> None:
        """Writes the client's configuration; the first value of an option counts, so `more` wins."""
        (self.folder / "config").write_text(CLIENT.format(more=more, folder=self.folder))

    def trust(self) -> None:
        """Makes the host key known to the client."""
        key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[{ADDRESS}]:{self.port} {key}")

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()

    def sessions(self) -> list[psutil.Process]:
        """Returns the server's processes of open connections; what they started is below them."""
        return psutil.Process(self.process.pid).children()

    def end_sessions(self) -> None:
        """Kills the connections, as if the server had crashed."""
        # OpenSSH 10 holds a connection in a process below the one that it starts.
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def ssh_server(folder: Path, *lines: str) -> Iterator[SshServer]:
    """Starts a server that lets root in with a key; these lines of its configuration come first, so they win."""
    for name in ("host_key", "user_key"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)), check=True)
    port = _free_port()
    config = folder / "sshd_config"
    config.write_text("\n".join(lines) + SERVER.format(address=ADDRESS, port=port, folder=folder))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the package makes it when its service starts
    sshd = shutil.which("sshd", path=os.pathsep.join(SYSTEM_PATHS))
    assert sshd is not None
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen((sshd, "-D", "-e", "-f", str(config)), stdin=subprocess.DEVNULL, stderr=log)
    server = SshServer(folder, port, process)
    try:
        _make_client(server)
        eventually(lambda: "Server listening" in server.log(), "sshd listens")
        yield server
    finally:
        server.end_sessions()
        process.terminate()
        process.wait()


def _make_client(server: SshServer) -> None:
    ssh = shutil.which("ssh")
    assert ssh is not None
    server.bin.mkdir()
    program = server.bin / "ssh"
    program.write_text(f'#!/bin/sh\nexec {ssh} -F {server.folder}/config "$@"\n')
    program.chmod(0o755)
    server.configure()
    server.trust()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port
