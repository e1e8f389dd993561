"""Suspends the UI for a session in a container or for the container's standard streams."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual.app import App

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.model.inventory import RUNNING
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.ui.bindings import is_refused
from containerlab_tui.ui.widgets.content import toast

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.session.session import Session

T = TypeVar("T")


def attach(app: App[object], session: "Session", details: "Details") -> None:
    """Attaches to the container's standard streams."""

    def work(engine: "Engine", fresh: "Details") -> None:
        from containerlab_tui.services import terminal

        terminal.attach(engine, fresh)

    if not is_refused(app, session, Operation.ATTACH):
        on_bare_terminal(app, session, details, work)


def on_bare_terminal(
    app: App[object], session: "Session", details: "Details", work: "Callable[[Engine, Details], T]"
) -> T | None:
    """Runs `work` with the UI suspended. Returns its result; None if it failed, with a toast that says why."""
    if details.state not in RUNNING:
        toast(app, safe_line(f"{safe_line(details.name, 60)} is not running. Press S to start it."), "warning")
        return None
    problem, result = safe_line(""), None
    with app.suspend():
        # Caught inside the block: an error that leaves it would keep the UI suspended.
        try:
            engine = session.engine()
            result = work(engine, engine.inspect(details.id))  # PID 1 may have changed
        except ContainerlabError as error:
            problem = error.sentence
    if problem:
        toast(app, problem, "error")
    app.refresh()
    return result
