"""Starts, restarts, pauses, resumes and removes containers, after confirmation if the settings require it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.screen import Screen

from containerlab_tui.model.inventory import PAUSED, RUNNING
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.ui.background import do_waiting
from containerlab_tui.ui.bindings import is_refused
from containerlab_tui.ui.dialogs.confirm import Confirm

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.session.session import Session

Change = Callable[["Engine", "Container"], None]
"""Changes one container, off the UI thread."""


def start(screen: Screen[None], session: "Session", containers: "Sequence[Container]") -> None:
    """Starts these containers."""
    if not is_refused(screen.app, session, Operation.START):
        _change_each(screen, session, containers, lambda engine, one: engine.start(one.id))


def restart(screen: Screen[None], session: "Session", containers: "Sequence[Container]") -> None:
    """Stops these containers and starts them again."""
    sentence = "Each container is stopped with its stop signal and grace period, then started again."
    if _may(Operation.RESTART, screen, session, containers):
        _after_question(
            screen,
            session,
            Operation.RESTART,
            Confirm(f"Restart {_names(containers)}?", sentence, yes="Restart"),
            lambda: _change_each(screen, session, containers, lambda engine, one: engine.restart(one.id)),
        )


def pause_or_resume(screen: Screen[None], session: "Session", containers: "Sequence[Container]") -> None:
    """Pauses running containers and resumes paused ones."""

    def toggle(engine: "Engine", one: "Container") -> None:
        if one.state == PAUSED:
            engine.unpause(one.id)
        else:
            engine.pause(one.id)

    sentence = "The processes of a paused container are frozen; signals reach them when it is resumed."
    if _may(Operation.PAUSE, screen, session, containers):
        _after_question(
            screen,
            session,
            Operation.PAUSE,
            Confirm(f"Pause or resume {_names(containers)}?", sentence, yes="Pause or resume"),
            lambda: _change_each(screen, session, containers, toggle),
        )


def remove(screen: Screen[None], session: "Session", containers: "Sequence[Container]") -> None:
    """Removes these containers; running ones are killed."""
    running = sum(one.state in RUNNING for one in containers)
    sentence = "Its writable layer and memory are lost; volumes are kept."
    if running:
        subject = "It is" if len(containers) == 1 else f"{running} of them are" if running > 1 else "1 of them is"
        sentence = f"{subject} still running and will be killed with SIGKILL; no stop signal is sent. {sentence}"
    if _may(Operation.REMOVE, screen, session, containers):
        _after_question(
            screen,
            session,
            Operation.REMOVE,
            Confirm(f"Remove {_names(containers)}?", sentence, yes="Remove"),
            lambda: _change_each(
                screen, session, containers, lambda engine, one: engine.remove(one.id, force=one.state in RUNNING)
            ),
        )


def _may(operation: Operation, screen: Screen[None], session: "Session", containers: "Sequence[Container]") -> bool:
    return bool(containers) and not is_refused(screen.app, session, operation)


def _after_question(
    screen: Screen[None], session: "Session", operation: Operation, question: Confirm, change: Callable[[], None]
) -> None:
    """Changes the containers selected at the key press, even if the selection has changed by the answer."""
    if session.policy.asks(operation):
        screen.app.push_screen(question, lambda yes: change() if yes else None)
    else:
        change()


def _change_each(screen: Screen[None], session: "Session", containers: "Sequence[Container]", change: Change) -> None:
    for container in containers:
        do_waiting(screen, _bound(session, container, change))


def _bound(session: "Session", container: "Container", change: Change) -> Callable[[], None]:
    return lambda: change(session.engine(), container)


def _names(containers: "Sequence[Container]") -> str:
    return safe_line(containers[0].name, 60) if len(containers) == 1 else f"{len(containers)} containers"
