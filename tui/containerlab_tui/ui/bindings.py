"""Makes Textual's bindings from the registry of actions, and checks actions that change something."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import BY_ID, Scope, of
from containerlab_tui.ui.widgets.content import toast

if TYPE_CHECKING:
    from containerlab_tui.session.session import Session


def bindings(scope: Scope) -> list[BindingType]:
    """Returns the bindings of a scope's actions."""
    return [
        Binding(
            action.key,
            action.does,
            action.name,
            show=action.is_shown,
            key_display=action.key_display or None,
            priority=action.has_priority,
            tooltip=action.text,
            id=action.id,
        )
        for action in of(scope)
    ]


def is_refused(app: "App[object]", session: "Session", operation: Operation) -> bool:
    """Returns whether an operation is refused, and shows the user why."""
    policy = session.policy
    if not policy.refusal(operation.value):
        return False
    source = f" ({policy.source})" if policy.source else ""
    words = f"Read-only mode{source}: actions that change containers are disabled."
    toast(app, safe_line(words), "warning")
    return True


def is_offered(screen: Screen[object], action_id: str) -> bool:
    """Returns whether the footer and the palette offer an action.

    The screen hides actions that don't apply to the selection, read-only mode hides those that change something. Their
    keys still work: they say why nothing happens.
    """
    session: Session | None = getattr(screen.app, "session", None)
    applies: Callable[[str], bool] | None = getattr(screen, "applies", None)
    action = BY_ID.get(action_id)
    if applies is not None and not applies(action_id):
        return False
    return not (session is not None and session.policy.read_only and action is not None and action.changes)
