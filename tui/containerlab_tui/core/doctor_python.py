"""What a Python program's own text says its signal handlers do. Pure: the text is parsed, never run.

Patterns that handlers have, not a proof: nothing told here is more than `likely`.
"""

import ast
import signal as posix
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_EXITS = frozenset(("exit", "_exit", "quit", "abort", "interrupt_main", "raise_signal"))
_STOPPERS = frozenset(
    ("set", "stop", "shutdown", "cancel", "close", "terminate", "put", "put_nowait", "release", "notify", "notify_all",
     "set_result", "quit", "stop_all", "server_close", "exit_gracefully", "set_exception", "halt")
)  # fmt: skip
_WAITING = frozenset(("sleep", "join", "wait", "pause", "serve_forever", "run", "run_forever", "input", "get"))
"""Calls in which a main thread stays. One without them has come to its end, where an interrupt is the end."""
_ENDING_LIBRARIES = {
    "aiohttp.web": "aiohttp's run_app",
    "twisted.internet": "Twisted's reactor",
    "uvicorn": "Uvicorn",
    "hypercorn": "Hypercorn",
    "gunicorn": "Gunicorn",
    "celery": "Celery",
    "grpc": "",
}


@dataclass(frozen=True, slots=True)
class Handler:
    """One way in which a program takes a signal, and what comes of it."""

    ends: bool | None
    """None: can't be told."""
    why: str
    takes_s: float = 0.3
    raises_again: bool = False
    """It restores the default action and signals itself: that ends a process, but no init of a namespace."""
    by_exception: bool = False
    """The program ends by an exception in its main thread, and then waits for its threads and children."""


def handler(texts: Sequence[str], signal: int) -> Handler | None:
    """What the first text that sets a handler for a signal does in it; None: none of them does.

    The first text is the script itself, the others are modules beside it.
    """
    trees = [tree for tree in map(_parsed, texts) if tree is not None]
    name = posix.Signals(signal).name if signal in posix.Signals._value2member_map_ else str(signal)
    found: Handler | None = None
    for tree in trees:
        for call in _registrations(tree, name, signal):
            found = _judged(call, trees, (name, signal))
    if found is None and trees:
        found = _by_library(trees, name)
    return found


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _registrations(tree: ast.Module, name: str, signal: int) -> Iterator[ast.Call]:
    """Calls of signal.signal and loop.add_signal_handler that are, or may be, for this signal."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or len(node.args) < 2:
            continue
        called = _last_name(node.func)
        if called in ("signal", "add_signal_handler") and _names_signal(node.args[0], tree, name, signal):
            yield node


def _names_signal(argument: ast.expr, tree: ast.Module, name: str, signal: int) -> bool:
    if _is_signal(argument, name, signal):
        return True
    if not isinstance(argument, ast.Name):
        # getattr(signal, "SIGTERM"), signal.Signals["SIGTERM"] and the like
        return any(isinstance(one, ast.Constant) and one.value == name for one in ast.walk(argument))
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension):
            targets = {one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)}
            if argument.id in targets and _mentions(node.iter, tree, name, signal):
                return True
    return False


def _is_signal(node: ast.AST, name: str, signal: int) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == name
    if isinstance(node, ast.Constant):
        return node.value in (signal, name)
    return isinstance(node, ast.Name) and node.id == name


def _mentions(node: ast.AST, tree: ast.Module, name: str, signal: int) -> bool:
    if any(_is_signal(one, name, signal) for one in ast.walk(node)):
        return True
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return any(
        isinstance(one, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id in names for target in one.targets)
        and any(_is_signal(each, name, signal) for each in ast.walk(one.value))
        for one in ast.walk(tree)
    )


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _judged(call: ast.Call, trees: Sequence[ast.Module], wanted_signal: tuple[str, int]) -> Handler:
    """What happens when the handler of one registration has run."""
    wanted, extra = call.args[1], call.args[2:]
    in_loop = _last_name(call.func) == "add_signal_handler"
    shown = ast.unparse(wanted)[:60]
    said = f"the program's text sets `{' '.join(shown.split())}` as its handler (line {call.lineno})"
    if _last_name(wanted) == "default_int_handler":
        return _interrupted(trees)
    if _last_name(wanted) in ("SIG_IGN", "SIG_DFL"):
        return Handler(None, f"{said}, which isn't what the kernel shows now")
    body = list(_body(wanted, trees, 3, wanted_signal))
    if not body and not isinstance(wanted, ast.Lambda):
        return _by_callable(wanted, extra, said)
    return _by_body(body, said, trees, in_loop)


def _by_callable(wanted: ast.expr, extra: Sequence[ast.expr], said: str) -> Handler:
    """A handler that is somebody else's function: its name has to do."""
    name = _last_name(wanted)
    if name in _EXITS or name in _STOPPERS or name in ("KeyboardInterrupt", "SystemExit"):
        return Handler(True, f"{said}, which asks the program to end")
    if name in ("print", "info", "warning", "debug"):
        return Handler(False, f"{said}, which does nothing but report")
    if isinstance(wanted, ast.Call):
        inner = [one for one in (*wanted.args, *extra) if isinstance(one, ast.Attribute | ast.Name)]
        if any(_last_name(one) in _EXITS | _STOPPERS for one in inner):
            return Handler(True, f"{said}, which asks the program to end")
    return Handler(None, f"{said}, and what that does isn't in the text")


def _body(
    wanted: ast.expr, trees: Sequence[ast.Module], depth: int, signal: tuple[str, int] | None = None
) -> Iterator[ast.AST]:
    """The statements that run when something is called, functions of the program's own that it calls included.

    `signal`: name and number that the called function gets; branches for other signals are left out.
    """
    name = _last_name(wanted)
    nodes: list[ast.AST] = [wanted.body] if isinstance(wanted, ast.Lambda) else []
    for node in (one for tree in trees for one in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name and name:
            parameters = [one.arg for one in node.args.args if one.arg not in ("self", "cls")]
            taken = _taken(node.body, parameters[0], signal) if signal and parameters else node.body
            nodes = [ast.Pass(), *taken]
    for node in nodes:
        yield node
        if not depth:
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                passed = (inner.func, *inner.args, *(keyword.value for keyword in inner.keywords))
                for argument in passed:
                    if isinstance(argument, ast.Name | ast.Attribute) and _last_name(argument) != name:
                        yield from _body(argument, trees, depth - 1)


def _taken(statements: Sequence[ast.stmt], parameter: str, signal: tuple[str, int]) -> Iterator[ast.stmt]:
    """Statements without the branches that are for other signals than this one."""
    for one in statements:
        fits = _tests_signal(one.test, parameter, signal) if isinstance(one, ast.If) else None
        if fits is None or not isinstance(one, ast.If):
            yield one
        else:
            yield from _taken(one.body if fits else one.orelse, parameter, signal)


def _tests_signal(test: ast.expr, parameter: str, signal: tuple[str, int]) -> bool | None:
    """Whether a test of the handler's first argument is true for this signal; None: it tests something else."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    sides = (test.left, test.comparators[0])
    if not any(isinstance(side, ast.Name) and side.id == parameter for side in sides):
        return None
    other = next((side for side in sides if not (isinstance(side, ast.Name) and side.id == parameter)), sides[0])
    named = any(_is_signal(one, *signal) for one in ast.walk(other))
    if isinstance(test.ops[0], ast.Eq | ast.In | ast.Is):
        return named
    return not named if isinstance(test.ops[0], ast.NotEq | ast.NotIn | ast.IsNot) else None


def _by_body(body: Sequence[ast.AST], said: str, trees: Sequence[ast.Module], in_loop: bool) -> Handler:
    nodes = [node for one in body for node in ast.walk(one)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    called = [_last_name(call.func) for call in calls]
    asked = {*called, *(_last_name(one) for call in calls for one in (*call.args, *(k.value for k in call.keywords)))}
    if any(isinstance(node, ast.Raise) for node in nodes) and not in_loop:
        return Handler(True, f"{said}, which raises an exception", _sleeps(calls), by_exception=True)
    if any(name in _EXITS for name in called):
        waits = "_exit" not in called and not asked & _STOPPERS and not _assigned(nodes)
        return Handler(True, f"{said}, which exits", _sleeps(calls), by_exception=waits)
    if _raises_again(calls):
        return Handler(True, f"{said}, which signals the program itself again", raises_again=True)
    if _deadlocks(body, trees):
        return Handler(
            False, f"{said}, which calls shutdown() of a server in the thread that serves: it waits for itself"
        )
    changed = _assigned(nodes)
    if changed:
        looked_at, pause_s = _loops_on(changed, trees)
        if looked_at:
            return Handler(True, f"{said}, which changes what the main loop looks at", max(0.3, pause_s))
    if asked & _STOPPERS or any(map(_wakes, calls)):
        return Handler(True, f"{said}, which asks the program to end")
    if in_loop:
        return Handler(False, f"{said}, which doesn't end the event loop")
    if changed:
        return Handler(None, f"{said}, which changes {', '.join(sorted(changed))}")
    return _after_return(trees, said)


def _wakes(call: ast.Call) -> bool:
    """A byte into a pipe or socket that the main loop reads; not a line for a person."""
    if _last_name(call.func) not in ("write", "send", "sendall") or not call.args:
        return False
    target = call.args[0] if isinstance(call.func, ast.Attribute) and _last_name(call.func.value) == "os" else None
    if target is None:
        return _last_name(call.func) != "write"
    return not (isinstance(target, ast.Constant) or "std" in ast.unparse(target))


def _raises_again(calls: Sequence[ast.Call]) -> bool:
    return any(
        _last_name(call.func) in ("kill", "killpg") and any("getpid" in ast.unparse(one) for one in call.args)
        for call in calls
    )


def _deadlocks(body: Sequence[ast.AST], trees: Sequence[ast.Module]) -> bool:
    """socketserver's shutdown() waits for serve_forever(), which the handler has interrupted (its documentation)."""
    serves = any(
        isinstance(node, ast.Call) and _last_name(node.func) == "serve_forever"
        for tree in trees
        for node in ast.walk(tree)
    )
    direct = any(
        isinstance(node, ast.Call) and _last_name(node.func) == "shutdown" and not node.args
        for one in body
        for node in ast.walk(one)
    )
    threads = any("Thread" in ast.unparse(tree) for tree in trees)
    return serves and direct and not threads


def _assigned(nodes: Sequence[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in nodes:
        targets: Sequence[ast.AST] = ()
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = (node.target,)
        for target in targets:
            inner = target.value if isinstance(target, ast.Subscript) else target
            if _last_name(inner):
                names.add(_last_name(inner))
    return names


def _loops_on(names: set[str], trees: Sequence[ast.Module]) -> tuple[bool, float]:
    """Whether a loop looks at one of these names, and its longest fixed pause, which Python resumes (PEP 475)."""
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.While):
                continue
            tested = {_last_name(one) for one in ast.walk(node.test)}
            leaves = {
                _last_name(each)
                for one in ast.walk(node)
                if isinstance(one, ast.If)
                and any(isinstance(x, ast.Break | ast.Return | ast.Raise) for x in ast.walk(one))
                for each in ast.walk(one.test)
            }
            if names & (tested | leaves):
                return True, _sleeps([one for one in ast.walk(node) if isinstance(one, ast.Call)], 0.3)
    return False, 0.0


def _sleeps(calls: Sequence[ast.Call], least: float = 0.3) -> float:
    """The seconds of the longest sleep with a number written out."""
    times = [
        float(call.args[0].value)
        for call in calls
        if _last_name(call.func) == "sleep"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, int | float)
    ]
    return max([least, *times])


def _after_return(trees: Sequence[ast.Module], said: str) -> Handler:
    """A handler that only reports: the program goes on where it was."""
    waits_once = False
    for tree in trees:
        loops = {
            id(inner) for node in ast.walk(tree) if isinstance(node, ast.While | ast.For) for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _last_name(node.func) in ("pause", "sigwait", "sigwaitinfo"):
                waits_once = waits_once or id(node) not in loops
    if waits_once:
        return Handler(True, f"{said}, and the program has nothing left to do once a signal has come")
    return Handler(False, f"{said}, which doesn't end the program")


def waited(texts: Sequence[str]) -> Handler | None:
    """What a program does that takes a signal from sigwait or a signalfd: once, or in a loop."""
    for tree in filter(None, map(_parsed, texts)):
        loops = {id(inner): node for node in ast.walk(tree) if isinstance(node, ast.While) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _last_name(node.func) in ("sigwait", "sigwaitinfo", "sigtimedwait"):
                loop = loops.get(id(node))
                said = f"the program's text waits for signals in {_last_name(node.func)} (line {node.lineno})"
                if loop is None:
                    return Handler(True, f"{said}, once, and goes on to its end")
                leaves = any(isinstance(one, ast.Break | ast.Return | ast.Raise) for one in ast.walk(loop))
                exits = any(isinstance(one, ast.Call) and _last_name(one.func) in _EXITS for one in ast.walk(loop))
                if leaves or exits:
                    return Handler(True, f"{said}, in a loop that it leaves")
                return Handler(False, f"{said}, in a loop that it never leaves")
    return None


def _by_library(trees: Sequence[ast.Module], name: str) -> Handler | None:
    imported = {
        alias
        for tree in trees
        for node in ast.walk(tree)
        for alias in _imports(node)
    }  # fmt: skip
    called = {_last_name(node.func) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)}
    if name in ("SIGTERM", "SIGINT") and called & {"run", "run_app", "serve"}:
        for module, words in _ENDING_LIBRARIES.items():
            if words and any(one == module or one.startswith(f"{module}.") for one in imported):
                return Handler(True, f"the program runs {words}, whose own handler ends it")
    if name == "SIGINT":
        return _interrupted(trees)
    return None


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def local_imports(text: str) -> tuple[str, ...]:
    """Modules that a script imports, with dots, as far as they may lie beside it."""
    tree = _parsed(text)
    if tree is None:
        return ()
    found = [name for node in ast.walk(tree) for name in _imports(node)]
    relative = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level and not node.module
        for alias in node.names
    ]
    return tuple(dict.fromkeys((*found, *relative)))


def _interrupted(trees: Sequence[ast.Module]) -> Handler:
    """Python's own handler of SIGINT raises KeyboardInterrupt in the main thread (signal.default_int_handler)."""
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.While):
                continue
            for inner in ast.walk(node):
                if isinstance(inner, ast.ExceptHandler) and _catches_interrupt(inner) and not _leaves(inner):
                    why = "KeyboardInterrupt is caught in a loop that goes on"
                    return Handler(False, why)
    return Handler(True, "Python raises KeyboardInterrupt, which ends the program", by_exception=True)


def _catches_interrupt(node: ast.ExceptHandler) -> bool:
    return node.type is None or any(
        _last_name(one) in ("KeyboardInterrupt", "BaseException") for one in ast.walk(node.type)
    )


def _leaves(node: ast.ExceptHandler) -> bool:
    return any(
        isinstance(one, ast.Break | ast.Return | ast.Raise)
        or (isinstance(one, ast.Call) and _last_name(one.func) in _EXITS)
        for one in ast.walk(node)
    )


def waits_at_exit(texts: Sequence[str], threads: int, children: int) -> str:
    """Why a program that ends by an exception doesn't come to its end; empty: no reason is seen.

    At its end Python joins threads and processes that are no daemons (threading, multiprocessing documentation).
    """
    for tree in filter(None, map(_parsed, texts)):
        made = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        text = ast.unparse(tree)
        daemons = "daemon" in text or "setDaemon" in text
        names = {_last_name(call.func) for call in made}
        if children and "Process" in names and not daemons and not names & {"terminate", "kill"}:
            return "at its end it waits for the processes that it began with multiprocessing, which get no signal"
        busy = names & _WAITING or any(isinstance(node, ast.While) for node in ast.walk(tree))
        if threads > 1 and names & {"Thread", "Timer"} and not daemons and busy:
            return "at its end it waits for its threads, which are no daemons"
    return ""
