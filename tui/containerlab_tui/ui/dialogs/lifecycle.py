"""Starts, restarts, pauses, resumes and removes containers, after confirmation if the settings require it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.screen import Screen

from containerlab_tui.model.inventory import PAUSED, RUNNING
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.selection import Selection, about, counted
from containerlab_tui.ui.background import do_waiting
from containerlab_tui.ui.bindings import is_refused
from containerlab_tui.ui.dialogs.confirm import Confirm

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.model.product import Product
    from containerlab_tui.session.session import Session

Change = Callable[["Engine", "Container"], None]
"""Changes one container, off the UI thread."""


def start(screen: Screen[None], session: "Session", selection: Selection) -> None:
    """Starts these containers."""
    if not is_refused(screen.app, session, Operation.START):
        _change_each(screen, session, selection, lambda engine, one: engine.start(one.id))


def restart(screen: Screen[None], session: "Session", selection: Selection) -> None:
    """Stops these containers and starts them again."""
    subject = "It" if len(selection.containers) == 1 else "Each container"
    sentence = f"{subject} is stopped with its stop signal and grace period, then started again."
    _ask_and_change(
        screen,
        session,
        Operation.RESTART,
        ("Restart", selection, sentence),
        lambda engine, one: engine.restart(one.id),
    )


def pause_or_resume(screen: Screen[None], session: "Session", selection: Selection) -> None:
    """Pauses running containers and resumes paused ones."""

    def toggle(engine: "Engine", one: "Container") -> None:
        if one.state == PAUSED:
            engine.unpause(one.id)
        else:
            engine.pause(one.id)

    paused = {one.state == PAUSED for one in selection.containers}
    verb = "Pause or resume" if len(paused) > 1 else "Resume" if True in paused else "Pause"
    sentence = "The processes of a paused container are frozen; signals reach them when it is resumed."
    _ask_and_change(screen, session, Operation.PAUSE, (verb, selection, sentence), toggle)


def remove(screen: Screen[None], session: "Session", selection: Selection) -> None:
    """Removes these containers; running ones are killed, on Podman after their grace period."""
    _ask_and_change(
        screen,
        session,
        Operation.REMOVE,
        ("Remove", selection, losses(selection.containers, session.product)),
        lambda engine, one: engine.remove(one.id, force=one.state in RUNNING),
    )


def losses(containers: "Sequence[Container]", product: "Product") -> str:
    """Returns what is lost by removing these containers."""
    count, running = len(containers), sum(one.state in RUNNING for one in containers)
    lost = "Its writable layer and memory are lost" if count == 1 else "Their writable layers and memory are lost"
    subject = "It is" if count == 1 else "They are" if running == count else f"{running} of them {_is(running)}"
    if product.kills_removed:
        killed = f"{subject} still running and will be killed with SIGKILL; no stop signal is sent. "
    else:
        them = "it" if running == 1 else "them"
        killed = f"{subject} still running: {product.name} stops {them} first, with stop signal and grace period. "
    return f"{killed if running else ''}{lost}; volumes are kept."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _ask_and_change(
    screen: Screen[None],
    session: "Session",
    operation: Operation,
    question: tuple[str, Selection, str],
    change: Change,
) -> None:
    """Changes the containers selected at the key press, even if the selection has changed by the answer.

    `question` is the verb, the containers and a sentence.
    """
    verb, selection, sentence = question
    if not selection.containers or is_refused(screen.app, session, operation):
        return

    def answered(yes: bool | None) -> None:
        if yes:
            _change_each(screen, session, selection, change)

    if session.policy.asks(operation):
        title = f"{verb} {counted(selection.containers)}?"
        screen.app.push_screen(Confirm(title, sentence, yes=verb, about=about(selection)), answered)
    else:
        answered(True)


def _change_each(screen: Screen[None], session: "Session", selection: Selection, change: Change) -> None:
    for container in selection.containers:
        do_waiting(screen, _bound(session, container, change))


def _bound(session: "Session", container: "Container", change: Change) -> Callable[[], None]:
    return lambda: change(session.engine(), container)
