"""The command line as tests call it: arguments in; output, error output and exit status out."""

import datetime
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from containerlab_tui.cli import main

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
SIGNAL = re.compile(r"SIG[A-Z0-9]+([+]\d+)?|32|33")  # the C library reserves 32 and 33: they have no name
DELIVERIES = {
    "handler", "sigwait", "signalfd", "default", "ignored", "dropped", "deferred", "pending", "unknown",
}  # fmt: skip
EFFECTS = {"program-decides", "terminates", "dumps-core", "stops", "continues", "nothing", "unknown"}
SURVIVAL = {"process-exit", "stop-start", "remove", "host-reboot"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Output, error output and exit status of one command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Returns the one JSON document; fails if the output has more or does not begin with the schema."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        assert next(iter(document.items())) == ("schema", 1)
        return document


@dataclass(frozen=True, slots=True)
class Command:
    """Runs `containerlab-tui --host ENGINE ARGUMENTS` in this process."""

    host: str
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Answer:
        self.capsys.readouterr()
        status = main(["--host", self.host, *arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(status, out, err)

    def asks(self, *arguments: str) -> dict[str, Any]:
        """Returns the document of a command that exits with status 0."""
        answer = self(*arguments, "--json")
        assert answer.status == 0, answer.err
        return answer.document

    def fails(self, status: int, *arguments: str) -> str:
        """Returns the one sentence of a command that exits with that status and prints no output."""
        answer = self(*arguments)
        assert (answer.status, answer.out) == (status, "")
        assert len(answer.err.strip().splitlines()) == 1, answer.err
        assert re.fullmatch(r"containerlab-tui: .+[.?]", answer.err.strip()), answer.err
        return answer.err


def has(document: dict[str, Any], fields: str) -> None:
    """Asserts that each of the fields (words of one string) is there."""
    missing = set(fields.split()) - document.keys()
    assert not missing, f"{missing} not in {sorted(document)}"


def is_moment(text: object) -> float:
    """Returns the epoch seconds of an ISO time with microseconds in UTC."""
    assert isinstance(text, str)
    assert MOMENT.fullmatch(text), text
    return datetime.datetime.fromisoformat(text).timestamp()


def are_signals(names: Iterable[str]) -> None:
    wrong = [name for name in names if not SIGNAL.fullmatch(name)]
    assert not wrong


def is_survival(survives: dict[str, str]) -> None:
    assert survives.keys() == SURVIVAL
    assert set(survives.values()) <= {"yes", "no", "unknown"}
