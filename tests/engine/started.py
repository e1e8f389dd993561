"""When a container of the tables has started. A time wouldn't do: a cold disk stops a program for seconds."""

import re
from dataclasses import dataclass

from containerlab_probes.records import Process
from containerlab_probes.signals.names import number_of
from containerlab_tui.engine.api import Engine
from containerlab_tui.services.processes import see_processes
from tests.support.docker import Docker, eventually

WITHIN_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What must be true of a container before it counts as started; all of it that isn't empty."""

    says: str = ""
    """A text in its log."""
    runs: str = ""
    """A pattern for the beginning of a process's name (comm) or of its title (argv)."""
    handles: str = ""
    """A signal that PID 1 has a handler for."""

    def is_true_of(self, processes: tuple[Process, ...]) -> bool:
        """Returns whether these are the processes of a container that has started."""
        titles = [text for one in processes for text in (one.name, " ".join(one.argv))]
        caught = [one.dispositions.caught for one in processes if one.container_pid == 1]
        return (
            bool(processes)
            and (not self.runs or any(re.match(self.runs, title) for title in titles))
            and (not self.handles or any(number_of(self.handles) in signals for signals in caught))
        )

    def wait(self, engine: Engine, docker: Docker, name: str) -> None:
        """Waits until the container has started; fails with its log if it ends before."""

        def started() -> bool:
            log, running = docker.logs(name), docker.state(name) == "running"
            assert running, f"{name} has ended: {log[-500:]}"
            if self.says not in log:
                return False
            processes, reason = see_processes(engine, engine.inspect(name))
            assert not reason, f"{name}: {reason}"
            return self.is_true_of(processes)

        eventually(started, f"{name}: {self}", within_s=WITHIN_S)
