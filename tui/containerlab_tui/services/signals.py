"""Sends chosen signals to chosen processes and says what came of them. Used by the screens and the commands.

(contract; filled in next)
"""

from dataclasses import dataclass

from containerlab_probes.records import Forecast, ProcessId


@dataclass(frozen=True, slots=True)
class Sent:
    """One signal to one process, and what came of it."""

    container: str
    """Full id."""
    container_name: str
    id: ProcessId
    container_pid: int
    command: str
    signal: int
    at: float
    """Epoch seconds."""
    route: str
    """`pidfd`, or `engine` where only the engine could send it."""
    forecast: Forecast | None
    observed: str | None = None
    """What came of it, one clause: `still there`, `ended with status 0`, `ended by SIGTERM`, `no longer catches
    SIGTERM` … None: not looked yet, or it can't be seen (`error` or the route says why)."""
    error: str = ""
    """A sentence where it was not sent."""
