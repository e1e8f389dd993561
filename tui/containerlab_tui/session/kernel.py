"""The session's access to this machine. Modules that read it are imported only when a method is called."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from containerlab_probes.records import Process
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.diagnosis import Diagnosis
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.services.policy import Policy
    from containerlab_tui.services.processes import SeeProcesses
    from containerlab_tui.session.container_watch import ContainerWatch, WatchHost
    from containerlab_tui.session.inspectors import Inspectors
    from containerlab_tui.session.refreshers import LoadReader, Loads

ProcessLoads = Callable[["tuple[Process, ...]"], "tuple[Process, ...]"]
"""Adds to processes what they use. Raises Unsupported where psutil is missing."""


class Kernel:
    """Access to this machine, replaceable in tests."""

    on_unread: "Callable[[str], object] | None" = None
    """Gets a sentence about recorded stops that could not be read, in any thread."""

    def processes(self, engine: "Engine", details: "Details") -> "tuple[tuple[Process, ...], str]":
        """Returns the processes of a container, and why none are readable."""
        from containerlab_tui.services.processes import see_processes

        return see_processes(engine, details)

    def doctor(self, engine: "Engine", container: str, see: "SeeProcesses") -> "Diagnosis":
        """Predicts a stop of a container; `see` reads its processes. Raises like `services.diagnosis.doctor`."""
        from containerlab_tui.services.diagnosis import doctor, recorded_stops

        return doctor(engine, container, partial(recorded_stops, tell=self.tell), see=see)

    def doctor_each(
        self, engine: "Engine", containers: "Sequence[tuple[str, str]] | None", see: "SeeProcesses"
    ) -> "tuple[tuple[Diagnosis, ...], tuple[str, ...]]":
        """Diagnoses containers, given by id and name (None: all running ones); returns a sentence for each failure."""
        from containerlab_tui.services.diagnosis import doctor_all, doctor_each, recorded_stops

        history = partial(recorded_stops, tell=self.tell)
        if containers is None:
            return doctor_all(engine, history, see=see)
        return doctor_each(engine, containers, history, see=see)

    def tell(self, sentence: str) -> None:
        if self.on_unread is not None:
            self.on_unread(sentence)

    def load_reader(self, post: "Callable[[Loads], object]") -> "LoadReader":
        """Returns a reader of CPU, memory and IPC figures of containers, and of this machine's CPU and memory."""
        from containerlab_probes.processes.load import HostLoadReader
        from containerlab_tui.session.refreshers import LoadReader, Overviews, UsageReaders

        return LoadReader(UsageReaders().usage_of, Overviews().overviews_of, post, host_of=HostLoadReader().read)

    def process_loads(self) -> "ProcessLoads":
        """Returns a function that adds loads to processes; CPU is the rate since its last call."""
        from containerlab_probes.processes.load import ProcessLoadReader

        return ProcessLoadReader().read

    def watch(self, host: "WatchHost", details: "Details") -> "ContainerWatch":
        """Returns a watch of the signals in a container, not yet started."""
        from containerlab_tui.session.container_watch import ContainerWatch

        return ContainerWatch(host, details)

    def inspectors(self, is_local: Callable[[], bool], policy: "Policy") -> "Inspectors":
        """Returns the keeper of the selected container's inspector."""
        from containerlab_tui.session.inspectors import Inspectors

        return Inspectors(is_local, policy)

    def clean_up(self) -> None:
        """Removes kernel state left by a killed run of this program."""
        from containerlab_tui.services.cleanup import sweep

        sweep()
