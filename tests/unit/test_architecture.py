"""No import circle, between modules or between rooms; and docs/architecture.md agrees with the source."""

import ast
import tomllib
from pathlib import Path

import pytest

from tests.support.imports import circles, import_graph, modules_below, names, rooms, table

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "containerlab_tui": ROOT / "tui/containerlab_tui",
    "containerlab_probes": ROOT / "probes/containerlab_probes",
}
TABLES = {"containerlab_tui": "room", "containerlab_probes": "probe room"}
GRAPH = import_graph({name: path for folder in PACKAGES.values() for name, path in modules_below(folder).items()})
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circles(GRAPH)
    assert not found, f"\n{names(found)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_rooms_import_each_other_in_a_circle(package: str) -> None:
    found = circles(rooms(GRAPH, package))
    assert not found, f"\n{names(found)}"


def test_probes_import_nothing_of_the_rest() -> None:
    assert [name for name, imported in GRAPH.items() if name.startswith("containerlab_probes") and any(
        one.startswith("containerlab_tui") for one in imported)] == []  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_lists_the_rooms_that_exist_and_what_they_import(package: str) -> None:
    documented, actual = table(ARCHITECTURE, TABLES[package]), rooms(GRAPH, package)
    assert set(documented) == set(actual) - {"__init__"}
    undocumented = {room: sorted(imported - documented[room]) for room, imported in actual.items()}
    assert {room: imported for room, imported in undocumented.items() if imported} == {}
    assert {one for allowed in documented.values() for one in allowed} <= set(documented)


@pytest.mark.parametrize(
    ("package", "contract"), [("containerlab_tui", "rooms"), ("containerlab_probes", "probe-rooms")]
)
def test_the_page_allows_what_the_import_contracts_allow(package: str, contract: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["id"] == contract)
    level = {
        name.strip().removeprefix(f"{package}."): number
        for number, layer in enumerate(layers)
        for name in layer.split("|")
    }
    documented = table(ARCHITECTURE, TABLES[package])
    assert set(documented) <= set(level)
    wrong = [(room, one) for room, allowed in documented.items() for one in allowed if level[one] <= level[room]]
    assert wrong == []


MADE_UP = {
    "house/__init__.py": "",
    "house/a/__init__.py": "",
    "house/a/one.py": "from house.b import two\n",
    "house/b/__init__.py": "",
    "house/b/two.py": "def late():\n    import house.b.three\n",
    "house/b/three.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a.one import thing\n",
    "house/c.py": "import os\nfrom house.a import one\nfrom elsewhere import two\n",
}


def made_up(folder: Path, **changed: str) -> set[frozenset[str]]:
    """The circles of a small tree, with some modules changed."""
    for name, text in (MADE_UP | {f"house/{key.replace('_', '/')}.py": text for key, text in changed.items()}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    graph = import_graph(modules_below(folder / "house"))
    return circles(graph)


def test_the_check_sees_deferred_imports_and_those_for_types(tmp_path: Path) -> None:
    assert made_up(tmp_path) == {frozenset({"house.a.one", "house.b.two", "house.b.three"})}


@pytest.mark.parametrize("changed", [{"b_two": ""}, {"b_three": ""}, {"a_one": "import house.c\n", "c": ""}])
def test_the_check_sees_that_there_is_no_circle(tmp_path: Path, changed: dict[str, str]) -> None:
    assert made_up(tmp_path, **changed) == set()


def test_the_check_sees_rooms_in_a_circle_whose_modules_are_not(tmp_path: Path) -> None:
    house = {
        "house/a/x.py": "import house.b.y\n",
        "house/a/z.py": "",
        "house/b/y.py": "",
        "house/b/w.py": "import house.a.z\n",
    }
    for name, text in house.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = import_graph(modules_below(tmp_path / "house"))
    assert circles(graph) == set()
    assert circles(rooms(graph, "house")) == {frozenset({"a", "b"})}


def test_no_two_classes_have_one_name() -> None:
    """Nested messages of widgets are named together with their widget, so they don't count."""
    named: dict[str, list[str]] = {}
    for folder in ("probes", "tui"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    named.setdefault(node.name.removeprefix("_"), []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in named.items() if len(places) > 1} == {}
