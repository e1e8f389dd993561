"""The basis of all findings: PID 1, the processes behind it, and the prediction."""

from dataclasses import dataclass

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.case import Case
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.model.diagnosis import Outcome, Outlook, Severity


@dataclass(frozen=True, slots=True)
class Situation:
    """The basis of all findings."""

    case: Case
    root: Process
    chain: tuple[Process, ...]
    """From PID 1 through inits, wrappers and shells to the program that does the work."""
    delivery: Delivery
    outcome: Outcome

    @property
    def main(self) -> Process:
        """The program that does the container's work."""
        return self.chain[-1]

    @property
    def signal(self) -> str:
        """The name of the stop signal."""
        return name_of(self.case.facts.signal)

    @property
    def late(self) -> bool:
        """Whether the container does not exit in time."""
        return self.outcome.outlook is Outlook.TIMES_OUT

    def severity(self) -> Severity:
        """Returns the severity of a problem that can keep the container from exiting."""
        return Severity.ERROR if self.late else Severity.WARNING


def chain_of(case: Case, root: Process) -> tuple[Process, ...]:
    """Returns PID 1 and the processes behind it, as long as each only waits for one child."""
    chain = [root]
    for _ in range(8):
        process = chain[-1]
        known = catalogue.recognise(process)
        passes = catalogue.is_shell(process) or (known is not None and known.kind in ("init", "wrapper"))
        children = case.children(process)
        if not passes or not children:
            break
        chain.append(children[0])
    return tuple(chain)


def main_program(case: Case, root: Process) -> Process:
    """Returns the process that does the container's work, behind inits, wrappers and shells."""
    return chain_of(case, root)[-1]
