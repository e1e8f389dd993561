"""The table of containers, with the stop signal's effect on PID 1."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import DEAD, EXITED, RUNNING, UP
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.states import UNREAD, forecast_word, state_word, status_with_health, status_words
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.selection import Selection
from containerlab_tui.session.store import Store
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.grid import Cell, Column, Grid, GridRow, cell

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container

NONE = cell("—", "muted")
AGES_S = 5.0
"""How often the ages in the table are updated: an age is wrong for at most this long."""


class ContainerTable(Grid):
    """One row for each container; its id is the row key."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CONTAINER_TABLE)
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("state", "", 2, 2),
        Column("name", "NAME", 14, 40, share=3),
        Column("image", "IMAGE", 12, 40, rank=6, share=2, keep_end=True),
        Column("command", "PID 1", 12, 70, rank=2, share=4),
        Column("stop", "STOP", 20, 24, rank=1),
        Column("ipc", "IPC", 9, 14, rank=5),
        Column("cpu", "CPU %", 5, 6, right=True, rank=4),
        Column("memory", "MEM", 5, 6, right=True, rank=3),
        Column("status", "STATUS", 14, 34, share=8),
    )

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        super().__init__(id="containers")
        self._store = store
        self._clock = clock
        self.marked: set[str] = set()
        self.needle = ""
        """Only containers that contain this text are listed; empty: all."""
        self.shows_ended = False
        """Whether stopped containers are listed."""
        self._longest = {"name": 0, "image": 0}
        self._shown: dict[str, Container] = {}
        self._facts: dict[str, tuple[object, ...]] = {}
        """What each row was made of."""
        self._held: Container | None = None

    @property
    def held(self) -> "Container | None":
        """The container under the cursor, as it was when the cursor came to it."""
        key = self.row_key
        if key is None or self._held is None or self._held.id != key:
            self._held = self._shown.get(key or "")
        return self._held

    def selected(self) -> "Container | None":
        """Returns the container under the cursor."""
        key = self.row_key
        return self._store.containers.get(key) if key else None

    def targets(self) -> Selection:
        """Returns the marked containers, or the one under the cursor."""
        marked = [one for one in self._store.order(ended=True) if one.id in self.marked]
        selected = self.selected()
        chosen = marked or ([selected] if selected else [])
        shown = {row.key for row in self.rows}
        hidden = frozenset(one.id for one in chosen if one.id not in shown)
        by = "by the filter" if self.needle else "with the stopped containers"
        return Selection(tuple(chosen), hidden, by)

    def has_left_a_changed_row(self) -> bool:
        """Returns whether the row that the cursor has just left may belong elsewhere, because its container changed."""
        left, now = self._held, self.held
        return left is not None and left is not now and left != self._store.containers.get(left.id)

    def columns(self) -> Sequence[Column]:
        """Returns the columns; name and image are no wider than their longest text."""
        return [
            replace(one, most=max(one.least, min(one.most, self._longest[one.key])))
            if one.key in self._longest
            else one
            for one in self.COLUMNS
        ]

    def fill(self, hold: bool) -> None:
        """Shows the containers that match the filter, and if `hold` the one under the cursor wherever it was."""
        self.marked &= self._store.containers.keys()
        self.empty_text = self._nothing()
        self._show(self._store.order(self.shows_ended, self.needle, self.held if hold else None))

    def _nothing(self) -> str:
        if self.needle:
            return f"No container matches “{safe_line(self.needle, 40)}”. Press Esc to show all."
        running, ended = self._store.counts()
        if not running and ended:
            return f"No running containers. Press a to show {ended} stopped, n to run one."
        return "No containers. Press n to run one from an image."

    def _show(self, containers: "Sequence[Container]") -> None:
        self._shown = {one.id: one for one in containers}
        every = self._store.containers.values()
        longest = {
            "name": max((cell_len(safe_line(one.name, 80)) for one in every), default=0),
            "image": max((cell_len(safe_line(short_image(one.image), 120)) for one in every), default=0),
        }
        grown = {key: max(length, self._longest[key]) for key, length in longest.items()}
        if grown != self._longest:
            self._longest = grown
            self.refit()
        now = self._clock()
        rows, before, self._facts = self.rows, self._facts, {}
        shown = list[GridRow]()
        for one in containers:
            facts, number = self._facts_of(one, now), self._index.get(one.id)
            if number is not None and before.get(one.id) == facts:
                self._facts[one.id] = facts
                shown.append(rows[number])
            else:
                shown.append(self._row(one, now))
        self.set_rows(shown)

    def redraw_rows(self, ids: Iterable[str]) -> None:
        """Redraws the rows whose text has changed."""
        now = self._clock()
        for key in ids:
            one = self._store.containers.get(key)
            if one is not None:
                self.replace_row(self._row(one, now))

    def _row(self, one: "Container", now: float) -> GridRow:
        self._facts[one.id] = self._facts_of(one, now)
        return container_row(one, self._store, now, one.id in self.marked)

    def _facts_of(self, one: "Container", now: float) -> tuple[object, ...]:
        """Returns all that `container_row` uses: to compare it costs less than to make the row again."""
        known, id = self._store, one.id
        details = known.details.get(id)
        donor = details.ipc_mode.partition(":")[2] if details is not None else ""
        return (
            one,
            details,
            known.effects.get(id),
            known.overviews.get(id),
            known.loads.get(id),
            id in known.uninspected,
            known.stopping.get(id),
            known.named(donor) if donor else "",
            id in self.marked,
            now // AGES_S,
        )

    def toggle_mark(self) -> None:
        """Marks or unmarks the row under the cursor and moves to the next."""
        key = self.row_key
        if key is not None:
            self.marked ^= {key}
            self.redraw_rows((key,))
            self.cursor += 1

    def unmark(self) -> None:
        marked, self.marked = self.marked, set()
        self.redraw_rows(marked)


def container_row(one: "Container", known: Store, now: float, marked: bool = False) -> GridRow:
    """Returns the row of a container."""
    alive = one.state in RUNNING
    state = state_word(one.state)
    mark = cell("*", "accent") if marked else cell(" ")
    load = known.loads.get(one.id) if alive else None
    return GridRow(
        one.id,
        (
            ("state", mark + cell(state.glyph, state.tone)),
            ("name", cell(safe_line(one.name, 80))),
            ("image", cell(safe_line(short_image(one.image), 120), "muted")),
            ("command", _command(one, known) if alive else NONE),
            ("stop", _stop(one, known) if alive else NONE),
            ("ipc", _ipc(one, known) if alive else NONE),
            ("cpu", cell(f"{load.cpu_percent:.1f}") if load and load.cpu_percent is not None else NONE),
            ("memory", _size(load.memory_bytes) if load and load.memory_bytes is not None else NONE),
            ("status", _status(one, known, now)),
        ),
        dim=not alive,
    )


def _size(count: int) -> Cell:
    from containerlab_tui.present import wording  # not needed for the first frame

    return cell(wording.size(count))


def short_image(image: str) -> str:
    """Shortens an image's name: drops the tag `latest`, keeps twelve digits of a digest."""
    name, separator, digest = image.partition("sha256:")
    return f"{name}{digest[:12]}" if separator else image.removesuffix(":latest")


def _command(one: "Container", known: Store) -> Cell:
    details = known.details.get(one.id)
    text = " ".join(details.argv) if details and details.argv else one.command
    return cell(safe_line(text, 200))


def _stop(one: "Container", known: Store) -> Cell:
    details = known.details.get(one.id)
    if details is None:
        return cell(f"{UNREAD.glyph} {UNREAD.text}" if one.id in known.uninspected else "…", "muted")
    signal = details.stop_signal.removeprefix("SIG")
    effect = known.effects.get(one.id)
    made = effect.forecast if effect is not None else None
    word = UNREAD if effect is not None and made is None else forecast_word(made)
    return (
        cell(f"{signal:<4} ")
        + cell(f"{word.shown:<11} ", word.tone)
        + cell(f"{grace_period(details.stop_timeout_s, short=True):>3}", "muted")
    )


def _ipc(one: "Container", known: Store) -> Cell:
    details, overview = known.details.get(one.id), known.overviews.get(one.id)
    if overview is not None and overview.objects and (details is None or details.ipc_mode != "host"):
        unit = "B" if overview.bytes < 1024 else ""
        return cell(f"{overview.objects} · ") + _size(overview.bytes) + cell(unit)
    if details is None:
        return cell("…", "muted")
    kind, separator, donor = details.ipc_mode.partition(":")
    if separator:
        return cell("of " + safe_line(known.named(donor), 60))
    return cell(kind or "private", "muted")


def _status(one: "Container", known: Store, now: float) -> Cell:
    if one.id in known.stopping and one.state in RUNNING:
        return cell(known.stopping[one.id], "warn")
    wording = safe_line(status_words(one, known.details.get(one.id), now), 80)
    if one.state == UP:
        effect = known.effects.get(one.id)
        shown = cell(wording)
        if effect is not None and effect.is_suspended:
            shown += cell(" · suspended", "warn")
        if "(unhealthy)" in status_with_health(one, known.details.get(one.id)):
            shown += cell(" · unhealthy", "bad")
        return shown
    bad = one.state == DEAD or (one.state == EXITED and not wording.startswith("exited (0)"))
    return cell(wording, "bad" if bad else state_word(one.state).tone if one.state in RUNNING else "muted")
