"""A diagnosis in words."""

import pytest

from containerlab_tui.present.doctor_text import pasteable


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
