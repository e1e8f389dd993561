"""Keeping one inspector: when it is closed, and what a container that cannot be inspected leaves behind."""

from dataclasses import dataclass, field

import pytest

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun
from containerlab_tui.model.inventory import Details
from containerlab_tui.services.inspection import Inspector
from containerlab_tui.services.policy import Policy
from containerlab_tui.session.inspectors import Inspectors
from tests.support.engine import details
from tests.support.kernel import running

POLICY = Policy(read_only=False)


class Client(ProbeClient):
    """An agent that is never started."""

    closed = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Case:
    """Inspectors whose agents are kept."""

    local: bool = True
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inspectors = Inspectors(lambda: self.local, POLICY, self._inspect)

    def _inspect(self, local: bool, of: Details, policy: Policy) -> Inspector:
        assert policy is POLICY
        return Inspector(local, of, policy, self._client)

    def _client(self, run: ContainerRun) -> Client:
        self.clients.append(Client(run))
        return self.clients[-1]


def test_one_run_of_a_container_has_one_inspector() -> None:
    case = Case()
    with running() as init:
        first = case.inspectors.of(details(pid=init.pid))
        assert case.inspectors.of(details(pid=init.pid, name="renamed")) is first
        assert first.init == identify(init.pid)
    assert [one.closed for one in case.clients] == [False]


@pytest.mark.parametrize("other", ["another container", "the next run"])
def test_another_container_or_run_closes_the_inspector(other: str) -> None:
    case = Case()
    with running() as init, running() as second:
        first = case.inspectors.of(details(pid=init.pid))
        wanted = details(id="d" * 64, pid=init.pid) if other == "another container" else details(pid=second.pid)
        assert case.inspectors.of(wanted) is not first
    assert [one.closed for one in case.clients] == [True, False]


@pytest.mark.parametrize(("local", "pid", "error"), [(True, 0, Gone), (True, 2**22 + 1, Gone), (False, 1, Unsupported)])
def test_a_container_that_cannot_be_inspected_leaves_no_closed_inspector(
    local: bool, pid: int, error: type[Exception]
) -> None:
    """A closed inspector refuses every question, so the container shown before needs a new one."""
    case = Case()
    with running() as init:
        shown = details(pid=init.pid)
        first = case.inspectors.of(shown)
        case.local = local
        with pytest.raises(error):
            case.inspectors.of(details(id="d" * 64, pid=pid))
        case.local = True
        assert case.inspectors.of(shown) is not first
    assert [one.closed for one in case.clients] == [True, False]


def test_after_closing_the_next_question_makes_another() -> None:
    case = Case()
    case.inspectors.close()
    with running() as init:
        case.inspectors.of(details(pid=init.pid))
        case.inspectors.close()
        case.inspectors.close()
        case.inspectors.of(details(pid=init.pid))
    assert [one.closed for one in case.clients] == [True, False]
