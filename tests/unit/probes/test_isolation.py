"""An agent can import the standard library, its package, psutil and sysv_ipc, wherever they are installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import containerlab_probes
from containerlab_probes.client import PACKAGES, _directory_of, agent_command

HERE = Path(containerlab_probes.__file__).parent


def agent_that_imports(command: list[str], *names: str) -> "subprocess.CompletedProcess[str]":
    """Runs the agent's interpreter and its `__main__`, which imports these instead of serving."""
    at = command.index("utf8") + 1
    program = f"import runpy, sys\nsys.argv = {command[at:]!r}\nrunpy.run_path(sys.argv[0])\n"
    program += "".join(f"import {name}\n" for name in names) + "print(*sys.modules)"
    return subprocess.run((*command[:at], "-c", program), capture_output=True, text=True, check=False, cwd="/")


def test_the_agent_imports_the_two_packages_and_its_own() -> None:
    done = agent_that_imports(agent_command(), *PACKAGES, "containerlab_probes.processes.load", "psutil._pslinux")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()} - {"__main__"}
    assert loaded - set(sys.stdlib_module_names) == {"containerlab_probes", *PACKAGES}


@pytest.mark.parametrize("name", ["textual", "docker", "requests", "pytest", "pip", "containerlab_tui"])
def test_the_agent_cannot_import(name: str) -> None:
    done = agent_that_imports(agent_command(), name)
    assert f"No module named '{name}'" in done.stderr


def test_an_agent_installed_beside_other_packages_cannot_import_them(tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / HERE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docker.py").touch()
    command = [
        str(tmp_path / HERE.name / "__main__.py") if one.endswith("__main__.py") else one for one in agent_command()
    ]
    done = agent_that_imports(command, "containerlab_probes.memory.sysv")
    assert done.returncode == 0, done.stderr
    assert "No module named 'docker'" in agent_that_imports(command, "docker").stderr


def test_a_package_that_is_missing_is_not_named() -> None:
    assert _directory_of("no_such_package") == ""
    assert _directory_of("psutil") == str(Path(psutil_file()).parent.parent)


def psutil_file() -> str:
    import psutil

    return str(psutil.__file__)


def test_an_agent_loads_neither_package_before_it_needs_one() -> None:
    done = agent_that_imports(agent_command())
    assert done.returncode == 0, done.stderr
    assert not set(PACKAGES) & set(done.stdout.split())
