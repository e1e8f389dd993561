"""Names, numbers and default actions of signals (man 7 signal). No I/O."""

import re
import signal

from containerlab_probes.errors import BadRequest
from containerlab_probes.records import Effect

SIGKILL = int(signal.SIGKILL)

_RTMIN, _RTMAX = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
_NAMES = {int(one): one.name for one in signal.Signals} | {
    number: f"SIGRTMIN+{number - _RTMIN}" for number in range(_RTMIN + 1, _RTMAX)
}
_NUMBERS = {name: number for number, name in _NAMES.items()} | {
    "SIGIOT": 6,
    "SIGCLD": int(signal.SIGCHLD),
    "SIGPOLL": int(signal.SIGIO),
}
_REAL_TIME = re.compile(r"SIG(RTMIN|RTMAX)(?:([+-])([0-9]{1,2}))?")

_DUMPS_CORE = frozenset(
    (signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV,
     signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS)
)  # fmt: skip
_STOPS = frozenset((signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
_NOTHING = frozenset((signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH))


def all_signals() -> tuple[int, ...]:
    """Returns every signal that a program can use on this kernel, in ascending order.

    32 and 33 (below SIGRTMIN) are missing: the C library reserves them (man 7 signal).
    """
    return tuple(sorted(_NAMES))


def name_of(number: int) -> str:
    """Returns the name of a signal (`SIGTERM`, `SIGRTMIN+3`), or the number as text if it has no name."""
    return _NAMES.get(number, str(number))


def number_of(text: str) -> int:
    """Returns the number of a signal given as `SIGUSR1`, `usr1`, `10`, `rtmin+3` or `SIGRTMAX-1`.

    Raises `BadRequest` for any other text, with similar names.
    """
    name = text.strip().upper()
    if re.fullmatch(r"[0-9]{1,3}", name):
        number = int(name)
        if 1 <= number <= _RTMAX:
            return number
        raise BadRequest(f"No such signal: {number}. Signals go from 1 to {_RTMAX}.")
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name in _NUMBERS:
        return _NUMBERS[name]
    found = _REAL_TIME.fullmatch(name)
    if found:
        number = {"RTMIN": _RTMIN, "RTMAX": _RTMAX}[found[1]] + int((found[2] or "+") + (found[3] or "0"))
        if _RTMIN <= number <= _RTMAX:
            return number
        raise BadRequest(f"No such signal: {text!r}. Real-time signals go from RTMIN to RTMIN+{_RTMAX - _RTMIN}.")
    import difflib  # takes milliseconds, so it is imported only after a mistake

    shorts = [known.removeprefix("SIG") for known in _NUMBERS]
    near = difflib.get_close_matches(name.removeprefix("SIG"), shorts, n=3)
    hint = f"Did you mean {' or '.join(f'SIG{one}' for one in near)}?" if near else "`kill -l` lists all."
    raise BadRequest(f"No such signal: {text!r}. {hint}")


def default_action(number: int) -> Effect:
    """Returns the effect of a signal's default action (man 7 signal, include/linux/signal.h)."""
    if number in _DUMPS_CORE:
        return Effect.DUMPS_CORE
    if number in _STOPS:
        return Effect.STOPS
    if number in _NOTHING:
        return Effect.NOTHING
    return Effect.CONTINUES if number == signal.SIGCONT else Effect.TERMINATES
