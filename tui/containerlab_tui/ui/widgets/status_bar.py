"""The top line (engine, number of containers) and the bottom line (keys that apply now)."""

from typing import TYPE_CHECKING

from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.ui.bindings import is_offered
from containerlab_tui.ui.widgets.content import Content

if TYPE_CHECKING:
    from containerlab_probes.records import HostLoad


ENGINE_ROOM = 40
"""The host's figures are shown only if this many cells remain for the program's name and the engine."""


class TopLine(Widget):
    """Shows the engine, the usage of this machine, and the number of containers."""

    DEFAULT_CSS = """
    TopLine { height: 1; background: $panel; color: $foreground; padding: 0 1; }
    """

    def __init__(self, engine: str) -> None:
        super().__init__()
        self._engine = engine
        self._note = ""
        self._host = ""

    def set_text(self, engine: str, note: str) -> None:
        """Updates the engine and the note at the right."""
        if (engine, note) != (self._engine, self._note):
            self._engine, self._note = engine, note
            self.refresh()

    def show_host(self, load: "HostLoad | None") -> None:
        """Shows the CPU and memory of this machine; nothing for None."""
        words = "" if load is None else host_words(load)
        if words != self._host:
            self._host = words
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        note = Content(safe_line(self._note, 120))
        host = Content.styled(self._host, "$text-muted")
        if self._host and width - host.cell_length - note.cell_length - 4 >= ENGINE_ROOM:
            note = Content.assemble(host, "  ", note)
        left = Content.assemble(("containerlab-tui", "bold"), "  ", (safe_line(self._engine, 200), "$text-muted"))
        room = max(0, width - note.cell_length - 2)
        return Content.assemble(left.truncate(room, ellipsis=True, pad=True), "  ", note)


def host_words(load: "HostLoad") -> str:
    """Returns, for example, `host: CPU 12 %, memory 3.1G of 24G`; without CPU until it is known."""
    from containerlab_tui.present.wording import size  # not needed for the first frame

    memory = f"memory {size(load.memory_bytes)} of {size(load.memory_total)}"
    return f"host: {memory}" if load.cpu_percent is None else f"host: CPU {load.cpu_percent:.0f} %, {memory}"


ALWAYS = frozenset({"app.help", "app.command_palette"})
"""Actions always shown at the right."""


class KeyBar(Widget):
    """Shows the keys that apply now; each can be clicked.

    Textual's Footer mounts one widget for each key at every change of focus, which makes key presses slow.
    """

    DEFAULT_CSS = """
    KeyBar { height: 1; background: $panel; padding: 0 1; link-style: none; link-color: $foreground;
        link-background: transparent; link-style-hover: underline; link-background-hover: transparent;
        link-color-hover: $text-accent; }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen and self.app.screen is screen:
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        right = Content.assemble(
            self._key("?", "help", "app.help"), "  ", self._key("^p", "palette", "app.command_palette")
        )
        room = width - right.cell_length - 2
        line, seen = Content(""), set[str]()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or binding.action in seen or binding.action in ALWAYS or active.node is self.app:
                continue
            if not is_offered(self.screen, binding.id or ""):
                continue
            seen.add(binding.action)
            key = self.app.get_key_display(binding)
            more = self._key(key, binding.description, _full_action(active), active.enabled)
            if line.cell_length + more.cell_length + 2 > room:
                break
            line = Content.assemble(line, more, "  ")
        return Content.assemble(line.truncate(room, pad=True), "  ", right)

    @staticmethod
    def _key(key: str, text: str, action: str, enabled: bool = True) -> Content:
        if not enabled:
            return Content.styled(f"{key} {text}", "$text-disabled")
        click = Style.from_meta({"@click": action})
        return Content.assemble((key, "bold $text-accent"), " ", Content(text).stylize(click))


def _full_action(active: ActiveBinding) -> str:
    """Returns the action with its target, as a click needs it."""
    action = active.binding.action
    if "." in action.partition("(")[0]:
        return action
    return f"screen.{action}" if isinstance(active.node, Screen) else f"focused.{action}"
