"""Measures the program's speed and resource use, as a table: `python bench/run.py [--host unix://SOCKET] [--quick]`.

Without --host a private engine is started with 100 containers that sleep. Times are medians, taken from outside: the
program runs in a terminal of 160x50, and what counts is what stands on the screen.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from containerlab_probes.client import OverviewClient, ProbeClient
from containerlab_probes.errors import ContainerlabError
from containerlab_tui import directories
from containerlab_tui.engine.api import Engine, RunRequest
from containerlab_tui.engine.connection import connect
from containerlab_tui.lab.lab import Lab
from containerlab_tui.services.processes import run_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.remote import starts_over_ssh
from bench.usage import cpu_s, family, peak_mb, peer_pid
from tests.support.docker import Docker
from tests.support.terminal import Terminal

LABEL = "containerlab.bench"
IMAGE = "containerlab/scratch-static:latest"
BUSY_IMAGE, BUSY_NAME = "containerlab/base:latest", "busy-watched"
BUSY_S = 10.0
BUSY = """
import os, signal, time
signal.signal(signal.SIGUSR1, lambda *a: None)
signal.signal(signal.SIGUSR2, lambda *a: None)
signal.pause()
began = time.monotonic()
for sent in range(200_000):
    if sent % 100 == 0:
        time.sleep(max(0, began + sent / 10_000 - time.monotonic()))
    os.kill(1, signal.SIGUSR1)
while True: signal.pause()
"""
"""Waits for SIGUSR2, sends for 20 s, then waits until it is killed."""
MANY_READY = b"all are there"
MANY = """
import os, signal
for _ in range(9999):
    if os.fork() == 0:
        signal.alarm(600)
        signal.pause()
print("all are there", flush=True)
signal.alarm(600)
signal.pause()
"""
"""10,000 processes that end on their own."""
ROW = re.compile(r"bench-\d{3}")
COLUMNS, ROWS = 160, 50
LIMIT_S = 30.0
WARM_CYCLES, CYCLES = 5, 50

C = TypeVar("C", ProbeClient, OverviewClient)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    value: float | None
    """None: never reached."""
    budget: float
    unit: str

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return "never" if self.value is None else f"{self.value:.3g} {self.unit}"

    @property
    def met(self) -> bool:
        return self.value is not None and self.value <= self.budget


class Bench:
    """Measures one program on one engine."""

    def __init__(self, engine: Engine, command: str, runs: int, idle_s: float) -> None:
        self._engine, self._command, self._runs, self._idle_s = engine, command, runs, idle_s
        self._idle_cpu = 0.0
        """Cores that the idle program uses."""
        self._terminal = Terminal(COLUMNS, ROWS)
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/root"),
            "TERM": "tmux-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "DOCKER_HOST": engine.endpoint,
        }

    def close(self) -> None:
        self._terminal.close()

    def screens(self) -> Iterator[Line]:
        """Measures the UI in the terminal."""
        self._start()  # once for the page cache
        self._terminal.end_program()
        starts = []
        for _ in range(self._runs):
            starts.append(self._start())
            self._terminal.end_program()
            time.sleep(0.5)
        yield Line("start to rows on the screen", _median(starts), 0.5, "s")
        before = self._idle()
        self._start()
        time.sleep(10)  # details of each container are read after the first frame
        yield from self._idle_lines(before)
        yield Line("a change in the engine to its row", _median([self._change() for _ in range(self._runs)]), 0.15, "s")
        keys = [self._key() for _ in range(3 * self._runs)]
        yield Line("key press to repaint", _median(keys, 1000), 30, "ms")
        yield Line("a container created and removed: CPU", self._cycle_ms("create"), 20, "ms")
        yield Line("a container run and removed: CPU", self._cycle_ms("run", "-d"), 20, "ms")
        yield Line("peak memory, program and agents", peak_mb(family(self._terminal.pid)), 90, "MB")
        self._terminal.end_program()

    def watching(self) -> Iterator[Line]:
        """Measures the signal watch while one process sends itself 10,000 signals per second."""
        what = "watching 10,000 signals a second: "
        self._engine.run(RunRequest(BUSY_IMAGE, ("python3", "-c", BUSY), BUSY_NAME, labels={LABEL: ""}))
        try:
            self._start()
            self._terminal.press("/")
            self._terminal.press(f"-l {BUSY_NAME}")
            self._terminal.press("Enter")
            self._terminal.wait(lambda: not self._rows() and self._shows(f"{BUSY_NAME}.*TERM ⊘"), 20, 0.05)
            self._terminal.press("w")
            self._terminal.wait(lambda: self._shows("kernel trace ●"), 5, 0.05)
            self._engine.kill(BUSY_NAME, "SIGUSR2")
            if self._terminal.wait(lambda: self._shows(r"\d,\d{3}/s"), 5, 0.05) is None:
                yield Line(f"{what}CPU", None, 0.5, "cores")
                return
            pids = family(self._terminal.pid)
            before, began = cpu_s(pids), time.monotonic()
            time.sleep(BUSY_S)
            share = (cpu_s(pids) - before) / (time.monotonic() - began)
            seen = self._shows(r"\d,\d{3}/s")
            yield Line(f"{what}CPU", share if seen else None, 0.5, "cores")
            lost = self._shows(r"! (\S+) lost")
            count = lost[1].rstrip("+").replace(",", "") if lost else "0"
            yield Line(f"{what}lost", int(count) if count.isdecimal() else None, 0, "events")  # None: "some"
            keys = [self._pause(("paused,", "following")[number % 2]) for number in range(6)]
            yield Line(f"{what}key press to repaint", _median(keys, 1000), 100, "ms")
        finally:
            self._terminal.end_program()
            self._engine.remove(BUSY_NAME, force=True)

    def _shows(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, "\n".join(self._terminal.screen()))

    def _pause(self, then: str) -> float | None:
        """Pauses or resumes the list."""
        pressed = time.monotonic()
        self._terminal.press("p")
        seen = self._terminal.wait(lambda: self._shows(then) is not None, 3, 0.002)
        time.sleep(0.4)
        return None if seen is None else seen - pressed

    def _start(self) -> float | None:
        began = self._terminal.run(self._command, self._environment)
        seen = self._terminal.wait(lambda: len(self._rows()) >= 10, LIMIT_S, 0.005)
        return None if seen is None else seen - began

    def _rows(self) -> set[str]:
        return {found.group() for line in self._terminal.screen() if (found := ROW.search(line))}

    def _idle(self) -> float:
        """Returns the daemon's CPU seconds while idle."""
        daemon = peer_pid(self._engine.endpoint.removeprefix("unix://"))
        before = cpu_s([daemon], ended_children=False)
        time.sleep(self._idle_s)
        return cpu_s([daemon], ended_children=False) - before

    def _idle_lines(self, daemon_alone: float) -> Iterator[Line]:
        pid = self._terminal.pid
        before = cpu_s(family(pid))
        daemon = self._idle()
        scale = 60 / self._idle_s
        self._idle_cpu = (cpu_s(family(pid)) - before) / self._idle_s
        yield Line("60 s idle: CPU, program and agents", self._idle_cpu * 60, 0.5, "s")
        yield Line("60 s idle: CPU more in dockerd", max(0.0, daemon - daemon_alone) * scale, 0.1, "s")

    def _change(self) -> float | None:
        """Measures the time from the engine's response to a pause until the screen shows it."""
        name = sorted(self._rows())[4]

        def shows(word: str) -> bool:
            return any(name in line and word in line for line in self._terminal.screen())

        self._engine.pause(name)
        answered = time.monotonic()
        seen = self._terminal.wait(lambda: shows("paused"), 5, 0.002)
        self._engine.unpause(name)
        self._terminal.wait(lambda: not shows("paused"), 5, 0.02)
        return None if seen is None else max(0.0, seen - answered)

    def _cycle_ms(self, *words: str) -> float:
        """Returns the CPU time for a container that `docker WORDS` makes, and that is removed, beyond that of idling.

        The first ones are not counted: they import.
        """
        before = began = 0.0
        with tempfile.TemporaryDirectory() as config:
            docker = Docker(self._engine.endpoint, config)
            for number in range(WARM_CYCLES + CYCLES):
                if number == WARM_CYCLES:
                    before, began = cpu_s(family(self._terminal.pid)), time.monotonic()
                container = docker(*words, f"--label={LABEL}", "--network=none", f"--name=cycle-{number}", IMAGE)
                self._engine.remove(container, force=True)
            time.sleep(2)  # delayed work is done now
            used = cpu_s(family(self._terminal.pid)) - before
            return (used - self._idle_cpu * (time.monotonic() - began)) * 1000 / CYCLES

    def _key(self) -> float | None:
        def styled() -> list[str]:
            return [line for line in self._terminal.screen(styles=True) if ROW.search(line)]

        before = styled()
        pressed = time.monotonic()
        self._terminal.press("Down")
        seen = self._terminal.wait(lambda: styled() != before, 3, 0.001)
        time.sleep(0.4)
        return None if seen is None else seen - pressed


def agents(engine: Engine, runs: int) -> Iterator[Line]:
    """Measures a probe agent's first and later questions."""
    details = engine.inspect("bench-001")
    firsts, further = list[float | None](), list[float | None]()
    for _ in range(runs):
        with _closing(ProbeClient(run_of(details))) as client:
            began = time.monotonic()
            client.ipc()
            firsts.append(time.monotonic() - began)
            for _ in range(10):
                began = time.monotonic()
                client.ipc()
                further.append(time.monotonic() - began)
    yield Line("first question to a probe agent", _median(firsts, 1000), 80, "ms")
    yield Line("question to a running probe agent", _median(further, 1000), 5, "ms")
    runs_of_all = [run_of(engine.inspect(one.id)) for one in engine.containers() if one.name.startswith("bench-")]
    with _closing(OverviewClient()) as overviews:
        overviews.overview(runs_of_all)
        began = time.monotonic()
        overviews.overview(runs_of_all)
        yield Line(f"IPC overview of {len(runs_of_all)} containers", (time.monotonic() - began) * 1000, 50, "ms")


def diagnoses(engine: Engine, command: str, count: int, runs: int) -> Iterator[Line]:
    """Measures the doctor command, without the start-up time of `--version`, and `doctor --all`."""
    ones = list[float | None]()
    for _ in range(runs):
        began = _took(command, engine.endpoint, "--version")
        ones.append(_took(command, engine.endpoint, "doctor", "bench-001", "--json") - began)
    yield Line("doctor NAME beyond start-up", _median(ones, 1000), 150, "ms")
    sweeps: list[float | None] = [_took(command, engine.endpoint, "doctor", "--all", "--json") for _ in range(runs)]
    yield Line(f"doctor --all, {count} containers", _median(sweeps), 2.0, "s")


def many_processes(engine: Engine, command: str) -> Line:
    """Measures the forecast command on a container with 10,000 processes."""
    name = "bench-many"
    engine.run(RunRequest(BUSY_IMAGE, ("python3", "-c", MANY), name, labels={LABEL: ""}))
    try:
        deadline = time.monotonic() + 10 * LIMIT_S
        while MANY_READY not in b"".join(engine.logs(name, False)):
            if time.monotonic() > deadline:
                return Line("forecast, 10,000 processes: CPU", None, 2, "s")
            time.sleep(0.5)
        before = os.times()
        _took(command, engine.endpoint, "forecast", name)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return Line("forecast, 10,000 processes: CPU", used, 2, "s")
    finally:
        engine.remove(name, force=True)


def _took(command: str, endpoint: str, *words: str) -> float:
    """Returns the duration of a command in seconds."""
    began = time.monotonic()
    subprocess.run((command, "--host", endpoint, *words), stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


@contextmanager
def _closing(client: C) -> Iterator[C]:
    try:
        yield client
    finally:
        client.close()


def _median(values: list[float | None], scale: float = 1) -> float | None:
    """Returns the median; None if more than half were never reached."""
    found = [value for value in values if value is not None]
    return statistics.median(found) * scale if 2 * len(found) > len(values) else None


@contextmanager
def engine_with_containers(host: str | None, count: int, keep: bool) -> Iterator[Engine]:
    """Yields the engine at `host` or a private one with sleeping containers, and removes them afterwards."""
    lab = None
    if host is None:
        state, runtime = directories.state_dir(create=True), directories.runtime_dir(create=True)
        lab = Lab(state / "bench", runtime / "bench", state / "base")
        host = lab.up(demonstrations=False)
    engine = connect(host)
    try:
        there = {one.name for one in engine.containers()}
        for number in range(1, count + 1):
            name = f"bench-{number:03}"
            if name not in there:
                engine.run(RunRequest(IMAGE, name=name, labels={LABEL: ""}))
        yield engine
    finally:
        if not keep:
            for one in engine.containers():
                if LABEL in one.labels:
                    with suppress(ContainerlabError):
                        engine.remove(one.id, force=True)
            if lab is not None:
                lab.down()


def table(lines: list[Line]) -> str:
    rows = [("", "median", "at most", "")]
    for line in lines:
        rows.append((line.what, line.shown, f"{line.budget:g} {line.unit}", "met" if line.met else "missed"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows
    )


def main() -> int:
    """Prints the table. Returns 1 if a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", help="an engine at a Unix socket; without it a private one is started")
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--idle", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--keep", action="store_true", help="leave the containers and the engine for the next time")
    parser.add_argument("--quick", action="store_true", help="3 runs, 10 s idle")
    parser.add_argument("--peer", metavar="COMMAND", help="measure this program's screens instead of ours")
    arguments = parser.parse_args()
    runs, idle_s = (3, 10.0) if arguments.quick else (arguments.runs, arguments.idle)
    ours = Path(sys.executable).with_name("containerlab-tui")
    lines = list[Line]()
    with engine_with_containers(arguments.host, arguments.containers, arguments.keep) as engine:
        bench = Bench(engine, arguments.peer or f"{ours} --host {engine.endpoint}", runs, idle_s)
        try:
            for line in bench.screens():
                lines.append(line)
                print(f"… {line.what}: {line.shown}", file=sys.stderr)
            if not arguments.peer and os.geteuid() == 0:
                lines += bench.watching()
        finally:
            bench.close()
        if not arguments.peer:
            lines.append(many_processes(engine, str(ours)))
            starts = starts_over_ssh(engine.endpoint, ours, ROW, runs)
            lines.append(Line("start to rows on the screen, over ssh", _median(starts), 1.0, "s"))
            lines += agents(engine, runs)
            lines += diagnoses(engine, str(ours), arguments.containers, runs)
    busy = os.getloadavg()[0]
    print(f"{arguments.containers} containers, {COLUMNS}x{ROWS}, machine load {busy:.1f}\n{table(lines)}")
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
