"""The history of observed stops: an SQLite file in the state directory. Optional.

Keeps at most `KEPT` stops. Safe with several programs at once (SQLite's locks). A failure to read counts as no history,
a failure to write becomes a note. It uses a rollback journal, not a write-ahead log, so that readers write nothing.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.directories import state_dir
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.present.safe_text import plain

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
_VERSION = 2
"""Version of the columns; increases with each change."""
_INSERT = f"INSERT OR IGNORE INTO stops ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_TRIM = "DELETE FROM stops WHERE rowid NOT IN (SELECT rowid FROM stops ORDER BY at DESC LIMIT ?)"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM stops"  # noqa: S608


class History:
    """Reads and writes the file of past stops."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def remember(self, state: "StopState", image: str) -> str:
        """Records a finished stop. Returns an empty string, or a sentence if that failed."""
        past = past_stop(state, image)
        if past is None:
            return ""
        try:
            with self._open(self._path or state_dir(create=True) / NAME) as file:
                file.execute(_INSERT, astuple(past))
                file.execute(_TRIM, (KEPT,))
        except (sqlite3.Error, OSError, ValueError, ContainerlabError) as error:
            return f"This stop was not recorded: {error}."
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
        return self._read("image = ?1", image, limit)

    def _read(self, condition: str, value: str, limit: int) -> tuple[PastStop, ...]:
        try:
            path = self._path or state_dir() / NAME
            if not path.exists():
                return ()
            with self._open(path) as file:
                rows = file.execute(f"{_SELECT} WHERE {condition} ORDER BY at DESC LIMIT ?2", (value, limit)).fetchall()
        except (sqlite3.Error, OSError, ContainerlabError):
            return ()
        return tuple(PastStop(*row) for row in rows)

    @staticmethod
    @contextlib.contextmanager
    def _open(path: Path) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(path, timeout=BUSY_S)
        try:
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


def _add_columns(connection: sqlite3.Connection) -> None:
    """Adds missing columns to an older file, even if another program does the same."""
    present = {row[1] for row in connection.execute("PRAGMA table_info(stops)")}
    for column in _COLUMNS:
        if column not in present:
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(f"ALTER TABLE stops ADD COLUMN {column} NOT NULL DEFAULT ''")


def past_stop(state: "StopState", image: str) -> PastStop | None:
    """Returns the record of a stop; None if nothing was stopped."""
    from containerlab_tui.model.stop import Verdict

    if state.verdict in (None, Verdict.ALREADY_STOPPED, Verdict.FAILED):
        return None
    init = state.plan.init
    return PastStop(
        at=state.ended_at or state.began,
        container=state.plan.container,
        name=plain(state.plan.name),
        image=plain(image),
        command=plain(init.command) if init else "",
        signal=name_of(state.plan.signal),
        grace_s=state.plan.timeout_s,
        verdict=state.verdict.value,
        exit_code=state.exit_code,
        duration_s=state.duration_s,
        phase_1_s=_length(state.phase_1),
        phase_2_s=_length(state.phase_2),
        sender=plain(_sender(state)),
        out_of_memory=state.out_of_memory,
    )


def _sender(state: "StopState") -> str:
    """Returns the sender of PID 1's SIGKILL; empty if the kernel trace has none."""
    init = state.plan.init
    kills = [one for one in state.events if one.sender and one.signal == SIGKILL and init and one.id == init.id]
    return kills[-1].sender if kills else ""


def _length(phase: "Phase | None") -> float | None:
    return None if phase is None or phase.ended is None else phase.ended - phase.started
