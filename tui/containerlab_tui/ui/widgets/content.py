"""What screens show: text that is made safe where it becomes content, and the widgets and toasts that take it.

The only module that imports Textual's own `Content`, `Static`, `Label` and `Input` and Rich's `Text` (ruff's TID251):
these accept any text, and some also parse it as markup.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import textual.content
import textual.widgets
from rich.text import Text
from textual.style import Style

from containerlab_tui.present.safe_text import SafeText, safe, safe_lines

if TYPE_CHECKING:
    from textual.message_pump import MessagePump
    from textual.notifications import SeverityLevel

    Piece = str | textual.content.Content | tuple[str, str | Style]


class Content(textual.content.Content):
    """Textual's styled text, made of safe text only; its methods return parts of what it holds."""

    def __init__(
        self,
        text: str = "",
        spans: list[textual.content.Span] | None = None,
        cell_length: int | None = None,
        strip_control_codes: bool = True,
    ) -> None:
        super().__init__(safe_lines(text), spans, cell_length, strip_control_codes)

    @classmethod
    def styled(
        cls, text: str, style: str | Style = "", cell_length: int | None = None, strip_control_codes: bool = True
    ) -> "Content":
        """Returns the text in one style."""
        return cls.assemble((text, style))

    @classmethod
    def assemble(cls, *parts: "Piece", end: str = "", strip_control_codes: bool = True) -> "Content":
        """Returns texts, (text, style) pairs and contents as one. Escapes before it counts, so styles stay in place."""
        made = super().assemble(*map(_safe, parts), end=safe_lines(end), strip_control_codes=strip_control_codes)
        return cast("Content", made)

    def join(self, lines: Iterable[textual.content.Content | str]) -> "Content":
        """Returns the lines with this content between them."""
        return cast("Content", super().join([Content(one) if isinstance(one, str) else one for one in lines]))


def _safe(part: "Piece") -> "Piece":
    if isinstance(part, tuple):
        return safe_lines(part[0]), part[1]
    return safe_lines(part) if isinstance(part, str) else part


EMPTY = Content()


class Static(textual.widgets.Static):
    """Shows content; Textual's own takes any text, and parses it as markup."""

    def __init__(self, content: textual.content.Content = EMPTY, *, id: str | None = None, classes: str = "") -> None:
        super().__init__(content, id=id, classes=classes, markup=False)

    def update(self, content: textual.content.Content = EMPTY, *, layout: bool = True) -> None:  # type: ignore[override]
        """Shows other content. What is shown already costs nothing: new text is laid out with the whole screen."""
        shown = self.content
        if isinstance(shown, textual.content.Content) and (shown.plain, shown.spans) == (content.plain, content.spans):
            return
        super().update(content, layout=layout)


class Label(Static):
    """Labels a field of a dialog."""


class Input(textual.widgets.Input):
    """A line of input. What is typed, pasted, filled in or suggested is made safe."""

    def validate_value(self, value: str) -> SafeText:
        """Returns the line as it is shown and read."""
        return safe(value, sys.maxsize)

    def validate__suggestion(self, suggestion: str) -> str:
        """Returns a suggestion (the name of a file or an image), or nothing if the line can't contain it."""
        return suggestion if safe(suggestion, sys.maxsize) == suggestion else ""


def rich_text(*parts: SafeText | tuple[SafeText, str]) -> Text:
    """Returns texts and (text, style) pairs as Rich's text, for widgets that take nothing else."""
    return Text.assemble(*parts, end="")


def from_rich_text(*parts: tuple[SafeText, str]) -> Content:
    """Returns the spans of a log line, whose styles are Rich's, as content."""
    return cast(Content, Content.from_rich_text(rich_text(*parts)))


def toast(
    node: "MessagePump", text: SafeText, severity: "SeverityLevel" = "information", timeout: float | None = None
) -> None:
    """Shows a text for some seconds."""
    node.app.notify(text, severity=severity, timeout=timeout, markup=False)
