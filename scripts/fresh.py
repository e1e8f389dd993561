"""Runs the README's two commands, `make run` and `make test`, on a Debian with nothing but what the README asks for.

    scripts/fresh.py [bookworm] [trixie] [--tests ARGS]

The Debian is a folder made by mmdebstrap that becomes the root of a private mount namespace (scripts/fresh-root). It
shares kernel, PIDs and network with this machine, and nothing else but the certificates and the settings of apt and pip
that lead to the packages. A clone of the last commit is tested: what isn't committed is left out.
"""

import argparse
import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

CHECKOUT = Path(__file__).resolve().parents[1]
SUITES = ("bookworm", "trixie")
README_ASKS_FOR = ("python3", "git", "make", "ca-certificates")
HOME = "/root"
INSIDE = f"{HOME}/containerlab-tui"
SCREEN_WITHIN_S = 900.0
LIMIT_S = 2400
"""For one suite, from nothing to the end of the tests."""
PR_SET_CHILD_SUBREAPER = 36
FOLDER = "/var/tmp"  # noqa: S108  # nosec B108 # on a disk: /tmp may be in memory, where survival of a reboot can't be tested
CERTIFICATES = Path("/usr/local/share/ca-certificates")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
FIRST_SCREEN = ("NAME", "dockerapp1", "scratch-static", "handled")
"""All of it is on the main screen once it knows its containers; the progress before it has one name at a time."""
ANNOUNCED = "It needs the network"
"""What scripts/setup says before it begins."""


class Failed(Exception):
    """What didn't work, as a sentence."""


def say(text: str) -> None:
    """Prints a line that stands out among the output of the tests."""
    print(f"== {text}", flush=True)


def run(*command: str, **named: str) -> str:
    """Runs a command of this machine and returns its output; raises Failed."""
    done = subprocess.run(
        command, env=os.environ | named, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{shlex.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def make_root(suite: str, root: Path) -> None:
    """Makes the minimal Debian, with this machine's own certificates and settings for packages."""
    run("mmdebstrap", "--variant=minbase", f"--include={','.join(README_ASKS_FOR)}", suite, str(root))
    for certificate in CERTIFICATES.glob("*.crt"):
        shutil.copy(certificate, root / CERTIFICATES.relative_to("/"))
    run("chroot", str(root), "update-ca-certificates")
    apt = [
        line for line in run("apt-config", "dump").splitlines() if line.startswith(("Acquire::http", "Acquire::Check"))
    ]
    (root / "etc/apt/apt.conf.d/90outside").write_text("\n".join([*apt, ""]))
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc" / name)
    write_pip_settings(root / "etc/pip.conf")


def write_pip_settings(target: Path) -> None:
    """Writes which index and proxy pip uses on this machine. Its folders of packages aren't in the new root."""
    listed = run(sys.executable, "-m", "pip", "config", "list")
    lines = {"cert = /etc/ssl/certs/ca-certificates.crt"}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].strip("'")
        if key in ("index-url", "extra-index-url", "proxy", "trusted-host", "default-timeout") and "file:" not in value:
            lines.add(f"{key} = {value.strip(chr(39))}")
    target.write_text("\n".join(["[global]", *sorted(lines), ""]))


def clone(root: Path) -> None:
    """Puts the last commit of this checkout into the new root, with its history as far as it is here."""
    settings = root / "tmp/git-settings"
    settings.write_text("[safe]\n\tdirectory = *\n")  # with sudo, the checkout belongs to somebody else
    run("git", "clone", "--quiet", f"file://{CHECKOUT}", str(root) + INSIDE, GIT_CONFIG_GLOBAL=str(settings))
    settings.unlink()


class Machine:
    """The new root, while a process keeps its mount namespace."""

    def __init__(self, root: Path, keeper: int) -> None:
        self._keeper = keeper
        self._tmux = ("tmux", "-u", "-S", str(root.parent / "tmux"), "-f", os.devnull)

    def command(self, *argv: str, term: str = "dumb") -> list[str]:
        """Returns the command that runs `argv` in there, in the clone, with a new environment."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        proxies = [f"{name}={os.environ[name]}" for name in PROXIES if name in os.environ]
        entering = ("nsenter", f"--mount=/proc/{self._keeper}/ns/mnt", "env", "-i", "-C", INSIDE)
        return [*entering, f"HOME={HOME}", f"PATH={path}", f"TERM={term}", *proxies, *argv]

    def call(self, *argv: str) -> int:
        """Runs `argv` in there without a terminal, with this process's output; returns its exit status."""
        return subprocess.run(self.command(*argv), stdin=subprocess.DEVNULL, check=False).returncode

    def open_terminal(self, *argv: str) -> None:
        """Runs `argv` in there in a terminal of 140 columns and 45 rows."""
        line = shlex.join(self.command(*argv, term="tmux-256color"))
        run(*self._tmux, "new-session", "-d", "-x", "140", "-y", "45", f"{line}; echo ended with $?; exec sleep 1000")

    def screen(self) -> str:
        """Returns what the terminal shows."""
        return run(*self._tmux, "capture-pane", "-p")

    def press(self, key: str) -> None:
        """Presses a key in the terminal."""
        run(*self._tmux, "send-keys", key)

    def close_terminal(self) -> None:
        """Ends the terminal."""
        with contextlib.suppress(Failed):
            run(*self._tmux, "kill-server")


def until(condition: Callable[[], bool], machine: Machine, what: str, within_s: float) -> None:
    """Waits for the condition; raises Failed with what the terminal shows."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline or "ended with" in machine.screen():
            if condition():
                return
            raise Failed(f"{what} did not come. The terminal shows:\n{machine.screen().rstrip()}")
        time.sleep(0.25)


@contextmanager
def started(root: Path) -> Iterator[Machine]:
    """Starts the machine, and ends its terminal and its lab."""
    keeper = subprocess.Popen(
        ("unshare", "--mount", "--propagation=private", str(CHECKOUT / "scripts/fresh-root"), str(root),
         "sh", "-c", "echo up; exec sleep infinity"),
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    machine = Machine(root, keeper.pid)
    try:
        if keeper.stdout is None or keeper.stdout.readline() != "up\n":
            raise Failed("The new root could not be entered; this needs root and mount namespaces.")
        yield machine
    finally:
        signal.alarm(120)  # the clean-up has a limit too
        machine.close_terminal()
        machine.call("sh", "-c", "[ ! -e .venv ] || .venv/bin/containerlab-tui lab down")
        keeper.kill()
        keeper.wait()


def descendants() -> list[int]:
    """Returns the PIDs of all processes below this one. As a subreaper it also has those that were left by a parent."""
    parents = dict[int, int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_bytes().rpartition(b")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += (child for child, parent in parents.items() if parent == pid)
    return found[1:]


def end_descendants(within_s: float = 30.0) -> None:
    """Ends what still runs: asks first, so that a Docker daemon can end its containers, and kills in the end."""
    deadline = time.monotonic() + within_s
    asked = set[int]()
    while alive := descendants():
        late = time.monotonic() > deadline
        for pid in alive:
            if late or pid not in asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked.update(alive)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.1)


def used_mb(root: Path) -> int:
    """Returns how much of the disk the new root takes, in MB."""
    return int(run("du", "--summarize", "--one-file-system", "--block-size=1MB", str(root)).split()[0])


def check(suite: str, tests: str, root: Path) -> None:
    """Runs both commands; raises Failed."""
    began = time.monotonic()
    make_root(suite, root)
    clone(root)
    before, made = used_mb(root), time.monotonic()
    say(f"{suite}: a minimal system in {made - began:.0f} s")
    with started(root) as machine:
        machine.open_terminal("make", "run")
        until(lambda: ANNOUNCED in machine.screen(), machine, "What the first start takes", 60)
        announced = machine.screen().strip()
        until(lambda: all(word in machine.screen() for word in FIRST_SCREEN), machine, "The screen", SCREEN_WITHIN_S)
        shown = time.monotonic()
        print(announced, machine.screen().rstrip(), sep="\n\n")
        machine.press("q")
        until(lambda: "ended with 0" in machine.screen(), machine, "The end after q", 60)
        machine.close_terminal()
        screens = used_mb(root)
        say(f"{suite}: make run came to the first screen in {shown - made:.0f} s and took {screens - before} MB")
        began = time.monotonic()
        status = machine.call("make", "test", *([f"ARGS={tests}"] if tests else []))
        say(f"{suite}: make test took {time.monotonic() - began:.0f} s and {used_mb(root) - screens} MB more")
        if status:
            raise Failed(f"make test ended with status {status}.")


def interrupted(number: int, frame: FrameType | None) -> None:
    """Turns a signal into an exception that passes through the clean-up: the time limit's, or one that ends all."""
    if number == signal.SIGALRM:
        raise Failed("The time limit is over.")
    sys.exit(128 + number)


def work(suite: str, tests: str, root: Path) -> bool:
    """Checks a suite within the time limit; returns whether all went well."""
    signal.alarm(LIMIT_S)
    try:
        check(suite, tests, root)
    except Failed as failed:
        say(f"{suite}: FAILED. {failed}")
        return False
    say(f"{suite}: passed")
    return True


def fresh(suite: str, tests: str) -> bool:
    """Makes the machine, checks it and removes it; returns whether all went well.

    The work is a child's. This process stands for init meanwhile: it reaps each process that its parent left, since
    tests wait until such a process has disappeared.
    """
    folder = Path(tempfile.mkdtemp(prefix="containerlab-fresh-", dir=FOLDER))
    try:
        worker = os.fork()
        if worker == 0:
            status = 1
            try:
                status = 0 if work(suite, tests, folder / "root") else 1
            finally:
                sys.stdout.flush()
                os._exit(status)
        ended, status = os.wait()
        while ended != worker:
            ended, status = os.wait()
        return status == 0
    finally:
        end_descendants()
        # The mounts were those of the namespace, which has ended with its processes.
        run("rm", "--recursive", "--force", "--one-file-system", str(folder))


def main() -> int:
    """Checks the suites that the command line names, by default all."""
    parser = argparse.ArgumentParser(prog="scripts/fresh.py", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"of Debian: {', '.join(SUITES)} (default: both)")
    parser.add_argument("--tests", default="", metavar="ARGS", help="arguments for pytest, as in make test ARGS=…")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("this needs root")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)
    passed = [fresh(suite, options.tests) for suite in options.suite or SUITES]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
