"""Forecast against outcome: each form of a real program is run, forecast, stopped, and compared.

One test for the whole table, as its claim is about the whole: a forecast that is certain is never wrong, at most
one in twenty is wrong, at most one in ten is unknown. A user in the docker group, without root, gets at least three
quarters right and at most one in fifty wrong, and never the opposite of what root gets.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from containerlab_tui.doctor.comparison import compare
from containerlab_tui.engine.api import Engine
from containerlab_tui.engine.connection import connect
from containerlab_tui.model.diagnosis import Comparison, Confidence, Diagnosis, Outlook
from containerlab_tui.model.stop import StopState, Verdict
from containerlab_tui.services.diagnosis import doctor
from containerlab_tui.services.processes import see_processes
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.engine.forms_of_programs import FORMS, Form
from tests.engine.marks import needs_users
from tests.engines import matrix
from tests.support.docker import LABEL, Docker, eventually
from tests.support.docker_group import Answer, DockerGroup, docker_group

AT_ONCE = 8
STILL_FOR_S = 0.6
"""A container is at rest when its processes and what they do with signals haven't changed for so long."""


@dataclass(frozen=True, slots=True)
class Row:
    form: Form
    diagnosis: Diagnosis
    state: StopState
    compared: Comparison
    unprivileged: Answer
    """The doctor's document for a user in the docker group."""

    @property
    def codes(self) -> set[str]:
        """The codes of the findings with root."""
        return {one.code for one in self.diagnosis.findings}

    @property
    def differs_without_root(self) -> bool:
        """Whether the prediction without root is another than with it."""
        return self.unprivileged["outlook"] != self.diagnosis.outlook.value

    @property
    def right_without_root(self) -> bool | None:
        """Whether the prediction without root came true; None: unknown."""
        outlook, happened = self.unprivileged["outlook"], self.compared.happened.value
        return None if "unknown" in (outlook, happened) else outlook == happened

    def line(self) -> str:
        seen, made = self.compared, self.diagnosis
        fate = {True: "right", False: "WRONG", None: "unknown"}[seen.right]
        return (
            f"{self.form.name:<40} {made.signal:<8} {made.delivery:<9} {seen.outlook:<9} {seen.confidence:<7} "
            f"{made.program[:18]:<18} {seen.happened:<9} {self.state.duration_s or 0:5.1f} s  {fate}"
        )

    def line_without_root(self) -> str:
        made = self.unprivileged
        fate = {True: "right", False: "WRONG", None: "unknown"}[self.right_without_root]
        return (
            f"{self.form.name:<40} {made['delivery']:<9} {made['outlook']:<9} {made['confidence']:<7} "
            f"{self.compared.happened:<9} {fate:<7}  "
            f"{' '.join(sorted(self.codes ^ set(self.findings_without_root)))}"
        )

    @property
    def findings_without_root(self) -> list[str]:
        findings = self.unprivileged["findings"]
        assert isinstance(findings, list)
        return [one["code"] for one in findings]


def _start(docker: Docker, image: str, form: Form, name: str) -> None:
    options = (f"--stop-signal={form.signal}", f"--stop-timeout={form.grace_s}", *form.options)
    docker("run", "-d", "--network=none", f"--label={LABEL}", f"--name={name}", *options, image, *form.command)


def _fingerprint(engine: Engine, name: str) -> frozenset[object]:
    """Returns the programs with their dispositions, without process ids: a shell's loop starts a new `sleep 1`."""
    seen, _ = see_processes(engine, engine.inspect(name))
    return frozenset((one.argv, one.threads, one.dispositions.caught, one.dispositions.blocked) for one in seen)


def _wait_until_still(engine: Engine, name: str) -> None:
    """Waits until PID 1 awaits its children or signals: that is still to come when they and its handlers are there."""
    last: frozenset[object] = frozenset()
    since = time.monotonic()

    def still() -> bool:
        nonlocal last, since
        now = _fingerprint(engine, name)
        if now != last:
            last, since = now, time.monotonic()
        return bool(now) and time.monotonic() - since >= STILL_FOR_S

    eventually(still, f"{name} has come to rest", within_s=120)


def _row(engine_host: str, docker: Docker, image: str, form: Form, name: str, group: DockerGroup) -> Row:
    _start(docker, image, form, name)
    engine = connect(engine_host)
    try:
        form.wait(engine, docker, name)
        _wait_until_still(engine, name)
        diagnosis, unprivileged = doctor(engine, name), group.doctor(name)
        state = run_stop(engine, plan_stop(engine, name))
    finally:
        engine.close()
    assert state.verdict in (Verdict.GRACEFUL, Verdict.KILLED), f"{form.name}: {state.verdict}"
    return Row(form, diagnosis, state, compare(diagnosis, state), unprivileged)


@needs_users
def test_predictions_come_true(
    engine_host: str, chosen_engine: matrix.Engine | None, docker: Docker, servers_image: str, names: list[str]
) -> None:
    forms = [form for form in FORMS if not (chosen_engine and chosen_engine.is_rootless and form.shares_pids)]
    names += [f"test-forecast-{index}" for index in range(len(forms))]
    docker.run("rm", "--force", *names, timeout_s=120)
    with docker_group(engine_host) as group, ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [
            pool.submit(_row, engine_host, docker, servers_image, form, name, group)
            for form, name in zip(forms, names, strict=True)
        ]
        failed = [f"{form.name}: {job.exception()}" for form, job in zip(forms, jobs, strict=True) if job.exception()]
    assert not failed, "\n".join(failed)
    rows = [job.result() for job in jobs]
    print("\n" + "\n".join(row.line() for row in rows))
    _print_without_root(rows)
    wrong = [row for row in rows if row.compared.right is False]
    unknown = [row for row in rows if row.diagnosis.outlook is Outlook.UNKNOWN]
    listed = "\n".join(f"{row.line()}\n  " + "\n  ".join(row.diagnosis.evidence) for row in wrong + unknown)
    assert len(rows) >= 25
    assert not [row for row in wrong if row.diagnosis.confidence is Confidence.CERTAIN], listed
    assert len(wrong) * 20 <= len(rows), listed
    assert len(unknown) * 10 <= len(rows), listed
    _assert_without_root(rows, may_be_certain=group.is_owner)


def _print_without_root(rows: Sequence[Row]) -> None:
    right, wrong = ([row for row in rows if row.right_without_root is one] for one in (True, False))
    print(f"\nwithout root: {len(right)} right, {len(wrong)} wrong of {len(rows)}")
    print("\n".join(row.line_without_root() for row in rows))


def _assert_without_root(rows: Sequence[Row], may_be_certain: bool) -> None:
    """Checks the predictions for a user in the docker group, or of a rootless engine, about the same containers.

    A program that was still starting misleads root alike, which is checked above.
    """
    right = [row for row in rows if row.right_without_root]
    wrong = [row for row in rows if row.right_without_root is False and row.differs_without_root]
    listed = "\n".join(row.line_without_root() for row in rows if row.right_without_root is not True)
    assert len(right) * 4 >= len(rows) * 3, listed
    assert len(wrong) * 50 <= len(rows), listed
    certain = [row for row in rows if row.unprivileged["confidence"] == Confidence.CERTAIN]
    assert not certain or may_be_certain, listed
    assert not [row.form.name for row in rows if "shell-in-front" in set(row.findings_without_root) - row.codes], listed
