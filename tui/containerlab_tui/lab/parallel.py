"""Runs work on connections to the lab's engine, also in parallel."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from containerlab_tui.engine.lab_client import LabClient

AT_ONCE = 4
"""Parallel jobs: more gain nothing on two cores."""

Item = TypeVar("Item")


@contextmanager
def lab_client(endpoint: str) -> "Iterator[LabClient]":
    """Yields a connection and closes it afterwards."""
    from containerlab_tui.engine.lab_client import LabClient  # imports the client library

    with closing(LabClient(endpoint)) as opened:
        yield opened


def in_parallel(endpoint: str, items: Iterable[Item], work: "Callable[[LabClient, Item], None]") -> None:
    """Does the work for each item with its own connection. Raises the first error after all have finished."""

    def one(item: Item) -> None:
        with lab_client(endpoint) as own:
            work(own, item)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [pool.submit(one, item) for item in items]
    for outcome in outcomes:
        outcome.result()
