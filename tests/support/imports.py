"""The imports between modules, read from the source; imports inside functions and for types alone count too."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, frozenset[str]]
"""Module (or room) -> its imports."""


def modules_below(folder: Path) -> dict[str, Path]:
    """Returns the modules of a package folder by their dotted names; an `__init__` has the name of its package."""
    found = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(modules: Mapping[str, Path]) -> Graph:
    """Returns which of these modules each one imports."""
    return {name: frozenset(_imported(path, modules)) - {name} for name, path in modules.items()}


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            for one in node.names:
                full = f"{node.module}.{one.name}"
                if full in modules:
                    yield full
                elif node.module in modules:
                    yield str(node.module)


def rooms(graph: Graph, package: str) -> Graph:
    """Returns the imports between the first-level parts of a package: `containerlab_tui.ui.app` counts as `ui`."""
    inside: dict[str, set[str]] = {}
    for module, imported in graph.items():
        if (room := _room(module, package)) is not None:
            inside.setdefault(room, set()).update(
                other for one in imported if (other := _room(one, package)) not in (None, room) and other is not None
            )
    return {room: frozenset(others) for room, others in inside.items()}


def _room(module: str, package: str) -> str | None:
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] or None if first == package else None


def circles(graph: Graph) -> set[frozenset[str]]:
    """Returns each set of nodes that import each other, directly or through other nodes of the set."""
    reach = {node: _reachable(graph, node) for node in graph}
    return {
        frozenset({node} | {other for other in reach[node] if node in reach.get(other, ())})
        for node in graph
        if node in reach[node]
    }


def _reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting: list[str] = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += graph.get(node, ())
    return seen


def table(text: str, heading: str) -> dict[str, frozenset[str]]:
    """Returns a Markdown table as first cell -> names in the second, both in backticks.

    It is the table whose first heading is this one.
    """
    lines = iter(text.splitlines())
    for line in lines:
        if _cells(line)[:1] == [heading]:
            next(lines)
            break
    else:
        raise AssertionError(f"there is no table whose first column is {heading!r}")
    rows = {}
    for line in lines:
        cells = _cells(line)
        if len(cells) < 2:
            break
        rows[cells[0].strip("`")] = frozenset(cells[1].split("`")[1::2])
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def names(graph: Iterable[Iterable[str]]) -> str:
    """Returns circles as text for a failure."""
    return "\n".join(" <-> ".join(sorted(circle)) for circle in graph)
