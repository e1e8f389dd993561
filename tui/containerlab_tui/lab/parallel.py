"""Connections to the lab's engine, for one piece of work or for several side by side."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from containerlab_tui.engine.lab_client import LabClient

AT_ONCE = 4
"""Pieces of work side by side: the engine gains nothing by more on two cores."""

Item = TypeVar("Item")


@contextmanager
def lab_client(endpoint: str) -> "Iterator[LabClient]":
    """A connection, closed at the end."""
    from containerlab_tui.engine.lab_client import LabClient  # brings the client library along

    with closing(LabClient(endpoint)) as opened:
        yield opened


def side_by_side(endpoint: str, items: Iterable[Item], work: "Callable[[LabClient, Item], None]") -> None:
    """Do the work for each item, each with a connection of its own; the first error is raised when all have ended."""

    def one(item: Item) -> None:
        with lab_client(endpoint) as own:
            work(own, item)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [pool.submit(one, item) for item in items]
    for outcome in outcomes:
        outcome.result()
