"""Fixtures of all tests, and how hypothesis works in them."""

import sys

import pytest
from hypothesis import Phase, settings

from tests.support import programs

# No deadline: on a busy machine an example takes as long as it takes.
settings.register_profile("containerlab", deadline=None)
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("containerlab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that `make test ENGINE=…` uses."""
    parser.addoption("--engine", default="", help="run tests/engine on this engine of tests/engines/matrix.py")


@pytest.fixture(scope="session", autouse=True)
def only_known_programs() -> None:
    """Refuses to start a program that scripts/setup doesn't install; pytest and its plugins have started by then."""
    sys.addaudithook(programs.check)
