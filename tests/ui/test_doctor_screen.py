"""The doctor's page and table: drawing, keys, and containers that stop meanwhile."""

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.screen import Screen

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.records import Delivery
from containerlab_tui.config import Settings
from containerlab_tui.engine import parse
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Finding, Graceful, Outlook, Severity
from containerlab_tui.model.inventory import Changed, EngineEvent, Event
from containerlab_tui.present import wording
from containerlab_tui.services.processes import SeeProcesses
from containerlab_tui.session.freshness import RESTARTED
from containerlab_tui.ui.dialogs.stop import StopChoice, StopDialog
from containerlab_tui.ui.messages import InventoryChanged
from containerlab_tui.ui.screens.doctor import CheckedContainer, DoctorScreen, FindingBlock
from containerlab_tui.ui.screens.doctor_table import DoctorGrid, DoctorTable
from tests.ui.conftest import RECORDED, PlayedKernel, Stage
from tests.ui.samples import APP, BEGAN, HOSTILE, SIZES, WORKER, Host, plan, settled, text_of
from tests.ui.samples import SHELL as PID_1

IN_FRONT = Finding(
    "shell-in-front",
    Severity.ERROR,
    "PID 1 is a shell (sh) that does not forward SIGTERM to python3.",
    (
        "process 1: sh -c python3 /app/dockerapp.py; true",
        "its child, process 7: python3 /app/dockerapp.py",
        "PID 1 without a handler for it: the kernel drops a signal "
        "(neither SigCgt nor SigIgn of /proc/7001/status; man 7 pid_namespaces)",
    ),
    'Dockerfile: CMD ["python3", "/app/dockerapp.py"]\nin a script: exec python3 /app/dockerapp.py',
)
BEFORE = Finding(
    "killed-before",
    Severity.WARNING,
    "2 of the last 2 observed stops of this container or image ended in SIGKILL.",
    ("seen: SIGTERM, grace 10 s, killed", "seen: SIGTERM, grace 10 s, killed"),
)
FORWARDS = Finding("init-forwards", Severity.NOTE, "tini forwards SIGTERM to process 7 as SIGTERM.")
OTHER = Finding(
    "other-graceful-signal",
    Severity.WARNING,
    "nginx shuts down cleanly on SIGQUIT; on SIGTERM it drops in-flight work.",
    ("known: nginx (nginx documentation, Controlling nginx)",),
    "Dockerfile: STOPSIGNAL SIGQUIT\ndocker run --stop-signal=SIGQUIT …\ncompose: stop_signal: SIGQUIT",
)
SHELL = Diagnosis(
    container="shell-form",
    signal="SIGTERM",
    signal_source="default",
    timeout_s=10,
    timeout_source="default",
    delivery=Delivery.DROPPED,
    outlook=Outlook.TIMES_OUT,
    graceful=Graceful.NO,
    graceful_signal=None,
    confidence=Confidence.CERTAIN,
    evidence=(
        "SIGTERM does nothing to process 1 (sh): PID 1 without a handler for it: the kernel drops a signal "
        "(neither SigCgt nor SigIgn of /proc/7001/status; man 7 pid_namespaces).",
    ),
    unreached=(APP, WORKER),
    findings=(FORWARDS, BEFORE, IN_FRONT),
)
NGINX = Diagnosis(
    container="nginx",
    signal="SIGTERM",
    signal_source="container",
    timeout_s=60,
    timeout_source="container",
    delivery=Delivery.HANDLER,
    outlook=Outlook.EXITS,
    graceful=Graceful.NO,
    graceful_signal="SIGQUIT",
    confidence=Confidence.CERTAIN,
    evidence=(
        "SIGTERM reaches process 1 (nginx): handled (SigCgt of /proc/7001/status).",
        "known: nginx exits at once on SIGTERM and drops in-flight work (nginx documentation, Controlling nginx).",
    ),
    unreached=tuple(replace(WORKER, container_pid=number, argv=("nginx: worker process",)) for number in range(7, 17)),
    findings=(OTHER,),
    program="nginx",
    takes_s=0.2,
)
UNKNOWN = replace(
    SHELL,
    container="job",
    delivery=Delivery.UNKNOWN,
    outlook=Outlook.UNKNOWN,
    graceful=Graceful.UNKNOWN,
    confidence=Confidence.GUESS,
    timeout_s=-1,
    evidence=("Cannot read PID 1: the engine is remote.",),
    unreached=(),
    findings=(),
)
LONG = replace(IN_FRONT, remedy="\n".join(f"line {number}" for number in range(1, 41)))


@dataclass
class Case:
    """A container with played diagnoses; counts the questions."""

    answers: list[Diagnosis | ContainerlabError]
    """One for each question; the last one is repeated."""
    how_ended: str = ""
    run: float | None = None
    known: Diagnosis | None = None
    may_answer: threading.Event | None = None
    """Answers wait until it is set."""
    asked: int = 0
    stops: list[str] = field(default_factory=list)

    def diagnose(self) -> Diagnosis:
        if self.may_answer is not None:
            assert self.may_answer.wait(10)
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, ContainerlabError):
            raise answer
        return answer

    def screen(self) -> DoctorScreen:
        first = next((one for one in self.answers if isinstance(one, Diagnosis)), SHELL)
        checked = CheckedContainer(
            first.container,
            self.diagnose,
            lambda: self.how_ended,
            lambda: self.run,
            lambda _page: self.stops.append("x"),
            self.known,
            BEGAN,
        )
        return DoctorScreen(checked, lambda: BEGAN)


def chosen(screen: DoctorScreen) -> str:
    return next(one.finding.code for one in screen.query(FindingBlock) if one.has_class("chosen"))


# snapshots


def page(*answers: Diagnosis | ContainerlabError, ended: str = "", known: Diagnosis | None = None) -> Screen[None]:
    return Case(list(answers), ended, known=known).screen()


def table(diagnoses: Sequence[Diagnosis], unread: Sequence[str] = ()) -> DoctorTable:
    return DoctorTable(
        "all running",
        lambda: (diagnoses, unread),
        lambda _one, _read_at: None,
        lambda one: {"gone": "killed (SIGKILL, 137)", "again": RESTARTED}.get(one.container, ""),
        lambda: BEGAN,
    )


ALL = (UNKNOWN, NGINX, replace(SHELL, container="gone", findings=()), SHELL, replace(NGINX, container="again"))
SCREENS: dict[str, Callable[[], Screen[None]]] = {
    "shell": lambda: page(SHELL),
    "nginx": lambda: page(NGINX),
    "unknown": lambda: page(UNKNOWN),
    "ended": lambda: page(Gone("It has exited."), ended="killed (SIGKILL, 137)", known=SHELL),
    "vanished": lambda: page(Gone("There is no container shell-form.")),
    "table": lambda: table(ALL, ("far: not permitted",)),
    "empty": lambda: table(()),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", SCREENS)
async def test_snapshot(which: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    app = Host(SCREENS[which]())
    async with app.run_test(size=size) as pilot:
        await settled(pilot, lambda: "eading …" not in text_of(app) and "esc back" in text_of(app), "the answer")
        await pilot.pause()
        assert text_of(app) == snapshot


# the page


async def test_findings_are_sorted_and_the_cursor_moves_through_them() -> None:
    screen = Case([SHELL]).screen()
    app = Host(screen)
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "the findings")
        assert [one.finding.code for one in screen.query(FindingBlock)] == [
            "shell-in-front",
            "killed-before",
            "init-forwards",
        ]
        seen = [chosen(screen)]
        for key in ("k", "j", "down", "j", "up", "k"):
            await pilot.press(key)
            seen.append(chosen(screen))
        assert seen == [
            "shell-in-front",
            "shell-in-front",
            "killed-before",
            "init-forwards",
            "init-forwards",
            "killed-before",
            "shell-in-front",
        ]


async def test_keys_while_another_diagnosis_is_being_drawn() -> None:
    other = replace(SHELL, findings=(OTHER,))
    screen = Case([SHELL]).screen()
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "the findings")
        counts = set[int]()
        for answer in [other, SHELL] * 10:
            drawing = asyncio.create_task(screen._show(answer))
            while not drawing.done():
                counts.add(len(screen.query(FindingBlock)))
                await app.run_action("move(1)", screen)  # the action of j
                await asyncio.sleep(0)
            await drawing
        assert 0 in counts  # a key arrived without a block
        await pilot.press("k", "k", "k")
        assert chosen(screen) == "shell-in-front"


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_finding_scrolls_down_before_the_next(size: tuple[int, int]) -> None:
    screen = Case([replace(SHELL, findings=(LONG, BEFORE))]).screen()
    app = Host(screen)
    async with app.run_test(size=size) as pilot:
        await settled(pilot, lambda: "line 1" in text_of(app), "the findings")
        read = set[str]()
        for _ in range(20):
            await pilot.pause()
            read |= set(re.findall(r" line (\d+)", text_of(app)))
            if chosen(screen) == "killed-before":
                break
            await pilot.press("j")
        assert read >= {str(number) for number in range(1, 41)}
        assert chosen(screen) == "killed-before"
        for _ in range(20):
            await pilot.press("k")
        await settled(pilot, lambda: "SIGTERM  Docker's default" in text_of(app), "the top again")


async def test_y_copies_the_fix_of_the_finding_under_the_cursor() -> None:
    hostile = replace(IN_FRONT, remedy=f"Dockerfile: CMD {HOSTILE}\nexec it")
    app = Host(Case([replace(SHELL, findings=(hostile, BEFORE))]).screen())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "y copy fix" in text_of(app), "the key")
        await pilot.press("y")
        assert app.clipboard == "# Dockerfile\nCMD x[/]\\x1b]0;owned\\x07[@click=app.bell]\\x9b31m\\u202e\nexec it\n"
        await pilot.press("j", "j")
        await settled(pilot, lambda: "y copy fix" not in text_of(app), "there is nothing to copy")


async def test_a_stopped_container_keeps_its_diagnosis() -> None:
    case = Case([SHELL, NGINX])
    screen = case.screen()
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "the findings")
        assert "Stopped:" not in text_of(app)
        assert "x stop" in text_of(app)
        case.how_ended = "killed (137), out of memory"
        screen.post_message(InventoryChanged(frozenset()))
        await settled(pilot, lambda: "Stopped: killed (137), out of memory." in text_of(app), "the end")
        await settled(pilot, lambda: "x stop" not in text_of(app), "nothing to stop")
        assert "shell-in-front" in text_of(app)
        assert case.asked == 1
        case.how_ended = ""
        screen.post_message(InventoryChanged(frozenset()))
        await settled(pilot, lambda: "other-graceful-signal" in text_of(app), "the answer about the new run")
        assert "Stopped:" not in text_of(app)
        assert case.asked == 2


async def test_a_restart_without_a_seen_end_is_diagnosed_again() -> None:
    case = Case([SHELL, NGINX], run=BEGAN)
    screen = case.screen()
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "the findings")
        case.run = None  # an event without a start time
        screen.post_message(InventoryChanged(frozenset()))
        await pilot.pause()
        assert case.asked == 1
        case.run = BEGAN + 1
        screen.post_message(InventoryChanged(frozenset()))
        await settled(pilot, lambda: "nginx" in text_of(app), "the answer about the new run")
        assert case.asked == 2


async def test_r_checks_again_and_a_failure_keeps_the_diagnosis() -> None:
    case = Case([SHELL, Gone("There is no container shell-form."), replace(SHELL, findings=(BEFORE, FORWARDS))])
    screen = case.screen()
    app = Host(screen)
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "the findings")
        await pilot.press("j", "r")
        await settled(pilot, lambda: "! There is no container shell-form." in text_of(app), "the trouble")
        assert "shell-in-front" in text_of(app)
        await pilot.press("r")
        await settled(pilot, lambda: "shell-in-front" not in text_of(app), "the new answer")
        assert "There is no container" not in text_of(app)
        assert chosen(screen) == "killed-before"


async def test_a_known_diagnosis_is_shown_until_the_new_one() -> None:
    case = Case([NGINX], known=SHELL, may_answer=threading.Event())
    app = Host(case.screen())
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "what is known")
        assert "reading …" in text_of(app)
        assert "other-graceful-signal" not in text_of(app)
        assert case.may_answer is not None
        case.may_answer.set()
        await settled(pilot, lambda: "other-graceful-signal" in text_of(app), "the answer")
        assert "shell-in-front" not in text_of(app)


async def test_x_opens_the_stop_dialog_and_escape_leaves() -> None:
    case = Case([SHELL])
    app = Host(case.screen())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "shell-in-front" in text_of(app), "the findings")
        await pilot.press("x", "escape")
        await pilot.pause()
        assert case.stops == ["x"]
        assert app.answers == [None]


@pytest.mark.parametrize("which", ["page", "table"])
async def test_hostile_text_is_only_text(which: str) -> None:
    finding = Finding(HOSTILE, Severity.ERROR, HOSTILE, (HOSTILE,), HOSTILE)
    one = replace(
        NGINX,
        container=HOSTILE,
        evidence=(HOSTILE, HOSTILE),
        program=HOSTILE,
        findings=(finding,),
        graceful_signal=HOSTILE,
        signal_source=HOSTILE,
        unreached=(replace(APP, argv=(HOSTILE,)),),
    )
    app = Host(page(one, known=one) if which == "page" else table((one,), (HOSTILE,)))
    async with app.run_test(size=(140, 45)) as pilot:
        shown = r"x[/]\x1b]0;owned\x07[@click=app.bell]\x9b31m\u202e"
        await settled(pilot, lambda: "eading …" not in text_of(app) and shown in text_of(app), "the answer")
        assert not any(character in text_of(app) for character in "\x1b\x07\x9b\u202e")


# the stop dialog


async def test_the_stop_dialog_shows_the_prediction_of_the_planned_stop() -> None:
    said = threading.Event()

    def doctor() -> Diagnosis:
        assert said.wait(10)
        return SHELL

    app = Host(StopDialog([plan(PID_1, APP)], doctor))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "Doctor reading …" in text_of(app), "the dialog, without a diagnosis")
        said.set()
        words_ = "Doctor ✗ will not exit in time: SIGKILL after 10 s · certain"
        await settled(pilot, lambda: words_ in text_of(app), "the answer")
        await pilot.press(*"30")
        await settled(pilot, lambda: "Doctor" not in text_of(app), "nothing is said of another grace period")
        await pilot.press("enter")
        await pilot.pause()
        assert app.answers == [StopChoice(timeout_s=30)]


async def test_the_stop_dialog_works_without_a_diagnosis() -> None:
    def doctor() -> Diagnosis:
        raise Gone("It has exited.")

    app = Host(StopDialog([plan(PID_1, APP)], doctor))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "Then" in text_of(app) and "Doctor" not in text_of(app), "the dialog")


# from the main screen


class PlayedDoctor(PlayedKernel):
    """Replaces the doctor, and keeps the containers that it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: ContainerlabError | None = None
        """What it raises about one container, if anything."""

    def doctor(self, engine: Engine, container: str, see: SeeProcesses) -> Diagnosis:
        self.asked.append(container)
        assert self.may_answer.wait(20)
        if self.error is not None:
            raise self.error
        return self._about(engine, container)

    def doctor_each(
        self, engine: Engine, containers: Sequence[tuple[str, str]] | None, see: SeeProcesses
    ) -> tuple[tuple[Diagnosis, ...], tuple[str, ...]]:
        if containers is not None:
            self.asked += [id for id, _name in containers]
            return tuple(self._about(engine, id) for id, _name in containers), ()
        self.asked.append("all")
        named = {one.name: one.id for one in parse.containers(RECORDED["lines"])}
        return (NGINX, self._about(engine, named["db"]), self._about(engine, named["shell-form"])), ()

    def _about(self, engine: Engine, container: str) -> Diagnosis:
        details = engine.inspect(container)
        made = SHELL if "shell" in details.name else NGINX
        return replace(made, container=details.name, id=details.id, started_at=details.started_at)


@pytest.fixture
def doctor() -> PlayedDoctor:
    return PlayedDoctor()


@pytest.mark.parametrize("read_only", [False, True])
async def test_d_opens_the_selected_container(
    stage: Callable[..., Stage], doctor: PlayedDoctor, read_only: bool
) -> None:
    made = stage(Settings(read_only=read_only), kernel=doctor)
    async with made.app.run_test(size=(140, 45), notifications=True) as pilot:
        await made.ready(pilot)
        assert "d doctor" in text_of(made.app).splitlines()[-1]
        made.app.main.table.select(made.id_of("shell-form"))
        await pilot.press("d")
        await settled(pilot, lambda: "shell-in-front" in text_of(made.app), "the page")
        assert doctor.asked == [made.id_of("shell-form")]
        await pilot.press("x")
        if read_only:
            await settled(pilot, lambda: "Read-only" in text_of(made.app), "the refusal")
        else:
            await settled(pilot, lambda: isinstance(made.app.screen, StopDialog), "the dialog")
            assert "Stop shell-form" in text_of(made.app)
            await settled(pilot, lambda: "Doctor ✗ will not exit in time" in text_of(made.app), "the doctor's word")
            await pilot.press("escape")
        await pilot.press("escape")
        assert made.app.screen is made.app.main


async def test_d_needs_a_running_container(stage: Callable[..., Stage], doctor: PlayedDoctor) -> None:
    made = stage(kernel=doctor)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("end")
        await settled(pilot, lambda: "d doctor " not in text_of(made.app).splitlines()[-1], "the key is hidden")
        await pilot.press("d")
        await pilot.pause()
        assert made.app.screen is made.app.main
        assert doctor.asked == []


async def test_d_with_marks_opens_their_table(stage: Callable[..., Stage], doctor: PlayedDoctor) -> None:
    made = stage(kernel=doctor)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("space", "space", "d")
        await settled(pilot, lambda: "2 marked" in text_of(made.app) and "dockerapp1" in text_of(made.app), "the table")
        assert doctor.asked == [made.id_of("db"), made.id_of("dockerapp1")]


async def test_capital_d_opens_all_and_enter_one_of_them(stage: Callable[..., Stage], doctor: PlayedDoctor) -> None:
    made = stage(kernel=doctor)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("D")
        await settled(pilot, lambda: "by SIGKILL" in text_of(made.app), "the table")
        names = [line.split()[0].lstrip("▌") for line in text_of(made.app).splitlines()[2:5]]
        assert names == ["shell-form", "db", "nginx"]
        await pilot.press("enter")
        await settled(pilot, lambda: "killed-before" in text_of(made.app) and "because" in text_of(made.app), "a page")
        assert doctor.asked == ["all", made.id_of("shell-form")]
        await pilot.press("escape")
        await settled(pilot, lambda: isinstance(made.app.screen, DoctorTable), "the table again")
        await pilot.press("escape")
        assert made.app.screen is made.app.main


def dim_rows(screen: Screen[Any]) -> set[str]:
    return {row.key for row in screen.query_one(DoctorGrid).rows if row.dim}


@pytest.mark.parametrize("how", ["another run", "another container of that name"])
async def test_the_table_marks_diagnoses_of_earlier_runs(
    stage: Callable[..., Stage], doctor: PlayedDoctor, how: str
) -> None:
    made = stage(kernel=doctor)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("D")
        await settled(pilot, lambda: "by SIGKILL" in text_of(made.app), "the table")
        assert dim_rows(made.app.screen) == {"nginx"}  # no such container
        before = made.id_of("shell-form")
        line, details = made.app.session.store.containers[before], made.app.session.store.details[before]
        after = before if how == "another run" else made.id_of("worker")
        event = EngineEvent(made.now + 2, "start", after, "shell-form", "", {})
        if after != before:
            made.post(Event(replace(event, action="destroy", container=before, time=made.now + 1)))
        again = replace(details, id=after, pid=details.pid + 1, started_at=made.now + 2)
        made.post(Changed(replace(line, id=after), again, event, made.now + 3))
        await settled(pilot, lambda: RESTARTED in text_of(made.app), "the row is about what was before")
        assert dim_rows(made.app.screen) == {"nginx", "shell-form"}
        assert "Restarted since this check" in text_of(made.app)
        doctor.may_answer.clear()
        await pilot.press("enter")
        await settled(pilot, lambda: "Doctor  shell-form" in text_of(made.app), "its page")
        assert "reading …" in text_of(made.app)
        assert "shell-in-front" not in text_of(made.app)
        doctor.may_answer.set()
        own = "shell-in-front" if after == before else "other-graceful-signal"  # the scripted engine knows it as worker
        await settled(pilot, lambda: own in text_of(made.app), "its own answer")
        assert doctor.asked == ["all", after]


async def test_a_page_opened_from_the_table_shows_the_time_of_the_table(
    stage: Callable[..., Stage], doctor: PlayedDoctor
) -> None:
    made = stage(kernel=doctor)
    doctor.error = Gone("It has exited.")
    read_at = wording.clock_time(made.now)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("D")
        await settled(pilot, lambda: f"read at {read_at}" in text_of(made.app), "the table")
        made.app.session.clock = lambda: made.now + 60
        await pilot.press("enter")
        await settled(
            pilot, lambda: f"! It has exited. Showing the diagnosis of {read_at}." in text_of(made.app), "the page"
        )


async def test_a_stop_reaches_the_screens_above_the_main_screen(
    stage: Callable[..., Stage], doctor: PlayedDoctor
) -> None:
    made = stage(kernel=doctor)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        made.app.main.table.select(made.id_of("dockerapp1"))
        await pilot.press("d")
        await settled(pilot, lambda: "other-graceful-signal" in text_of(made.app), "the page")
        ended = EngineEvent(made.now + 1, "die", made.id_of("dockerapp1"), "dockerapp1", "", {"exitCode": "137"})
        made.post(Event(ended))
        await settled(pilot, lambda: "Stopped: killed (SIGKILL, 137)." in text_of(made.app), "the end")
        assert "other-graceful-signal" in text_of(made.app)
        made.post(Event(replace(ended, action="start", time=made.now + 2)))
        await settled(pilot, lambda: len(doctor.asked) == 2, "a new diagnosis")
        await settled(pilot, lambda: "Stopped:" not in text_of(made.app), "no end of this run")
        made.post(Event(replace(ended, action="destroy", time=made.now + 3)))
        await settled(pilot, lambda: "Stopped: removed." in text_of(made.app), "the removal")
