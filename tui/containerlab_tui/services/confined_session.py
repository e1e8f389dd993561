"""A session inside a container's confinement: the engine runs the program, on a terminal that it makes."""

import os
import signal
from contextlib import suppress

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.processes.identity import identify, open_pidfd
from containerlab_probes.records import ContainerRun, ProcessId
from containerlab_probes.signals.send import send
from containerlab_tui.engine.api import ExecState, ExecStreams
from containerlab_tui.services.entered_processes import SETTLE_S, SessionEnd, left_behind, members_of_session, wait_for

_START_LIMIT_S = 10.0


class ConfinedSession:
    """A program that the engine runs in a container."""

    def __init__(self, streams: ExecStreams, run: ContainerRun | None) -> None:
        """Waits until the engine has started the program. `run` is None if its processes are not visible here.

        Raises as `ExecStreams.state`.
        """
        self._streams, self._run = streams, run
        self.exited: int | None = None
        """Becomes readable when the program exits; None if its process is not visible here."""
        self._leader: ProcessId | None = None
        try:
            state = wait_for(self._streams.state, lambda found: found.pid > 0 or _is_over(found), _START_LIMIT_S)
        except BaseException:
            streams.close()
            raise
        if run is not None and state.pid:
            with suppress(ContainerlabError, ValueError):
                self._leader = identify(state.pid)
                self.exited = open_pidfd(self._leader)

    def fileno(self) -> int:
        return self._streams.fileno()

    def read(self) -> bytes:
        return self._streams.read()

    def pending(self) -> bool:
        return self._streams.pending()

    def write(self, data: bytes) -> None:
        self._streams.write(data)

    def resize(self, rows: int, columns: int) -> None:
        self._streams.resize(rows, columns)

    def end(self, has_left: bool) -> SessionEnd:
        """Ends the session; hangs up if the user has left. Returns how it ended."""
        if has_left and self._leader is not None and self._run is not None:
            with suppress(ContainerlabError):
                send(self._run, self._leader, signal.SIGHUP)
        state = wait_for(self._streams.state, lambda found: not found.is_running, SETTLE_S)
        status = None if state.is_running else state.exit_code
        if self._leader is None:
            return SessionEnd(status)
        leader = self._leader.pid
        pids = wait_for(lambda: members_of_session(leader), lambda found: not found, SETTLE_S)
        return SessionEnd(status, *left_behind(pids))

    def close(self) -> None:
        if self.exited is not None:
            os.close(self.exited)
            self.exited = None
        self._streams.close()


def _is_over(state: ExecState) -> bool:
    return not state.is_running and state.exit_code is not None
