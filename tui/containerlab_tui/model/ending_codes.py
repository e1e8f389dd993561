"""What an exit code may mean, if nothing better is known."""

from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.ending_records import Run
from containerlab_tui.model.product import Product

KILLED = 128 + SIGKILL
CGROUP_GONE = "cgroup: removed with the container, so memory.events could not be read"
LONG_S = 60.0
"""A signal sent longer than this before the exit may be unrelated to it."""


def who_else(product: Product) -> str:
    """Returns the sentences about 137 without a SIGKILL from the engine."""
    return (
        f"Either something other than {product.name} sent SIGKILL (a kill on the host, the kernel out of memory), or "
        "PID 1 exited with 137, as a shell does after its child was killed. Which of the two is unknown."
    )


#: Possible meanings of exit codes, used only if nothing better is known.
CODES = {
    125: "{engine} itself failed to run it.",
    126: "The command was found but could not be executed (no permission, or not executable).",
    127: "The command was not found.",
    129: "129 is the usual code for SIGHUP (128 + 1).",
    130: "130 is the usual code for SIGINT (128 + 2).",
    134: "134 means SIGABRT in a child; a PID 1 that calls abort() exits with 139 instead.",
    135: "135 means SIGBUS: often a file on /dev/shm is larger than its tmpfs (--shm-size).",
    139: "139 means SIGSEGV: an invalid memory access, or PID 1 called abort(), whose SIGABRT the kernel does not "
    "deliver. Which of the two is unknown.",
    143: "143 was chosen by the program: an unhandled SIGTERM does not terminate PID 1, except in a rare case in which "
    "kernels differ (`containerlab-tui selftest`).",
}


def limit_of(run: Run) -> str:
    """Returns the memory limit for a sentence."""
    known = run.details.memory_bytes if run.details else 0
    return f"its memory limit of {known / 1048576:g} MiB" if known else "its memory limit"


def meaning_of(run: Run) -> str:
    """Returns a possible meaning of the exit code, a sentence; empty: none."""
    code, details = run.exit_code, run.details
    if not 128 < code < 128 + 65:
        return CODES.get(code, "").format(engine=run.product.name)
    signal = name_of(code - 128)
    if details is not None and (details.pid_mode == "host" or details.pid_mode.startswith("container:")):
        return f"It shares a PID namespace, so its first process is not PID 1 and {signal} may have terminated it."
    if details is not None and details.init:
        return f"PID 1 is an init (--init), which exits with {code} after {signal} terminated its child."
    return CODES.get(code, f"{code} is 128 + {code - 128}: by convention {signal}, or a code that the program chose.")
