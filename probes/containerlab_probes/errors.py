"""The errors of the kernel and of the engine, as the rest of the program sees them.

An error of the OS or of a client library is translated into one of these where it happens. Each carries one sentence
for the user: what was asked, what prevented it, what to do about it. Sentences quote engines, containers and files, so
each is made safe here, once, wherever it comes from.
"""

from containerlab_probes.safe_text import SafeText, safe_block

SENTENCE_LIMIT = 4000
"""Characters of a sentence; a longer one is cut."""


class ContainerlabError(Exception):
    """Base of every error that is shown to the user. `str(error)` is the sentence, too."""

    #: Name of the error in a probe agent's answer and in logs.
    kind = "error"
    #: Exit status of the command line.
    exit_status = 1

    def __init__(self, sentence: str) -> None:
        self.sentence: SafeText = safe_block(sentence[:SENTENCE_LIMIT].split("\n"))
        super().__init__(self.sentence)


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
    """No answer within the time limit."""

    kind = "timed-out"
    exit_status = 5


class Unanswered(TimedOut):
    """A probe, or a file system in a container, gave no answer within the time limit; the engine is not at fault."""

    exit_status = 4


class BadRequest(ContainerlabError):
    """The request is invalid; the sentence says what would be valid."""

    kind = "bad-request"
    exit_status = 2


class Unreachable(ContainerlabError):
    """The engine can't be reached, or the connection closed before the answer."""

    kind = "unreachable"
    exit_status = 5


BY_KIND: dict[str, type[ContainerlabError]] = {
    error.kind: error for error in (Gone, Denied, Unsupported, TimedOut, BadRequest, Unreachable)
}
