"""The rules of the house at run time: modules that a fresh interpreter loads, and words that no file may contain."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from containerlab_tui.model.inventory import CREATED, ENDED, LISTED

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "tui/containerlab_tui"
HEAVY = {"docker", "textual", "rich", "psutil", "sysv_ipc", "requests"}


def loaded_by(modules: str) -> set[str]:
    """The top-level names that a fresh interpreter has loaded after importing these."""
    program = f"import {modules}, sys; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "modules",
    [
        "containerlab_probes.agent",
        "containerlab_probes.client",
        "containerlab_tui.cli",
        "containerlab_tui.config",
        "containerlab_tui.engine.api",
        "containerlab_tui.lab.lab",
        "containerlab_tui.lab.daemon, containerlab_tui.lab.demonstrations",
        *(
            ", ".join(f"containerlab_tui.{'.'.join(path.relative_to(PRODUCT).with_suffix('').parts)}" for path in found)
            for room in ("model", "doctor", "present", "services", "session")
            for found in (sorted((PRODUCT / room).rglob("[!_]*.py")),)
        ),
    ],
)
def test_heavy_libraries_are_not_loaded_by(modules: str) -> None:
    assert not loaded_by(modules) & HEAVY


def test_the_check_sees_a_heavy_library() -> None:
    assert "docker" in loaded_by("containerlab_tui.engine.lab_client")


def test_probes_do_not_load_the_program() -> None:
    assert "containerlab_tui" not in loaded_by("containerlab_probes.agent, containerlab_probes.client")


def test_package_init_files_are_empty() -> None:
    packages = [*ROOT.glob("probes/**/__init__.py"), *ROOT.glob("tui/**/__init__.py")]
    assert len(packages) >= 8
    assert [path for path in packages if path.stat().st_size] == []


def tracked_texts() -> dict[Path, str]:
    listed = subprocess.run(
        ("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        capture_output=True,
        text=True,
        check=True,
    )
    texts = {}
    for name in listed.stdout.rstrip("\0").split("\0"):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            texts[path] = data.decode(errors="replace")
    return texts


# Put together here, so that this file names none of them either.
FORBIDDEN = (
    ".".join(("pypi", "org")),
    ".".join(("pythonhosted", "org")),
    ".".join(("debian", "org")),
    ".".join(("ubuntu", "com")),
    ".".join(("docker", "io/")),
    ".".join(("npmjs", "org")),
    "/work/" + "shared",
    "../" + "shared",
)


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_file_names(word: str) -> None:
    texts = tracked_texts()
    assert ROOT / "pyproject.toml" in texts
    assert [str(path.relative_to(ROOT)) for path, text in texts.items() if word in text] == []


def test_what_was_recorded_names_no_directory_of_the_machine_that_recorded_it() -> None:
    text = (ROOT / "tests/ui/recorded.json").read_text(encoding="utf-8")
    assert set(re.findall(r'([^":]*)/overlay2/', text)) == {"/var/lib/docker"}
    assert set(re.findall(r'([^":]*)/containers/[0-9a-f]{64}', text)) == {"/var/lib/docker"}


def test_tests_import_nothing_from_the_benchmarks() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) bench\b", path.read_text(encoding="utf-8"), re.MULTILINE), path


STATES = LISTED | ENDED | {CREATED}


def state_literals(source: str) -> list[int]:
    """Returns the lines that compare a `state` with a literal name of a container's state."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            parts = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            names = {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in parts}
            if "state" in names and any(isinstance(one, ast.Constant) and one.value in STATES for one in parts):
                found.append(node.lineno)
    return found


def test_states_of_containers_are_named_in_one_place() -> None:
    assert state_literals('x = 1\nif one.state in ("exited", "dead"): pass\nif state == "paused": pass') == [2, 3]
    files = sorted(PRODUCT.rglob("*.py"))
    assert len(files) > 100
    assert {str(one): lines for one in files if (lines := state_literals(one.read_text(encoding="utf-8")))} == {}
