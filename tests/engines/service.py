"""A daemon that serves the Engine API on a socket and is found again by its pid file."""

import os
import select
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.engine import http
from containerlab_tui.engine.endpoint import Endpoint
from tests.support.docker import eventually

ROOTLESS = 64_242
"""User and group of the rootless engines; no account has them."""
AS_ROOTLESS = ("setpriv", f"--reuid={ROOTLESS}", f"--regid={ROOTLESS}", "--clear-groups")


@dataclass(frozen=True, slots=True)
class Service:
    """One daemon, running or not."""

    host: str
    """The address of its socket, which is an argument of its command too."""
    pid_file: Path
    log: Path

    def responds(self) -> bool:
        """Returns whether it runs and responds."""
        try:
            http.get(Endpoint(self.host), "/_ping", "ping the engine", 5.0)
        except ContainerlabError:
            return False
        return True

    def start(self, command: tuple[str, ...], environment: Mapping[str, str], within_s: float = 60.0) -> None:
        """Starts it and waits until it responds. Raises RuntimeError with the end of its log if it exits."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        self.pid_file.write_text(f"{process.pid}\n")
        eventually(lambda: self.responds() or process.poll() is not None, f"{self.host} responds", within_s)
        if process.poll() is not None:
            raise RuntimeError(f"{self.host} exited: {self.log.read_text()[-2000:]}")
        process.returncode = 0  # it keeps running: avoids the warning when the object is freed

    def end(self) -> None:
        """Ends the process that the pid file names, if it is still this daemon."""
        try:
            pid = int(self.pid_file.read_text())
            pidfd = os.pidfd_open(pid)
        except (OSError, ValueError):
            return
        try:
            if self.host in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                for number, limit_s in ((signal.SIGTERM, 30.0), (signal.SIGKILL, 5.0)):
                    signal.pidfd_send_signal(pidfd, number)
                    if _exits(pidfd, limit_s):
                        break
        except (FileNotFoundError, ProcessLookupError):
            pass
        finally:
            os.close(pidfd)
        self.pid_file.unlink(missing_ok=True)


def _exits(pidfd: int, within_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within_s * 1000))
