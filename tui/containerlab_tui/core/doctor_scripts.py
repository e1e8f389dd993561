"""What a handler of an interpreted program does, told from the program's own text; else what its runtime does. Pure."""

from containerlab_probes.records import Process
from containerlab_probes.signals import name_of
from containerlab_tui.core import programs
from containerlab_tui.core.doctor_case import Case
from containerlab_tui.core.doctor_facts import Confidence, Outcome, Outlook


def outcome(case: Case, process: Process, signal: int, program: programs.Program | None) -> Outcome:
    """A handler of which programs.toml says nothing."""
    name = name_of(signal)
    why = f"What its handler does with {name} isn't known: a handler alone proves nothing."
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,), graceful_signals=program.graceful if program else ())
