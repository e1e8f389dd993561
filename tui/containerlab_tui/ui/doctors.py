"""Opens the doctor's screens: a page on one container, a table of several. All of it reads only."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import Container, status_words
from containerlab_tui.session.store import RUNNING

if TYPE_CHECKING:
    from containerlab_tui.model.diagnosis import Diagnosis
    from containerlab_tui.ui.app import ContainerlabApp


def open_page(
    app: "ContainerlabApp", container: Container, known: "Diagnosis | None" = None, known_at: float = 0.0
) -> None:
    """The page on one container; `known`, which was read at `known_at`, is shown until it has been asked about anew."""
    from containerlab_tui.ui.screens.doctor import DoctorScreen, Patient

    def diagnose() -> "Diagnosis":
        from containerlab_tui.services import diagnosis

        return diagnosis.doctor(app.engines.here(), container.id, diagnosis.remembered)

    patient = Patient(
        container.name,
        diagnose,
        lambda: ended(app, container.id),
        lambda: started(app, container.id),
        lambda: app.main.stop_these([container]),
        known,
        known_at,
    )
    app.push_screen(DoctorScreen(patient, app.clock))


def ended(app: "ContainerlabApp", container: str) -> str:
    """How a container ended, a clause; empty while it runs."""
    now = app.knowledge.containers.get(container)
    if now is None:
        return "removed"
    if now.state in RUNNING:
        return ""
    details = app.knowledge.details.get(container)
    return status_words(now, details and replace(details, finished_at=None), app.clock())  # without how long ago


def started(app: "ContainerlabApp", container: str) -> float | None:
    """When a container that runs was started, epoch seconds; None: it doesn't run, or that isn't known."""
    details = app.knowledge.details.get(container)
    return details.started_at if details is not None and details.state in RUNNING else None


def open_table(app: "ContainerlabApp", containers: Sequence[Container] | None = None) -> None:
    """The table of these containers, or of all that run."""
    from containerlab_tui.ui.screens.doctor_table import DoctorTable

    def question() -> "tuple[Sequence[Diagnosis], Sequence[str]]":
        from containerlab_tui.services import diagnosis

        if containers is None:
            return diagnosis.doctor_all(app.engines.here(), diagnosis.remembered)
        chosen = [(one.id, one.name) for one in containers]
        return diagnosis.doctor_each(app.engines.here(), chosen, diagnosis.remembered)

    def open_one(one: "Diagnosis", read_at: float) -> None:
        container = _heir(app, one)
        if container is not None:
            open_page(app, container, None if _another_run(app, container, one) else one, read_at)

    whom = "all running" if containers is None else f"{len(containers)} marked"
    app.push_screen(DoctorTable(whom, question, open_one, lambda one: since(app, one), app.clock))


def _heir(app: "ContainerlabApp", one: "Diagnosis") -> Container | None:
    """The container that was looked at; where it is gone that which has its name."""
    containers = app.knowledge.containers
    named = (each for each in containers.values() if each.name == one.container)
    return containers.get(one.id) or next(named, None)


def since(app: "ContainerlabApp", one: "Diagnosis") -> str:
    """What has become of a container since it was looked at, a clause; empty: nothing, as far as is known."""
    from containerlab_tui.ui.screens.doctor_table import AGAIN

    container = _heir(app, one)
    if container is None:
        return "removed"
    return ended(app, container.id) or (AGAIN if _another_run(app, container, one) else "")


def _another_run(app: "ContainerlabApp", container: Container, one: "Diagnosis") -> bool:
    """Whether what was found out is about another container, or about an earlier run of this one."""
    details = app.knowledge.details.get(container.id)
    return container.id != one.id or (details is not None and details.started_at != one.started_at)
