"""The version of the Engine API that is spoken, and the error if there is none in common."""

import pytest

from containerlab_probes.errors import BadRequest, ContainerlabError, Unreachable, Unsupported
from containerlab_tui.engine.api_version import NEWEST, chosen


@pytest.mark.parametrize(
    ("oldest", "newest", "wanted", "spoken"),
    [
        ("1.12", "1.41", "", "1.41"),
        ("1.24", "1.51", "", "1.51"),
        (None, "1.24", "", "1.24"),
        ("1.44", "1.52", "", NEWEST),
        ("1.24", "2.0", "", NEWEST),
        ("1.12", "1.41", "1.30", "1.30"),
        ("1.12", "1.41", "v1.30", "1.30"),
        ("1.44", "1.99", "1.52", "1.52"),
    ],
)
def test_the_newest_that_both_sides_know(oldest: str | None, newest: str, wanted: str, spoken: str) -> None:
    assert chosen({"ApiVersion": newest, "MinAPIVersion": oldest}, wanted, "x") == spoken


@pytest.mark.parametrize(
    ("oldest", "newest", "wanted", "error", "words"),
    [
        (None, "1.23", "", Unsupported, "The engine at x speaks API 1.23; 1.24 .* is the oldest"),
        ("1.60", "1.70", "", Unsupported, "The engine at x speaks API 1.60 and newer; 1.51 is the newest"),
        ("1.12", "1.41", "1.42", BadRequest, "DOCKER_API_VERSION is '1.42', which is too new for x: .* 1.12 to 1.41"),
        ("1.44", "1.52", "1.43", BadRequest, "DOCKER_API_VERSION is '1.43', which is too old for x: .* 1.44 to 1.52"),
        ("1.12", "1.41", "1.23", BadRequest, "DOCKER_API_VERSION is '1.23', which is too old: 1.24 is the oldest"),
        ("1.12", "1.41", "abc", BadRequest, "DOCKER_API_VERSION is 'abc', which is not a version like 1.41"),
        ("1.12", "1.41", "1.", BadRequest, "DOCKER_API_VERSION is '1.', which is not a version"),
        (None, "nonsense", "", Unreachable, "x is not a Docker engine: it names no API version"),
        (None, None, "", Unreachable, "x is not a Docker engine: it names no API version"),
    ],
)
def test_no_version_in_common(
    oldest: str | None, newest: str | None, wanted: str, error: type[ContainerlabError], words: str
) -> None:
    with pytest.raises(error, match=words):
        chosen({"ApiVersion": newest, "MinAPIVersion": oldest}, wanted, "x")
