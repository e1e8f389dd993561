"""The containers that a key acts on, and why an action does not apply to them. No I/O."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from containerlab_tui.model.inventory import RUNNING
from containerlab_tui.session.actions import Needs

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container


class Selection(NamedTuple):
    """The marked containers, or the one under the cursor."""

    containers: "tuple[Container, ...]" = ()
    hidden: frozenset[str] = frozenset()
    """Full ids of those that the list does not show now."""
    hidden_by: str = "by the filter"
    """Why the list does not show them."""

    def only(self, is_meant: "Callable[[Container], bool]") -> "Selection":
        """Returns the selection of those containers for which the function returns true."""
        return self._replace(containers=tuple(one for one in self.containers if is_meant(one)))

    def fit_for(self, needs: Needs) -> "Selection":
        """Returns the selection of those containers that have the state that an action needs."""
        if needs not in (Needs.RUNNING, Needs.STOPPED):
            return self
        return self.only(lambda one: (one.state in RUNNING) is (needs is Needs.RUNNING))


def hidden_note(selection: Selection) -> str:
    """Returns how many of the selected containers the list does not show, a sentence; empty if it shows all."""
    count = sum(one.id in selection.hidden for one in selection.containers)
    if not count:
        return ""
    if len(selection.containers) == 1:
        return f"It is hidden {selection.hidden_by}."
    if count == len(selection.containers):
        return f"All {count} are hidden {selection.hidden_by}."
    return f"{count} of them {'is' if count == 1 else 'are'} hidden {selection.hidden_by}."


def names(selection: Selection) -> str:
    """Returns the names of all selected containers, those that the list does not show with a note."""
    shown = (f"{one.name} (hidden)" if one.id in selection.hidden else one.name for one in selection.containers)
    return ", ".join(shown)


def about(selection: Selection) -> tuple[str, ...]:
    """Returns the lines of a question about several containers: all names, and how many are hidden.

    The title names a single container, so only a hidden one gets a line.
    """
    note = hidden_note(selection)
    lines = (names(selection),) if len(selection.containers) > 1 else ()
    return (*lines, note) if note else lines


def counted(containers: "Sequence[Container]") -> str:
    """Returns the name of one container, or the number of several: `web`, `3 containers`."""
    return containers[0].name if len(containers) == 1 else f"{len(containers)} containers"


def reason(needs: Needs, selection: Selection, removed: str = "") -> str:
    """Returns why an action applies to none of the selected containers, a sentence; empty if it applies to one.

    `removed` is the name of a container that was removed while the cursor was on it.
    """
    if needs is Needs.NOTHING or selection.fit_for(needs).containers:
        return ""
    if not selection.containers:
        return f"{removed} was removed." if removed else "No container is selected."
    if len(selection.containers) > 1:
        state = "running" if needs is Needs.RUNNING else "stopped"
        return f"None of the {len(selection.containers)} marked containers is {state}."
    one = selection.containers[0]
    if needs is Needs.RUNNING:
        return f"{one.name} is not running. Press S to start it."
    return {
        "paused": f"{one.name} is paused, not stopped. Press z to resume it.",
        "restarting": f"{one.name} is being restarted by its restart policy.",
    }.get(one.state, f"{one.name} is already running. Press R to restart it.")
