"""The wheel contains only the two packages, their stylesheets and the images' folders."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"containerlab_probes": ROOT / "probes", "containerlab_tui": ROOT / "tui"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)),
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = place.glob("*.whl")
    return zipfile.ZipFile(path)


def wanted() -> set[str]:
    """Returns the wanted files of the wheel, by their paths in it."""
    files = {
        str(path.relative_to(root))
        for package, root in PACKAGES.items()
        for path in (root / package).rglob("*")
        if path.suffix in (".py", ".tcss", ".toml") or path.name == "py.typed"
    }
    images = {f"containerlab_tui/{path.relative_to(ROOT)}" for path in (ROOT / "images").glob("*/*") if path.is_file()}
    return files | images


def test_contains_exactly_the_wanted_files(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == wanted()
    assert any(name.endswith(".tcss") for name in inside)
    assert {"containerlab_probes/py.typed", "containerlab_tui/py.typed"} <= inside


def test_has_ten_images_with_a_dockerfile_each(wheel: zipfile.ZipFile) -> None:
    dockerfiles = [name for name in wheel.namelist() if name.startswith("containerlab_tui/images/")]
    assert sum(name.endswith("/Dockerfile") for name in dockerfiles) == 10


def test_names_its_command_and_licence(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "containerlab-tui = containerlab_tui.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert "License-Expression: MIT" in wheel.read(f"{info}/METADATA").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_an_unpacked_wheel_finds_its_images(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    program = "from containerlab_tui.lab import image_folders; print(image_folders.folder(), *image_folders.names())"
    done = subprocess.run(
        (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    place, *names = done.stdout.split()
    assert place == str(tmp_path / "containerlab_tui" / "images")
    assert "systemv-shm" in names
