"""The few errors that cross the boundary to the kernel or to the engine.

An OS error or a client library's error is translated into one of these once, where it happens. Each
carries one sentence for the person: what was asked, what stood in the way, what to do about it.
"""


class ContainerlabError(Exception):
    """Base of every error that a person may see. `str(error)` is the sentence for that person."""

    #: The name that the error has in a probe agent's answer and in logs.
    kind = "error"
    #: The exit status that the command line ends with.
    exit_status = 1


class Gone(ContainerlabError):
    """The container, process, segment or mapping does not exist, or no longer does."""

    kind = "gone"
    exit_status = 3


class Denied(ContainerlabError):
    """A privilege is missing; the sentence names it."""

    kind = "denied"
    exit_status = 4


class Unsupported(ContainerlabError):
    """This kernel, engine or mode can't do it; the sentence names what is missing."""

    kind = "unsupported"
    exit_status = 4


class TimedOut(ContainerlabError):
    """No answer within the time that was allowed."""

    kind = "timed-out"
    exit_status = 5


class BadRequest(ContainerlabError):
    """What was asked makes no sense as asked; the sentence says what would."""

    kind = "bad-request"
    exit_status = 2


class Unreachable(ContainerlabError):
    """The engine can't be reached, or went away before the answer."""

    kind = "unreachable"
    exit_status = 5


BY_KIND: dict[str, type[ContainerlabError]] = {
    error.kind: error for error in (Gone, Denied, Unsupported, TimedOut, BadRequest, Unreachable)
}
