"""The lab: a private engine, the project's images on it, and the demonstration containers.

A second `up` lists images and containers and creates only the missing ones.
"""

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from containerlab_probes.errors import Denied, TimedOut, Unreachable
from containerlab_probes.kernel.mounts import read_mounts
from containerlab_tui import directories
from containerlab_tui.lab import daemon, images
from containerlab_tui.lab.demonstrations import DEMONSTRATIONS, LABEL
from containerlab_tui.lab.demonstrations import ensure as ensure_demonstrations
from containerlab_tui.lab.lock import locked
from containerlab_tui.lab.parallel import in_parallel, lab_client
from containerlab_tui.lab.progress import Report, Steps


@dataclass(frozen=True, slots=True)
class LabStatus:
    endpoint: str
    """As for `docker --host`; if no engine runs, the one that `up` would create."""
    pid: int | None
    """The daemon's PID; None if it doesn't run."""
    images: tuple[tuple[str, bool], ...]
    """Each image of the project, and whether the engine has its current version."""
    containers: tuple[tuple[str, str], ...]
    """Each demonstration container with its state as the engine names it, or `missing`."""
    data: Path
    log: Path

    @property
    def running(self) -> bool:
        return self.pid is not None


class Lab:
    """One user's lab. The constructor touches nothing."""

    def __init__(self, state: Path | None = None, runtime: Path | None = None, cache: Path | None = None) -> None:
        """Directories for data, for sockets, and for the base of the images; by default the user's."""
        self._state, self._runtime, self._cache = state, runtime, cache

    @property
    def _places(self) -> daemon.Places:
        return daemon.Places(
            self._state or directories.state_dir() / "lab",
            self._runtime or directories.runtime_dir() / "lab",
        )

    @property
    def endpoint(self) -> str:
        """The engine's address as for `docker --host`, running or not."""
        with daemon.found(self._places) as running:
            return f"unix://{running.socket if running else self._places.socket}"

    def up(self, progress: Report | None = None, demonstrations: bool = True) -> str:
        """Makes sure that engine, images and (optionally) demonstration containers are up. Returns the endpoint.

        Raises Denied without root, Unsupported if a package is missing, Unreachable if the engine doesn't start.
        """
        _require_root()
        steps = Steps(progress, 1 + images.steps() + (len(DEMONSTRATIONS) if demonstrations else 0))
        if self._state is None:
            directories.state_dir(create=True)
        if self._runtime is None:
            directories.runtime_dir(create=True)
        self._places.state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._lock, lambda: steps.note("waiting for another command on this lab")):
            steps.note("starting the engine")
            steps.done("engine started" if daemon.ensure(self._places) else "engine running")
            endpoint = self.endpoint
            images.ensure(endpoint, self._base_cache, steps)
            if demonstrations:
                ensure_demonstrations(endpoint, steps)
        return endpoint

    def status(self) -> LabStatus:
        """Returns the current status. Raises Unreachable if the engine runs but doesn't respond."""
        places, made, built = self._places, dict[str, str](), dict[str, str]()
        with daemon.found(places) as running:
            pid = running.pid if running else None
        endpoint = self.endpoint
        if pid is not None:
            with lab_client(endpoint) as opened:
                made = {name: container.state for name, container in opened.containers(LABEL).items()}
                built = {tag: image.mark for tag, image in opened.images().items()}
        return LabStatus(
            endpoint,
            pid,
            tuple((name, built.get(name) == mark) for name, mark in images.marks().items()),
            tuple((each.name, made.get(each.name, "missing")) for each in DEMONSTRATIONS),
            places.data,
            places.log,
        )

    def down(self, purge: bool = False) -> bool:
        """Stops the engine and all containers; `purge` also removes the data. Returns whether an engine was running.

        Containers are killed first, to avoid their grace periods.
        """
        places = self._places
        if not places.state.exists():
            return False  # nothing to stop or remove
        _require_root()
        with locked(self._lock, lambda: None):
            if purge and _mounts_below(places.data):
                daemon.ensure(places)  # it crashed: only a daemon can clean up after one
            ended = _end(places, self.endpoint)
            if purge:
                _remove(places)
                if self._cache is None:
                    shutil.rmtree(self._base_cache, ignore_errors=True)
        return ended

    @property
    def _base_cache(self) -> Path:
        return self._cache or self._places.state.with_name("base")

    @property
    def _lock(self) -> Path:
        state = self._places.state
        return state.with_name(f"{state.name}.lock")  # outside the directories that a purge removes


def _require_root() -> None:
    if os.geteuid() != 0:
        raise Denied("The lab starts its own engine, which needs root. Run the same command with sudo.")


def _end(places: daemon.Places, endpoint: str) -> bool:
    with daemon.found(places) as running:
        if running is None:
            return False
    with contextlib.suppress(Unreachable, TimedOut):  # the engine is stopped anyway, only more slowly
        with lab_client(endpoint) as opened:
            ids = opened.running()
        in_parallel(endpoint, ids, lambda own, container: own.kill(container))
    return daemon.end(places)


def _mounts_below(place: Path) -> list[str]:
    """Returns the mount points below a directory of this host."""
    return [mount.point for mount in read_mounts() if mount.point.startswith(f"{place}/")]


def _remove(places: daemon.Places) -> None:
    """Removes the data of a stopped daemon. After a crash its data root is still mounted on itself."""
    for place in (places.state, places.runtime):
        for point in reversed(_mounts_below(place)):
            done = subprocess.run(("umount", "--", point), capture_output=True, text=True, check=False)
            if done.returncode:
                raise Denied(f"{place} was not removed, because something is mounted there: {done.stderr.strip()}")
        if place.exists():
            shutil.rmtree(place)
