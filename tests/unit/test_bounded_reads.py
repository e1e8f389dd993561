"""Every read has a bound: no call in the probes or in the program reads a whole file, stream or directory.

`kernel/files.py` is the one module that reads in loops, each with its limit.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("probes/containerlab_probes", "tui/containerlab_tui")
FILES = ROOT / "probes/containerlab_probes/kernel/files.py"

WHOLE = frozenset(("readlines", "readline", "read_text", "read_bytes", "iterdir", "rglob", "glob", "communicate"))
"""Methods that return a whole file, line or directory. As functions, they are those of `kernel/files.py`."""
ALL = frozenset(("fetchall", "check_output", "getoutput", "getstatusoutput", "copyfileobj", "copytree", "readall"))
"""Methods and functions that return or copy everything that there is."""
SYSTEM = frozenset(("listdir", "scandir", "walk", "fwalk"))
ATTRIBUTES = frozenset(("content", "text", "json"))
"""Of a response of requests: each reads the whole body."""

ALLOWED = {
    ("probes/containerlab_probes/processes/pid_namespaces.py", "scandir"): "/proc has at most pid_max entries",
    ("probes/containerlab_probes/processes/load.py", "scandir"): "islice stops it",
    ("probes/containerlab_probes/kernel/cgroups.py", "scandir"): "islice stops it",
    ("probes/containerlab_probes/kernel/asking.py", "capture_output"): "a program of this package",
    ("tui/containerlab_tui/doctor/programs/catalogue.py", "read_text"): "a file of this package",
    ("tui/containerlab_tui/engine/docker_client.py", "content"): "docker-py has read it before it raises its error",
    ("tui/containerlab_tui/services/export.py", "open"): "writes",
    ("tui/containerlab_tui/services/history.py", "fetchall"): "LIMIT",
    ("tui/containerlab_tui/commands/common.py", "readline"): "what the user types",
    ("tui/containerlab_tui/commands/output.py", "open"): "writes",
    ("tui/containerlab_tui/config.py", "read_text"): "the user's settings",
    ("tui/containerlab_tui/lab/base.py", "glob"): "a directory of the lab, which only its user may write",
    ("tui/containerlab_tui/lab/daemon.py", "open"): "the end of the log, and writes",
    ("tui/containerlab_tui/lab/daemon.py", "read_text"): "the daemon's PID file, which only its user may write",
    ("tui/containerlab_tui/lab/lock.py", "open"): "locks",
    ("tui/containerlab_tui/lab/image_folders.py", "glob"): "folders of this project",
    ("tui/containerlab_tui/lab/image_folders.py", "iterdir"): "a folder of this project",
    ("tui/containerlab_tui/lab/image_folders.py", "read_bytes"): "a file of this project",
    ("tui/containerlab_tui/lab/lab.py", "capture_output"): "umount",
    ("tui/containerlab_tui/ui/dialogs/copy.py", "scandir"): "a directory of the user's that the user names",
}
"""Module and name of a read that is bounded in another way, and how."""


def unbounded(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and name of each read without a bound."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            if isinstance(node, ast.Attribute) and node.attr == "content" and _is_response(node.value):
                yield node.lineno, "content"
            continue
        names = {keyword.arg for keyword in node.keywords}
        if "capture_output" in names or (_name(node.func) == "run" and names & {"stdout", "stderr"} and _is_pipe(node)):
            yield node.lineno, "capture_output"
        match node.func:
            case ast.Name(id="open"):
                yield node.lineno, "open"
            case ast.Attribute(value=value, attr="open") if not _is_named(value, "os", "tarfile", "detail"):
                yield node.lineno, "open"
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in SYSTEM:
                yield node.lineno, name
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in ALL:
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id="json"), attr="load"):
                yield node.lineno, "load"
            case ast.Attribute(value=value, attr="json") if _is_response(value):
                yield node.lineno, "json"
            case ast.Attribute(value=value, attr="read") if not node.args and not node.keywords and _is_file(value):
                yield node.lineno, "read"
            case ast.Attribute(attr=name) if name in WHOLE and not _is_module(node.func.value):
                yield node.lineno, name


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _is_pipe(call: ast.Call) -> bool:
    streams = [one.value for one in call.keywords if one.arg in ("stdout", "stderr")]
    return any(isinstance(one, ast.Attribute) and one.attr == "PIPE" for one in streams)


def _is_named(value: ast.expr, *names: str) -> bool:
    return _name(value) in names


def _is_module(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("files", "os")


def _is_response(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("response", "answer", "error", "reply")


def _is_file(value: ast.expr) -> bool:
    """Leaves out `read` of this program's own classes, which have bounds of their own."""
    if isinstance(value, ast.Subscript):  # a UsageReader
        return False
    return not _is_named(value, "_streams", "_session", "_connector", "source", "reader", "self", "streams")


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path != FILES)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_read_without_a_bound(path: Path) -> None:
    where = str(path.relative_to(ROOT))
    found = [f"{where}:{line}: {name}" for line, name in unbounded(path.read_text()) if (where, name) not in ALLOWED]
    assert found == []


def test_each_exception_is_in_use() -> None:
    used = {(str(path.relative_to(ROOT)), name) for path in modules() for _, name in unbounded(path.read_text())}
    assert ALLOWED.keys() - used == set()


@pytest.mark.parametrize(
    "line",
    [
        "open('/proc/1/environ').read()",
        "file.read()",
        "file.readlines()",
        "Path('x').read_text()",
        "Path('x').read_bytes()",
        "os.listdir('/dev/shm')",
        "os.scandir('/dev/shm')",
        "json.load(file)",
        "response.json()",
        "x = response.content",
        "process.communicate()",
        "subprocess.run(command, capture_output=True)",
        "subprocess.run(command, stdout=subprocess.PIPE)",
        "subprocess.check_output(command)",
        "path.open()",
        "cursor.fetchall()",
        "shutil.copyfileobj(one, other)",
    ],
)
def test_the_check_sees_an_unbounded_read(line: str) -> None:
    assert list(unbounded(line))


@pytest.mark.parametrize("line", ["os.read(fd, 10)", "answer.read(LIMIT + 1)", "read_text('/proc/1/maps', LIMIT)"])
def test_the_check_passes_a_bounded_read(line: str) -> None:
    assert not list(unbounded(line))


def test_the_loops_of_the_one_module_have_limits() -> None:
    """Each public function of `kernel/files.py` that reads takes a limit or has one."""
    tree = ast.parse(FILES.read_text())
    readers = [
        one
        for one in tree.body
        if isinstance(one, ast.FunctionDef) and one.name not in ("answer_bytes", "read_link", "unreadable")
    ]
    for one in readers:
        names = {argument.arg for argument in one.args.args}
        assert "limit" in names or "_LIMIT" in ast.unparse(one), one.name
