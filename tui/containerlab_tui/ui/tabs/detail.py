"""The lower half of the main screen: tabs. Each tab creates its panel when it is first opened."""

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.message import Message
from textual.widget import Widget

from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.widgets.content import Input

if TYPE_CHECKING:
    from textual.widgets import TabbedContent

    from containerlab_tui.engine.api import LogStream
    from containerlab_tui.session.session import Session
    from containerlab_tui.session.store import ShownContainer

TABS = (
    ("processes", "Processes"),
    ("signals", "Signals"),
    ("ipc", "IPC"),
    ("files", "Files"),
    ("logs", "Logs"),
    ("inspect", "Inspect"),
)


class Detail(Vertical):
    """The tabs of one container."""

    class TabChanged(Message):
        """Another tab is open and its panel is mounted."""

    def __init__(self, session: "Session") -> None:
        super().__init__(id="detail")
        self._session = session
        self._subject: ShownContainer | None = None
        self._shown: dict[str, ShownContainer | None] = {}
        """The last container given to each panel."""
        self.tab = TABS[0][0]

    async def open(self) -> None:
        """Mounts the tabs, after the first frame: the imports would delay it."""
        from textual.widgets import TabbedContent, TabPane

        tabs = TabbedContent(initial=f"tab-{self.tab}")
        for name, title in TABS:
            tabs.compose_add_child(TabPane(title, id=f"tab-{name}"))
        await self.mount(tabs)

    @property
    def panel(self) -> Panel | None:
        """The panel of the open tab; None until it is mounted."""
        try:
            pane = self.query_one(f"#tab-{self.tab}")
        except NoMatches:
            return None
        return next((one for one in pane.query(Panel) if one.is_mounted), None)

    def show(self, subject: "ShownContainer | None") -> None:
        """Shows this container in the open tab, unless the tab already shows it."""
        self._subject = subject
        panel = self.panel
        if panel is not None and (self.tab not in self._shown or self._shown[self.tab] != subject):
            self._shown[self.tab] = subject
            panel.show(subject)

    def reset(self) -> None:
        """Makes the next `show` redraw the panel even if nothing changed."""
        self._shown.clear()

    def reread(self) -> None:
        """Reads the open tab again."""
        panel = self.panel
        if panel is not None:
            panel.reread()

    def switch(self, name: str) -> None:
        """Opens a tab."""
        for tabs in self._tabs():
            tabs.active = f"tab-{name}"

    def _tabs(self) -> "list[TabbedContent]":
        from textual.widgets import TabbedContent

        return list(self.query(TabbedContent))

    async def on_tabbed_content_tab_activated(self, event: "TabbedContent.TabActivated") -> None:
        event.stop()
        self.tab = str(event.pane.id).removeprefix("tab-")
        if self.panel is None:
            await event.pane.mount(make_panel(self.tab, self._session))
        self.show(self._subject)
        self.post_message(self.TabChanged())

    def focus_panel(self) -> None:
        """Moves the focus into the open tab."""
        panel = self.panel
        inner: list[Widget] = [] if panel is None else [one for one in panel.query("*") if one.focusable]
        first = next((one for one in inner if not isinstance(one, Input)), None)
        if first is not None:
            first.focus()
        elif panel is not None and panel.focusable:
            panel.focus()


def make_panel(name: str, session: "Session") -> Panel:
    """Returns the panel of a tab. Imports it only now: most tabs are never opened."""
    match name:
        case "processes":
            from containerlab_tui.ui.tabs.processes import ProcessTree

            return ProcessTree(session)
        case "signals":
            from containerlab_tui.ui.tabs.signals import SignalsTab

            return SignalsTab(session)
        case "ipc":
            from containerlab_tui.ui.tabs.ipc import IpcTab

            return IpcTab(session)
        case "files":
            from containerlab_tui.ui.tabs.files import FilesTab

            return FilesTab(session)
        case "logs":
            from containerlab_tui.ui.tabs.logs import LogView

            def log_of(container: str, tail: int) -> "LogStream":
                return session.engine().clone().logs(container, True, tail)

            return LogView(log_of, session.settings.log_lines)
        case "inspect":
            from containerlab_tui.ui.tabs.inspect import InspectView

            return InspectView(lambda container: session.engine().inspect_raw(container))
    raise ValueError(f"no tab {name!r}")
