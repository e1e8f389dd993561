"""The Inspect tab: the engine's document about the container, as a tree with search."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.widgets.content import Input, rich_text, toast

Document = dict[str, object]
OPEN_AT_FIRST = ("State", "Config", "HostConfig")
LONGEST_VALUE = 1000


class InspectView(Panel):
    """Asks the engine when the tab is shown."""

    DEFAULT_CSS = """
    InspectView { layout: vertical; height: 1fr; }
    InspectView > Tree { height: 1fr; background: transparent; padding: 0 1; scrollbar-size-vertical: 1; }
    InspectView > Input { display: none; border: none; height: 1; padding: 0 1; background: $boost; }
    InspectView > Input.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.INSPECT)

    def __init__(self, document_of: Callable[[str], Document]) -> None:
        """`document_of` takes a container's id and runs in another thread. Raises ContainerlabError."""
        super().__init__(id="inspect")
        self._document_of = document_of
        self._subject: ShownContainer | None = None
        self._matches: list[TreeNode[str]] = []

    def compose(self) -> ComposeResult:
        field = Input(placeholder="search", compact=True)
        field.cursor_blink = False
        yield field
        tree: Tree[str] = Tree(rich_text(safe_line("document")))
        tree.show_root = False
        tree.guide_depth = 2
        yield tree

    def show(self, subject: ShownContainer | None) -> None:
        before, self._subject = self._subject, subject
        if subject is None:
            self._tree.clear()
        elif before is None or before.container != subject.container:
            self.reread()

    def reread(self) -> None:
        if self._subject is not None:
            container = self._subject.container.id
            ask(self, lambda: self._document_of(container), self._read, lambda error: self._read({"Error": str(error)}))

    @property
    def _tree(self) -> Tree[str]:
        return self.query_one(Tree)

    def _read(self, document: Document) -> None:
        tree = self._tree
        opened = {str(node.data) for node in _all(tree.root) if node.is_expanded} or set(OPEN_AT_FIRST)
        line = tree.cursor_line
        tree.clear()
        _fill(tree.root, document, "", opened)
        tree.root.expand()
        tree.call_after_refresh(lambda: setattr(tree, "cursor_line", max(0, line)))

    # searching

    def action_search(self) -> None:
        field = self.query_one(Input)
        field.add_class("shown")
        field.focus()

    def action_leave(self) -> None:
        field = self.query_one(Input)
        if not field.has_class("shown"):
            self.call_later(self.screen.run_action, "back")
            return
        field.remove_class("shown")
        self._tree.focus()

    def action_tree(self, action: str) -> None:
        self.call_later(self._tree.run_action, action)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        needle = event.value.casefold()
        self._matches = [node for node in _all(self._tree.root) if needle and needle in str(node.label).casefold()]
        if not self._matches:
            toast(self, safe_line(f"No match for “{safe_line(event.value, 60)}”."))
            return
        self._tree.focus()
        self.action_next()

    def action_next(self) -> None:
        """Goes to the next match and unfolds its parents."""
        if not self._matches:
            return
        node = self._matches.pop(0)
        self._matches.append(node)
        parent = node.parent
        while parent is not None:
            parent.expand()
            parent = parent.parent
        self._tree.call_after_refresh(self._tree.move_cursor, node)


def _all(root: TreeNode[str]) -> Iterator[TreeNode[str]]:
    for node in root.children:
        yield node
        yield from _all(node)


def _fill(parent: TreeNode[str], value: object, path: str, opened: set[str]) -> None:
    items: list[tuple[str, object]]
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(str(number), item) for number, item in enumerate(value)]
    else:
        return
    for key, item in items:
        here = f"{path}.{key}" if path else key
        name = (safe_line(key, 200), "bold")
        if isinstance(item, dict | list) and item:
            label = rich_text(name, (safe_line(f"  {len(item)}"), "dim"))
            _fill(parent.add(label, data=here, expand=here in opened), item, here, opened)
        else:
            shown = safe_line(_words(item), LONGEST_VALUE)
            parent.add_leaf(rich_text(name, safe_line("  "), shown), data=here)


def _words(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
