"""The history of observed stops: an SQLite file in the state directory. Optional.

Keeps at most `KEPT` stops, without the arguments of command lines unless the user wants them: they may hold passwords.
The file is for its owner alone (0600). Safe with several programs at once (SQLite's locks). A failure to read counts as
no history and is reported, a failure to write becomes a note. Text is made safe when it is written, and again when it
is read: the file may be an older one. It uses a rollback journal, not a write-ahead log, so that readers write nothing.
"""

import contextlib
import math
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.directories import state_dir
from containerlab_tui.model.ending_records import PastStop, mark_of, program_of
from containerlab_tui.present.safe_text import safe

if TYPE_CHECKING:
    from containerlab_tui.model.stop import Phase, StopState

KEPT = 2000
"""Stops kept; the oldest are dropped first."""
NAME = "stops.sqlite"
"""File name in the state directory."""
BUSY_S = 2.0
"""Time to wait for another program's write."""

_COLUMNS = tuple(field.name for field in fields(PastStop))
_CREATE = f"""
CREATE TABLE IF NOT EXISTS stops (
    {", ".join(_COLUMNS)},
    UNIQUE (container, at)
);
CREATE INDEX IF NOT EXISTS stops_by_image ON stops (image, at);
"""
_VERSION = 3
"""Version of the columns; increases with each change."""
_INSERT = (
    f"INSERT INTO stops ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608  # nosec B608 # names of PastStop's fields
    "ON CONFLICT (container, at) DO NOTHING"  # two programs may see the same stop; any other conflict is an error
)
_TRIM = "DELETE FROM stops WHERE rowid NOT IN (SELECT rowid FROM stops ORDER BY at DESC LIMIT ?)"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM stops"  # noqa: S608  # nosec B608 # names of PastStop's fields

_TEXTS = frozenset({"container", "name", "image", "command", "signal", "verdict", "sender", "mark"})
_NUMBERS = frozenset({"at", "grace_s"})
_OPTIONAL_NUMBERS = frozenset({"exit_code", "duration_s", "phase_1_s", "phase_2_s"})
_LARGEST = 1e11
"""No time in seconds and no exit code is larger."""


class History:
    """Reads and writes the file of past stops."""

    def __init__(
        self, path: Path | None = None, arguments: bool = False, tell: Callable[[str], object] = lambda sentence: None
    ) -> None:
        """`arguments`: record them too. `tell` gets a sentence about what could not be read or recorded."""
        self._path, self._arguments, self._tell = path, arguments, tell

    def remember(self, state: "StopState", image: str) -> str:
        """Records a finished stop. Returns an empty string, or a sentence if that failed."""
        past = past_stop(state, image, self._arguments)
        if past is None:
            return ""
        try:
            with self._open(self._path or state_dir(create=True) / NAME) as file:
                file.execute(_INSERT, astuple(past))
                file.execute(_TRIM, (KEPT,))
                if not self._arguments:
                    _drop_arguments(file)
        except (sqlite3.Error, OSError, ValueError, OverflowError, ContainerlabError) as error:
            sentence = f"This stop was not recorded: {error}."
            self._tell(sentence)
            return sentence
        return ""

    def of_container(self, container: str, limit: int = 5) -> tuple[PastStop, ...]:
        """Returns stops of one container (full id), latest first."""
        return self._read("container = ?1", container, limit)

    def of_name(self, name: str, limit: int = 5) -> tuple[PastStop, ...]:
        """Returns stops of containers with this name, id or id prefix, latest first."""
        same = "name = ?1 OR (length(?1) >= 12 AND substr(container, 1, length(?1)) = ?1)"
        return self._read(f"({same})", name, limit)

    def of_image(self, image: str, limit: int = 5) -> tuple[PastStop, ...]:
        """Returns stops of all containers of an image, latest first."""
        return self._read("image = ?1", safe(image), limit)

    def _read(self, condition: str, value: str, limit: int) -> tuple[PastStop, ...]:
        try:
            path = self._path or state_dir() / NAME
            if not path.exists():
                return ()
            with self._open(path) as file:
                rows = file.execute(f"{_SELECT} WHERE {condition} ORDER BY at DESC LIMIT ?2", (value, limit)).fetchall()
        except (sqlite3.Error, OSError, ContainerlabError) as error:
            self._tell(f"The history of stops could not be read ({error}); earlier stops are not considered.")
            return ()
        found = tuple(_past(row) for row in rows if _is_valid(row))
        if skipped := len(rows) - len(found):
            rows_are = "row is" if skipped == 1 else "rows are"
            self._tell(f"{skipped} {rows_are} damaged in {path}, the history of stops, and skipped.")
        return found

    @staticmethod
    @contextlib.contextmanager
    def _open(path: Path) -> Iterator[sqlite3.Connection]:
        _make_private(path)
        connection = sqlite3.connect(path, timeout=BUSY_S)
        try:
            connection.execute("PRAGMA secure_delete = ON")  # else dropped rows stay readable in the file
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                with contextlib.suppress(sqlite3.OperationalError):  # another program has it open
                    connection.execute("PRAGMA journal_mode = DELETE")
                connection.executescript(_CREATE)
                _add_columns(connection)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            with connection:
                yield connection
        finally:
            connection.close()


def _safe(past: PastStop) -> PastStop:
    name, image, command, sender = (safe(text) for text in (past.name, past.image, past.command, past.sender))
    return replace(past, name=name, image=image, command=command, sender=sender)


def _add_columns(connection: sqlite3.Connection) -> None:
    """Adds missing columns to an older file, even if another program does the same."""
    present = {row[1] for row in connection.execute("PRAGMA table_info(stops)")}
    for column in _COLUMNS:
        if column not in present:
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(f"ALTER TABLE stops ADD COLUMN {column} DEFAULT ''")


def _make_private(path: Path) -> None:
    """Creates the file with mode 0600, or takes access to an existing one from all but its owner.

    SQLite gives its journal the same mode. An existing file is not opened here: closing it would release the locks
    that SQLite holds on it in another thread (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # made by another program since
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    if mode & 0o077:
        path.chmod(0o600)


def _drop_arguments(file: sqlite3.Connection) -> None:
    """Removes the arguments that an earlier version, or another setting, has recorded."""
    file.create_function("mark_of", 1, mark_of)
    file.create_function("program_of", 1, program_of)
    file.execute("UPDATE stops SET mark = mark_of(command) WHERE mark = '' AND typeof(command) = 'text'")
    file.execute(
        "UPDATE stops SET command = program_of(command) WHERE instr(command, ' ') AND typeof(command) = 'text'"
    )


def _is_valid(row: Sequence[object]) -> bool:
    """Returns whether all values of a row have the right types; SQLite accepts any type in any column."""
    values = dict(zip(_COLUMNS, row, strict=True))
    return (
        all(isinstance(values[name], str) for name in _TEXTS)
        and all(_is_number(values[name]) for name in _NUMBERS)
        and all(values[name] is None or _is_number(values[name]) for name in _OPTIONAL_NUMBERS)
        and values["out_of_memory"] in (0, 1, "")
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < _LARGEST


def _past(row: Sequence[object]) -> PastStop:
    past = PastStop(*row)  # type: ignore[arg-type]  # checked
    return _safe(replace(past, out_of_memory=bool(past.out_of_memory)))


def past_stop(state: "StopState", image: str, arguments: bool = False) -> PastStop | None:
    """Returns the record of a stop; None if nothing was stopped. `arguments`: with those of the command line."""
    from containerlab_tui.model.stop import Verdict

    if state.verdict in (None, Verdict.ALREADY_STOPPED, Verdict.FAILED):
        return None
    init = state.plan.init
    command = init.command if init else ""
    return PastStop(
        at=state.ended_at or state.began,
        container=state.plan.container,
        name=safe(state.plan.name),
        image=safe(image),
        command=safe(command if arguments else program_of(command)),
        signal=name_of(state.plan.signal),
        grace_s=state.plan.timeout_s,
        verdict=state.verdict.value,
        exit_code=state.exit_code,
        duration_s=state.duration_s,
        phase_1_s=_length(state.phase_1),
        phase_2_s=_length(state.phase_2),
        sender=safe(_sender(state)),
        out_of_memory=state.out_of_memory,
        mark=mark_of(command),
    )


def _sender(state: "StopState") -> str:
    """Returns the sender of PID 1's SIGKILL; empty if the kernel trace has none."""
    init = state.plan.init
    kills = [one for one in state.events if one.sender and one.signal == SIGKILL and init and one.id == init.id]
    return kills[-1].sender if kills else ""


def _length(phase: "Phase | None") -> float | None:
    return None if phase is None or phase.ended is None else phase.ended - phase.started
