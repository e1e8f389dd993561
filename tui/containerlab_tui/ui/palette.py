"""The command palette: every action of the current screen that applies to the selection."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from textual.binding import ActiveBinding, Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.screen import Screen

from containerlab_tui.ui.bindings import is_offered
from containerlab_tui.ui.widgets.content import Content

HIDDEN_GROUPS = ("grid.", "app.palette")
"""Id prefixes of bindings that only move a cursor or open the palette."""


def actions_of(screen: Screen[Any]) -> Iterable[tuple[DOMNode, Binding]]:
    """Returns the bindings of the screen and the focused widgets that apply now, each action once, with its node."""
    seen = set[str]()
    actives: Iterable[ActiveBinding] = screen.active_bindings.values()
    for active in actives:
        binding = active.binding
        identity = binding.id or ""
        if not active.enabled or not identity or binding.action in seen or identity.startswith(HIDDEN_GROUPS):
            continue
        if not is_offered(screen, identity):
            continue
        seen.add(binding.action)
        yield active.node, binding


class ActionCommands(Provider):
    """The palette's commands."""

    def _commands(self) -> list[tuple[str, str, DOMNode, str]]:
        found = []
        for node, binding in actions_of(self.screen):
            key = self.app.get_key_display(binding)
            text = binding.tooltip or binding.description
            found.append((f"{text}  ({key})", binding.description, node, binding.action))
        return found

    async def discover(self) -> Hits:
        for text, help_text, node, action in self._commands():
            yield DiscoveryHit(Content(text), self._runner(node, action), text=text, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, help_text, node, action in self._commands():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), self._runner(node, action), text=text, help=help_text)

    def _runner(self, node: DOMNode, action: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self.app.run_action(action, default_namespace=node)

        return run
