"""The programs of another Debian suite, made to run on this machine.

mmdebstrap unpacks the suite's packages into a folder and installs nothing; it takes them from where apt on this machine
takes its own. patchelf points copies of the programs at the suite's C library in that folder. So
the daemon runs among this machine's files: bind mounts, mounts and cgroups are where they are for an installed one,
which a daemon in a chroot would not show.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from containerlab_tui import directories
from containerlab_tui.lab.lock import locked
from tests.engines.matrix import Engine

FOLDERS = ("usr/bin", "usr/sbin", "usr/libexec/docker", "usr/libexec/podman", "usr/lib/podman")
DOCKER = ("dockerd", "docker", "docker-init", "docker-proxy", "containerd", "containerd-shim-runc-v2", "runc")
PODMAN = ("podman", "conmon", "runc", "crun", "catatonit", "netavark", "rootlessport")
SID = ("--aptopt=Acquire::Check-Valid-Until false",)
"""Copies of sid may be older than its Release file allows."""
PATCHELF_SUITE = "bookworm"
"""Its patchelf is 0.14; the 0.18 of trixie writes Go programs that the kernel ends with SIGSEGV."""


def cache() -> Path:
    """Returns the folder of all suites: containerlab-tui/engines in $XDG_CACHE_HOME, or in /var/cache without it.

    Root's own ~/.cache is closed to the user of a rootless engine.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    place = (Path(named) if named.startswith("/") else Path("/var/cache")) / directories.NAME / "engines"
    place.mkdir(parents=True, exist_ok=True)
    return place


def ensure(engine: Engine) -> Path:
    """Returns the folder with the engine's programs; downloads them if they are missing (150 MB, a minute)."""
    root = _unpacked(engine.suite, engine.packages)
    made = root / "programs"
    if not made.is_dir():
        patchelf = _unpacked(PATCHELF_SUITE, ("patchelf",))
        with locked(root.with_suffix(".lock"), lambda: None):
            if not made.is_dir():
                _copy_programs(root, PODMAN if engine.is_podman else DOCKER, patchelf)
    return made


def _unpacked(suite: str, packages: tuple[str, ...]) -> Path:
    """Returns the folder with the files of these packages and of those that they need."""
    recipe = ("--variant=extract", f"--include={','.join(packages)}", *(SID if suite == "sid" else ()), suite)
    key = hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:8]
    root = cache() / f"{packages[0]}-{suite}-{key}"
    with locked(root.with_suffix(".lock"), lambda: None):
        if not root.is_dir():
            unfinished = root.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _run("mmdebstrap", *recipe, str(unfinished))
            unfinished.rename(root)
    return root


def _copy_programs(root: Path, names: tuple[str, ...], patchelf_root: Path) -> None:
    """Copies the programs of the suite to root/programs and points them at the suite's C library."""
    unfinished = root / "programs.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    path = _library_path(root)
    loader = str(_loader(root))
    own = (str(_loader(patchelf_root)), "--library-path", _library_path(patchelf_root))
    patchelf = (*own, str(patchelf_root / "usr/bin/patchelf"))
    for name in names:
        program = str(unfinished / name)
        shutil.copy(_resolved(root, name), program)
        asked = subprocess.run((*patchelf, "--print-interpreter", program), capture_output=True, check=False)
        if asked.returncode == 0:  # others are static
            _run(*patchelf, "--set-interpreter", loader, "--force-rpath", "--set-rpath", path, program)
    unfinished.rename(root / "programs")


def _resolved(root: Path, name: str) -> Path:
    """Returns the file of a program; absolute links are relative to the suite's root."""
    for folder in FOLDERS:
        path = root / folder / name
        while path.is_symlink():
            target = path.readlink()
            path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
        if path.is_file():
            return path
    raise FileNotFoundError(f"the packages in {root} have no program {name}")


def _loader(root: Path) -> Path:
    """Returns the suite's dynamic loader; each architecture has another name for it."""
    folders = ("lib64", "lib", "usr/lib64", "usr/lib")
    return next(each for folder in folders for each in (root / folder).glob("ld-linux*"))


def _library_path(root: Path) -> str:
    """Returns the folders of the suite's libraries as a search path."""
    triple = next(root.glob("**/libc.so.6")).parent.name
    return ":".join(str(folder) for name in ("lib", "usr/lib") if (folder := root / name / triple).is_dir())


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()[-2000:]}")
