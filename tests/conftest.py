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


@pytest.fixture(scope="session", autouse=True)
def only_known_programs() -> None:
    """Refuses to start a program that scripts/setup doesn't install; pytest and its plugins have started by then."""
    sys.addaudithook(programs.check)
