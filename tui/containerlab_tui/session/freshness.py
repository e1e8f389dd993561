"""Changes of a container since its diagnosis, which is about one run of one container."""

from dataclasses import replace

from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.inventory import RUNNING, Container
from containerlab_tui.present.states import status_words
from containerlab_tui.session.store import Store

RESTARTED = "restarted: press r"
"""Shown instead of findings that are about an earlier run, or about another container of that name."""


def stopped_clause(store: Store, container: str, now: float) -> str:
    """Returns how a container stopped, a clause; empty while it runs. `now` is epoch seconds."""
    listed = store.containers.get(container)
    if listed is None:
        return "removed"
    if listed.state in RUNNING:
        return ""
    details = store.details.get(container)
    return status_words(listed, details and replace(details, finished_at=None), now)  # without the time since


def started_at(store: Store, container: str) -> float | None:
    """Returns when a running container was started, epoch seconds; None if unknown or not running."""
    details = store.details.get(container)
    return details.started_at if details is not None and details.state in RUNNING else None


def successor(store: Store, diagnosis: Diagnosis) -> Container | None:
    """Returns the diagnosed container; if it was removed, the container that has its name now."""
    named = (one for one in store.containers.values() if one.name == diagnosis.container)
    return store.containers.get(diagnosis.id) or next(named, None)


def is_outdated(store: Store, container: Container, diagnosis: Diagnosis) -> bool:
    """Returns whether the diagnosis is about another container or an earlier run."""
    details = store.details.get(container.id)
    return container.id != diagnosis.id or (details is not None and details.started_at != diagnosis.started_at)


def change_since(store: Store, diagnosis: Diagnosis, now: float) -> str:
    """Returns the change of a container since its diagnosis, a clause or RESTARTED; empty if none is known."""
    container = successor(store, diagnosis)
    if container is None:
        return "removed"
    return stopped_clause(store, container.id, now) or (RESTARTED if is_outdated(store, container, diagnosis) else "")
