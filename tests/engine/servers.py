"""The image with the real programs of the prediction table, built once with mmdebstrap and kept with the lab's base."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from containerlab_tui.lab import base
from containerlab_tui.lab.lock import locked
from containerlab_tui.lab.parallel import lab_client

REPOSITORY = "containerlab/servers"
IMAGE = f"{REPOSITORY}:latest"
PACKAGES = (
    "nginx-light", "apache2", "haproxy", "lighttpd", "squid",
    "redis-server", "memcached", "postgresql", "mariadb-server",
    "php-fpm", "gunicorn", "uwsgi-core", "uwsgi-plugin-python3",
    "openssh-server", "cron", "rsyslog", "dnsmasq-base", "bind9", "socat",
    "dumb-init", "catatonit", "runit", "s6", "sudo", "gosu",
    "mksh", "zsh", "nodejs", "ruby",
)  # fmt: skip
UNNEEDED = ("/usr/lib/*/libLLVM*", "/usr/lib/llvm-*", "/usr/share/zsh/functions/*", "/usr/lib/*/libz3*")
"""Large, and used by none of the forms (PostgreSQL's compiler of queries, completions)."""


def recipe() -> tuple[str, ...]:
    """Returns the recipe of the lab's base with more packages."""
    words = [word for word in base.recipe() if not word.startswith("--include=")]
    packages = ",".join((*base.PACKAGES, *PACKAGES))
    return (f"--include={packages}", *(f"--dpkgopt=path-exclude={each}" for each in UNNEEDED), *words)


def ensure(endpoint: str, cache: Path, said: Callable[[str], None] = print) -> str:
    """Builds the image on that engine if it is missing and returns its tag. The tar takes about 100 s, once."""
    mark = hashlib.sha256("\0".join(recipe()).encode()).hexdigest()
    cache.mkdir(parents=True, exist_ok=True)
    waiting = "waiting for another run that makes the servers"
    with locked(cache / "servers.lock", lambda: said(waiting)), lab_client(endpoint) as opened:
        there = opened.images().get(IMAGE)
        if there is None or there.mark != mark:
            tar = cache / f"servers-{mark[:16]}.tar"
            if not tar.is_file():
                _make(tar)
            opened.import_image(tar, REPOSITORY, mark)
    return IMAGE


def _make(tar: Path) -> None:
    program = shutil.which("mmdebstrap")
    assert program is not None, "mmdebstrap is not installed"
    for old in tar.parent.glob("servers-*.tar"):
        old.unlink()
    unfinished = tar.with_suffix(".unfinished.tar")
    done = subprocess.run(
        (program, *recipe(), str(unfinished)), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"mmdebstrap: {done.stderr[-2000:]}"
    unfinished.rename(tar)
