"""Opens the UI and connects it to its sources."""

import argparse
import gc
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from containerlab_probes.errors import BadRequest, ContainerlabError
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Container

if TYPE_CHECKING:
    from containerlab_tui.config import Loaded
    from containerlab_tui.model.inventory import EngineRecord


def open_screens(arguments: argparse.Namespace) -> int:
    """Runs the UI until the user quits; returns the exit status. Raises Unreachable."""
    gc.disable()  # until the first frame: imports create many objects but hardly any garbage
    from containerlab_tui.commands import common
    from containerlab_tui.engine import endpoint
    from containerlab_tui.engine.container_list import snapshot

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadRequest("The UI needs a terminal. For commands that do not, see `containerlab-tui --help`.")
    url, context = _engine_named(arguments)
    where = endpoint.resolve(url, context)

    def connect() -> Engine:
        opened: Engine = arguments.connect(url, context)
        return opened

    def engine() -> Engine:
        from containerlab_tui.services.guarded_engine import GuardedEngine

        return GuardedEngine(connect(), policy, changes)

    first = FirstList(lambda: snapshot(where))
    loaded = _settings(arguments)
    policy = common.policy_of(loaded)
    from containerlab_tui.engine.shared_events import SharedEvents
    from containerlab_tui.services.own_changes import OwnChanges
    from containerlab_tui.session.session import Session, Sources
    from containerlab_tui.ui.app import run

    events, changes = SharedEvents(), OwnChanges()

    def follow(post: "Callable[[EngineRecord], object]") -> None:
        from containerlab_tui.engine.events import EngineReader

        EngineReader(connect, post, shared=events).start()

    sources = Sources(where.url, engine, first.answer, follow, events, changes)
    return run(Session(sources, loaded.settings, policy=policy, problems=loaded.problems))


def _engine_named(arguments: argparse.Namespace) -> tuple[str | None, str | None]:
    """Returns the address and the context of the engine; starts the lab if it was asked for."""
    if not arguments.lab:
        return arguments.host, arguments.context
    from containerlab_tui.commands import lab
    from containerlab_tui.lab.lab import Lab

    return lab.up(Lab()), None


def _settings(arguments: argparse.Namespace) -> "Loaded":
    """Returns the settings in force; prints their problems."""
    from containerlab_tui import config
    from containerlab_tui.commands import common
    from containerlab_tui.present.safe_text import safe
    from containerlab_tui.session.actions import key_problems
    from containerlab_tui.ui.themes import theme_problem

    flags = {"read_only": arguments.read_only or None}
    loaded = config.load(flags=flags, check_keys=key_problems, check_theme=theme_problem)
    for problem in loaded.problems:
        common.tell(safe(problem))
    return loaded


class FirstList:
    """The first list of containers, fetched in a thread while the UI is imported."""

    def __init__(self, fetch: Callable[[], Sequence[Container]]) -> None:
        """Starts the fetch."""
        self._fetch = fetch
        self._list: Sequence[Container] = ()
        self._error: ContainerlabError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self) -> Sequence[Container]:
        """Waits for the list. Raises the error of the fetch; a defect becomes a ContainerlabError."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._list

    def _run(self) -> None:
        try:
            self._list = self._fetch()
        except ContainerlabError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001  a traceback from this thread would be followed by an empty list
            from containerlab_tui.session.threads import unexpected

            self._error = unexpected(error)
