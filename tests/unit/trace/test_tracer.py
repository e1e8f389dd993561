import subprocess
from collections.abc import Iterator

import pytest

from containerlab_probes.errors import Denied
from containerlab_probes.processes.identity import identify
from containerlab_probes.trace.tracer import Tracer


@pytest.fixture
def children() -> Iterator[list[int]]:
    started = [subprocess.Popen(("sleep", "60")) for _ in range(2)]
    yield [one.pid for one in started]
    for one in started:
        one.kill()
        one.wait()


def test_processes_are_watched_beside_one_whose_namespace_is_denied(
    children: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = Tracer()

    def denied(pid: int) -> None:
        if pid == children[0]:
            raise Denied("You may not read its PID namespace.")

    monkeypatch.setattr(tracer, "_register_namespace", denied)
    with pytest.raises(Denied):
        tracer.watch([identify(pid) for pid in children])
    assert set(children) <= tracer.watched
