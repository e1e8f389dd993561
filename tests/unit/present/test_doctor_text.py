"""A diagnosis in words."""

from dataclasses import replace

import pytest

from containerlab_probes.records import WITHOUT_ROOT
from containerlab_tui.present.doctor_text import partly, pasteable
from tests.unit.doctor.support import diagnosed, process


@pytest.mark.parametrize(
    ("remedy", "pasted"),
    [
        ("", ""),
        ("Dockerfile: STOPSIGNAL SIGQUIT\ncompose: stop_signal: SIGQUIT",
         "# Dockerfile\nSTOPSIGNAL SIGQUIT\n# compose\nstop_signal: SIGQUIT\n"),
        ('in a script: exec python3 "a b.py"', '# in a script\nexec python3 "a b.py"\n'),
        ("docker run --init …\n# or install a handler", "docker run --init …\n# or install a handler\n"),
        ("[program:a]\nstopwaitsecs=3", "[program:a]\nstopwaitsecs=3\n"),
    ],
)  # fmt: skip
def test_a_fix_can_be_pasted(remedy: str, pasted: str) -> None:
    assert pasteable(remedy) == pasted


def test_what_only_root_can_read_is_said_once() -> None:
    one = diagnosed(process(1, "sleep", "1000"))
    made = [replace(one, container=name, partial=(WITHOUT_ROOT, why)) for name, why in (("a", "X."), ("b", "Y."))]
    assert partly(made) == [WITHOUT_ROOT, "a: X.", "b: Y."]
