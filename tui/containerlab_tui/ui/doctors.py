"""Opens the doctor's screens: a page on one container, a table of several. All of it reads only."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from containerlab_tui.core.inventory import Container, status_words
from containerlab_tui.ui.knowledge import RUNNING

if TYPE_CHECKING:
    from containerlab_tui.core.doctor_facts import Diagnosis
    from containerlab_tui.ui.app import ContainerlabApp


def open_page(app: "ContainerlabApp", container: Container, known: "Diagnosis | None" = None) -> None:
    """The page on one container; `known` is shown until it has been asked about anew."""
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

    def open_one(one: "Diagnosis") -> None:
        container = next((each for each in app.knowledge.containers.values() if each.name == one.container), None)
        if container is not None:
            open_page(app, container, one)

    def how_ended(names: Iterable[str]) -> dict[str, str]:
        ids = {one.name: one.id for one in app.knowledge.containers.values()}
        found = {name: ended(app, ids[name]) if name in ids else "removed, or renamed" for name in names}
        return {name: clause for name, clause in found.items() if clause}

    whom = "all running" if containers is None else f"{len(containers)} marked"
    app.push_screen(DoctorTable(whom, question, open_one, how_ended, app.clock))
