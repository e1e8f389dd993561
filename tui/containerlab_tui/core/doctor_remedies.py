"""Lines that mend a finding, ready to be pasted: for a Dockerfile, for docker run, for a compose file. Pure."""

import json
import shlex

from containerlab_probes.records import Process
from containerlab_tui.core import programs


def init() -> str:
    """An init in front, or a handler."""
    return (
        "docker run --init …\n"
        "compose: init: true\n"
        'Dockerfile: ENTRYPOINT ["tini", "--"]\n'
        "or install a handler for the signal in the program"
    )


def stop_signal(name: str) -> str:
    return f"Dockerfile: STOPSIGNAL {name}\ndocker run --stop-signal={name} …\ncompose: stop_signal: {name}"


def other_signal(process: Process, signal: str) -> str:
    """Another stop signal, where one is documented."""
    known = programs.recognise(process)
    better = next((one for one in known.graceful if one != signal), None) if known else None
    if better:
        return stop_signal(better)
    return f"Let the program handle {signal}, or choose a stop signal that it handles:\n{stop_signal('SIGINT')}"


def ending(signal: str) -> str:
    """The program's own handler has to end it."""
    return f"Let the handler of {signal} end the program, or put another signal there:\n{stop_signal('SIGINT')}"


def unblock(signal: str) -> str:
    return f"Unblock {signal}, or wait for it (sigwait, signalfd) in one thread.\n{init()}"


def grace(seconds: int) -> str:
    return f"docker run --stop-timeout={seconds} …\ncompose: stop_grace_period: {seconds}s"


def exec_form(child: Process) -> str:
    """The program as PID 1 itself."""
    words = list(child.argv) or [child.name]
    return f"Dockerfile: CMD {json.dumps(words, ensure_ascii=False)}\nin a script: exec {shlex.join(words)}"


def trap(child: Process, signal: str) -> str:
    """The form of a trap that runs at once."""
    return (
        f"{shlex.join(child.argv or (child.name,))} &\n"
        "child=$!\n"
        f"trap 'kill -{signal.removeprefix('SIG')} \"$child\"' {signal.removeprefix('SIG')}\n"
        'wait "$child"; wait "$child"'
    )


def uwsgi() -> str:
    return "uwsgi --die-on-term …, or in its configuration: die-on-term = true\n"
