"""Calls the command line in tests: takes arguments; returns output, errors and exit status."""

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
class CommandResult:
    """The result of one command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document; fails if there is other output, or if it doesn't begin with the schema."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        assert next(iter(document.items())) == ("schema", 1)
        return document


@dataclass(frozen=True, slots=True)
class Command:
    """`containerlab-tui --host ENGINE ARGUMENTS` in this process."""

    host: str
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> CommandResult:
        self.capsys.readouterr()
        status = main(["--host", self.host, *arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return CommandResult(status, out, err)

    def asks(self, *arguments: str) -> dict[str, Any]:
        """Returns the document of a command that ends with status 0."""
        result = self(*arguments, "--json")
        assert result.status == 0, result.err
        return result.document

    def fails(self, status: int, *arguments: str) -> str:
        """Returns the sentence of a command that ends with this status and prints no output."""
        result = self(*arguments)
        assert (result.status, result.out) == (status, "")
        assert len(result.err.strip().splitlines()) == 1, result.err
        assert re.fullmatch(r"containerlab-tui: .+[.?]", result.err.strip()), result.err
        return result.err


def has(document: dict[str, Any], fields: str) -> None:
    """Asserts that the document has these fields (words of one string)."""
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
