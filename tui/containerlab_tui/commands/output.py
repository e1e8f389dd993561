"""Standard output whose failures become one sentence: a full disk, a closed terminal, a reader that has exited."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TextIO, cast

P = ParamSpec("P")


class OutputFailed(Exception):
    """Standard output could not be written; the cause is the OSError."""


class _Output:
    """A text stream that turns an OSError into OutputFailed, so that no other OSError is taken for one of output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputFailed from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputFailed from error

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def checked(main: Callable[P, int]) -> Callable[P, int]:
    """Returns a main function that also writes out what is buffered, and returns 1 after a sentence if that fails.

    A reader that has exited (head, less) is no failure: it returns 0.
    """

    @functools.wraps(main)
    def run(*arguments: P.args, **options: P.kwargs) -> int:
        stream = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - None: closed by the caller
        sys.stdout = cast(TextIO, _Output(stream))
        try:
            try:
                return main(*arguments, **options)
            finally:
                sys.stdout.flush()
        except OutputFailed as failed:
            return _failed(cast(OSError, failed.__cause__), stream)
        finally:
            sys.stdout = stream

    return run


def _failed(error: OSError, stream: TextIO) -> int:
    with contextlib.suppress(OSError):  # Python writes the rest at exit and would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        return 0
    sys.stderr.write(f"containerlab-tui: The output could not be written ({error.strerror}).\n")
    return 1
