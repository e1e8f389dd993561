"""What `make lint` says of pip-audit's answers."""

import json

import pytest

from scripts.audit import main, report

CLEAN = {"name": "docker", "version": "7.2.0", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "own", "skip_reason": "Dependency not found"}


def answer(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("output", "errors", "lines", "status"),
    [
        (answer(CLEAN), "", [], 0),
        (answer(CLEAN, BAD), "", ["audit: old 1.0 has PYSEC-1; fixed in 1.1."], 1),
        (answer(CLEAN, UNKNOWN), "", ["audit: 1 of 2 packages were not checked: the index does not know them."], 0),
        ("", "Traceback\nConnectionError: no route\n",
         ["audit: the packages were not checked: pip-audit could not ask (ConnectionError: no route)."], 0),
        ("[]", "", ["audit: the packages were not checked: pip-audit could not ask (it printed nothing)."], 0),
    ],
)  # fmt: skip
def test_only_a_vulnerability_fails(output: str, errors: str, lines: list[str], status: int) -> None:
    assert report(output, errors) == (lines, status)


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(lambda: (answer(BAD), "")) == 1
    assert "PYSEC-1" in capsys.readouterr().err
