"""What a key of the main screen begins and other screens finish: forms, and programs on the bare terminal."""

from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import Container, Details
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.store import RUNNING
from containerlab_tui.ui.background import ask, do

if TYPE_CHECKING:
    from containerlab_tui.engine.api import RunRequest
    from containerlab_tui.ui.app import ContainerlabApp
    from containerlab_tui.ui.dialogs.copy import CopyRequest


def run_new(app: "ContainerlabApp") -> None:
    """Ask what to run, and run it."""
    from containerlab_tui.ui.dialogs.run import RunForm

    def chosen(request: "RunRequest | None") -> None:
        if request is not None:
            do(app, lambda: app.engines.here().run(request), None)

    selected = app.selected_container()
    names = [one.name for one in app.knowledge.order(ended=False)]
    image = selected.image if selected is not None else ""

    def listed(images: tuple[str, ...]) -> None:
        known = next((one for one in (image, f"{image}:latest") if one in images), "")
        app.push_screen(RunForm(images, names, known), chosen)

    ask(app, lambda: app.engines.here().images(), listed, group="run")


def copy_into(app: "ContainerlabApp", details: Details) -> None:
    """Ask which file, and copy it."""
    from containerlab_tui.ui.dialogs.copy import CopyForm

    def chosen(request: "CopyRequest | None") -> None:
        if request is not None:
            words = f"Copied {request.local_file} into {request.directory} of {safe_line(details.name, 60)}."
            do(
                app,
                lambda: app.engines.here().copy_into(details.id, request.local_file, request.directory),
                lambda _done: app.notify(words, markup=False),
            )

    app.push_screen(CopyForm(details.name), chosen)


def rename(app: "ContainerlabApp", container: Container) -> None:
    """Ask for a new name, and give it."""
    from containerlab_tui.ui.dialogs.rename import Rename

    def chosen(name: str | None) -> None:
        if name:
            do(app, lambda: app.engines.here().rename(container.id, name))

    app.push_screen(Rename(container.name), chosen)


def watch(app: "ContainerlabApp", details: Details) -> None:
    """Show all signals in the container."""
    from containerlab_tui.ui.screens.signal_watch import WatchScreen
    from containerlab_tui.ui.tabs.memory_tabs import SignalsTab
    from containerlab_tui.ui.watches import Watch

    if details.state not in RUNNING:
        app.notify(f"{safe_line(details.name, 60)} is not running: S starts it.", severity="warning", markup=False)
        return
    panel = app.main.panel()
    tab = panel if isinstance(panel, SignalsTab) else None
    if tab is not None:
        tab.hold(True)  # the same signals need not be recorded twice
    screen = WatchScreen(details.name, Watch(app, details), app.clock)
    app.push_screen(screen, lambda _left: tab.hold(False) if tab is not None else None)


def enter(app: "ContainerlabApp", details: Details) -> None:
    """Put the screens aside and run a shell in the container's namespaces."""
    _on_bare_terminal(app, details, "enter")


def attach(app: "ContainerlabApp", details: Details) -> None:
    """Put the screens aside and attach to the container's standard streams."""
    _on_bare_terminal(app, details, "attach")


def _on_bare_terminal(app: "ContainerlabApp", details: Details, what: str) -> None:
    from containerlab_probes.errors import ContainerlabError, Unsupported
    from containerlab_tui.services import terminal

    if details.state not in RUNNING:
        app.notify(f"{safe_line(details.name, 60)} is not running: S starts it.", severity="warning", markup=False)
        return
    problem = ""
    with app.suspend():
        # Caught in here: an error that left the block would leave the screens aside for good.
        try:
            engine = app.engines.here()
            fresh = engine.inspect(details.id)  # PID 1 may be another one by now
            if what == "enter" and not engine.local:
                raise Unsupported("It runs on another machine: its namespaces can't be entered from here.")
            if what == "enter":
                terminal.enter(fresh, app.settings.shell)
            else:
                terminal.attach(engine, fresh)
        except ContainerlabError as error:
            problem = str(error)
    if problem:
        app.notify(problem, severity="error", markup=False)
    app.refresh()
