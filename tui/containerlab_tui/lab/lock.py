"""One at a time: an flock(2) that the kernel releases with its holder, however that one ends."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, waiting: Callable[[], None], shared: bool = False) -> Iterator[None]:
    """Hold the lock at that path; `waiting` is called once if somebody else holds it."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, kind)
        yield
