"""The names of the engines, and the table of what their tests said."""

import pytest

from tests.engines.matrix import ENGINES, find
from tests.engines.run import Outcome, lines, outcome

REPORT = """<testsuites><testsuite>
<testcase classname="tests.engine.test_why" name="test_one" time="1"/>
<testcase classname="tests.engine.test_why" name="test_two[a]" time="1"><failure message="x">text</failure></testcase>
<testcase classname="tests.engine.test_lab" name="test_three"><error message="y">text</error></testcase>
<testcase classname="tests.engine.test_lab" name="test_four"><skipped message="the lab starts dockerd"/></testcase>
<testcase classname="tests.engine.test_lab" name="test_five"><skipped message="the lab starts dockerd"/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("name", "applies"),
    [
        ("podman", {"podman-4", "podman-5", "podman-5-rootless"}),
        ("podman-4", {"podman-4"}),
        ("containerd", {"docker-26-containerd", "docker-28-containerd"}),
        ("docker-26", {"docker-26", "docker-26-containerd", "docker-26-cgroup2", "docker-26-rootless"}),
        ("rootless", {"docker-26-rootless", "podman-5-rootless"}),
        ("cgroup2", {"docker-26-cgroup2"}),
    ],
)
def test_a_name_or_a_part_of_it_names_engines(name: str, applies: set[str]) -> None:
    assert {engine.name for engine in ENGINES if engine.is_one_of((name,))} == applies


@pytest.mark.parametrize("name", ["docker-2", "docker-99", "Podman", ""])
def test_a_name_that_fits_no_engine_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is named"):
        ENGINES[0].is_one_of((name,))
    with pytest.raises(ValueError, match="choose one of docker-20, "):
        find(name)


def test_a_report_is_counted_completely() -> None:
    counted = outcome("docker-26", REPORT)
    assert counted.passed == 1
    assert counted.failed == ("tests/engine/test_why.py::test_two[a]", "tests/engine/test_lab.py::test_three")
    assert counted.not_applicable == {"the lab starts dockerd": 2}
    assert not counted.is_good


def test_the_table_names_what_failed_and_what_does_not_apply() -> None:
    assert list(
        lines([outcome("docker-26", REPORT), Outcome("podman-5", 0, (), outcome("", "<a/>").not_applicable, "no")])
    ) == [
        "ENGINE                 PASSED FAILED NOT APPLICABLE",
        "docker-26                   1      2              2",
        "podman-5                    0      0              0  no",
        "\ndocker-26",
        "  failed: tests/engine/test_why.py::test_two[a]",
        "  failed: tests/engine/test_lab.py::test_three",
        "  not applicable (2): the lab starts dockerd",
    ]


def test_an_engine_without_results_is_not_good() -> None:
    assert not outcome("docker-26", "<testsuites/>").is_good
    assert outcome("docker-26", '<a><testcase classname="tests.a" name="b"/></a>').is_good
