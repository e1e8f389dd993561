"""The base of the lab's images: a small Debian or Ubuntu with Python, built by mmdebstrap from the host's release.

Built once; the tar is cached under the hash of its recipe.
"""

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from containerlab_probes.errors import Unsupported
from containerlab_tui.lab.lock import locked

REPOSITORY = "containerlab/base"
PACKAGES = (
    "python3-minimal",
    "libpython3-stdlib",
    "python3-sysv-ipc",
    "supervisor",
    "tini",
    "busybox-static",
    "procps",
)
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
"""Links /bin, /lib … into /usr before the first package: otherwise a package does it and brings 50 MB of Perl."""
UNWANTED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")


def recipe(release_of: Callable[[], dict[str, str]] = platform.freedesktop_os_release) -> tuple[str, ...]:
    """Returns mmdebstrap's arguments without the tar. The suite is the host's, or Debian 12 on other systems."""
    try:
        release = release_of()
    except OSError:
        release = {}
    ubuntu = release.get("ID") == "ubuntu"
    suite = release.get("VERSION_CODENAME", "bookworm") if ubuntu or release.get("ID") == "debian" else "bookworm"
    return (
        "--variant=essential",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={each}" for each in UNWANTED),
        *((f"--hook-dir={MERGED_USR}",) if MERGED_USR.is_dir() else ()),
        *(("--components=main,universe",) if ubuntu else ()),
        suite,
    )


def mark() -> str:
    """Returns the hash of the recipe."""
    return hashlib.sha256("\0".join(recipe()).encode()).hexdigest()


def tar(cache: Path, report: Callable[[str], None]) -> Path:
    """Returns the tar of the base, built if missing (about 20 s); `report` gets the progress of mmdebstrap.

    Raises Unsupported if mmdebstrap is missing or fails, with its last lines.
    """
    kept = cache / f"base-{mark()[:16]}.tar"
    if kept.is_file():
        return kept
    program = shutil.which("mmdebstrap")
    if program is None:
        raise Unsupported(
            "The lab's images need mmdebstrap, which is not installed: install the package mmdebstrap "
            "(`apt-get install mmdebstrap`) and try again."
        )
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock", lambda: report("waiting for another run that builds it")):
        if not kept.is_file():
            _make(program, kept, report)
    return kept


def _make(program: str, kept: Path, report: Callable[[str], None]) -> None:
    for old in kept.parent.glob("base-*.tar"):
        old.unlink()
    unfinished = kept.with_suffix(".unfinished.tar")
    last_words = _run((program, *recipe(), str(unfinished)), report)
    if last_words:
        unfinished.unlink(missing_ok=True)
        raise Unsupported(f"The base of the lab's images could not be built; mmdebstrap reported: {last_words}")
    unfinished.rename(kept)


def _run(command: tuple[str, ...], report: Callable[[str], None]) -> str:
    """Runs mmdebstrap. Returns its last lines if it failed, else an empty string."""
    lines = list[str]()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stderr or ():
                lines.append(line.strip())
                if line.startswith("I: "):
                    report(line[3:].strip())
        except BaseException:
            process.terminate()  # it removes its temporary directory
            raise
    if process.returncode == 0:
        return ""
    return " / ".join(lines[-4:]) or f"nothing (status {process.returncode})"
