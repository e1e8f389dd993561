"""Docker engines: a folder with a program `dockerd` that starts another version or with other settings.

With that folder first in PATH, the lab starts this engine, and so do tests that start other daemons.
"""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from containerlab_probes.kernel.mounts import read_mounts
from tests.engines import programs
from tests.engines.matrix import Engine

START = """#!/bin/sh
# Starts the engine {name} of tests/engines/matrix.py, with the same process id.
set -e
export PATH='{programs}':"$PATH"
{prepare}exec '{programs}/dockerd' "$@" --config-file='{config}'
"""
UNIFIED = """if [ -z "$UNIFIED" ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    export UNIFIED=1
    mkdir -p '{memory}'
    echo $$ >'{memory}/cgroup.procs'
    for each; do
        case $each in --data-root=*) data=${{each#*=}} ;; esac
    done
    mkdir -p "$data"
    mountpoint --quiet "$data" || mount --bind "$data" "$data"
    mount --make-shared "$data"
    exec unshare --mount --propagation=unchanged "$0" "$@"
elif [ -n "$UNIFIED" ]; then
    mount --make-rprivate /sys/fs/cgroup
    umount --recursive /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
"""
"""Only the hierarchy of version 2 is mounted for this daemon, as on most machines; its containers' root directories are
mounted for all of this machine, as always. In version 1, PID 1 of its containers stays in the daemon's cgroups: the
daemon gets a separate memory cgroup, so that a mistake reaches nothing else."""
MEMORY = Path("/sys/fs/cgroup/memory/containerlab-test-engines")


def prepare(engine: Engine, place: Path) -> Path:
    """Returns the folder with `dockerd` and `docker`, written into `place`."""
    made = programs.ensure(engine)
    folder = place / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    config = place / "daemon.json"
    features = {"containerd-snapshotter": "containerd" in engine.words}
    config.write_text(json.dumps({"features": features}))
    before = f"export DOCKER_MIN_API_VERSION={engine.min_api}\n" if engine.min_api else ""
    if "cgroup2" in engine.words:
        before += UNIFIED.format(memory=MEMORY)
    _write(folder / "dockerd", START.format(name=engine.name, programs=made, prepare=before, config=config))
    link = folder / f"docker.{os.getpid()}"
    link.symlink_to(made / "docker")
    link.rename(folder / "docker")
    return folder


def clean(state: Path) -> None:
    """Removes what a daemon with cgroups of version 2 alone has left: its memory cgroup, and the mount of its data."""
    with contextlib.suppress(OSError):  # there is none, or another daemon is in it
        MEMORY.rmdir()
    for mount in reversed(read_mounts()):
        if mount.point == f"{state}/data":
            subprocess.run(("umount", "--", mount.point), check=False)


def _write(path: Path, text: str) -> None:
    """Replaces a program in one step: another run may be starting it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.chmod(0o755)
    unfinished.rename(path)
