"""Finds out from a Python program's source what its signal handlers do. The source is parsed, never run.

It recognises common forms of handlers, so no result is more than `likely`.
"""

import ast
import itertools
import signal as posix
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from containerlab_tui.doctor.case import Handler
from containerlab_tui.doctor.readers.python_exit import (
    after_return,
    deadlocks,
    interrupted,
    last_words_s,
    loops_on,
    swallowed,
)
from containerlab_tui.doctor.readers.python_tree import (
    EXITS,
    assigned,
    bases_of,
    calls_of,
    dotted,
    functions_of,
    imports,
    last_name,
    nodes_of,
    parsed,
    shown,
    sleeps,
    words_of,
)

_STOPPERS = frozenset(
    ("set", "stop", "shutdown", "cancel", "close", "terminate", "put", "put_nowait", "release", "notify", "notify_all",
     "set_result", "quit", "stop_all", "server_close", "exit_gracefully", "set_exception", "halt")
)  # fmt: skip
_IN_LOOP = ("add_signal_handler", "signal_handler")
"""Functions that register a handler with an event loop: asyncio's and gevent's."""
_SIGNAL_CHILDREN = frozenset(("send_signal", "kill", "killpg"))
_ENDING_LIBRARIES = {
    "aiohttp.web": "aiohttp's run_app",
    "twisted.internet": "Twisted's reactor",
    "uvicorn": "Uvicorn",
    "hypercorn": "Hypercorn",
    "gunicorn": "Gunicorn",
    "celery": "Celery",
    "grpc": "",
}


def handler(texts: Sequence[str], signal: int) -> Handler | None:
    """Returns what the handler for a signal does, from the first text that sets one; None if none does.

    The first text is the script, the others are modules beside it.
    """
    trees = [tree for tree in map(parsed, texts) if tree is not None]
    name = posix.Signals(signal).name if signal in posix.Signals._value2member_map_ else str(signal)
    found: Handler | None = None
    if name != "SIGKILL" and any(_dumps(tree, name, signal) for tree in trees):
        return Handler(False, "faulthandler prints a traceback on that signal and continues")
    for tree in trees:
        for call in list(_registrations(tree, name, signal))[-_JUDGED:]:
            judged = _judged(call, trees, (name, signal))
            if found is None or judged.exits is not None:
                found = judged
    if found is None and trees:
        found = _by_library(trees, name)
    return found


_STATEMENTS = 500
"""Statements of a handler and of the functions that it calls that are analysed."""
_JUDGED = 4
"""Registrations of one signal in one file that are followed."""
_CALLS = 30
"""Calls of one kind in one file that are analysed."""


def forget() -> None:
    """Clears the cached trees: they take much memory and are only needed while one container is analysed."""
    for kept in (parsed, nodes_of, calls_of, functions_of, bases_of, words_of, _loops_over):
        kept.cache_clear()


def _registrations(tree: ast.Module, name: str, signal: int) -> Iterator[ast.Call]:
    """Yields calls of signal.signal and loop.add_signal_handler that may be for this signal."""
    setting = [
        call for call in calls_of(tree) if last_name(call.func) in ("signal", *_IN_LOOP) and len(call.args) > 1
    ]  # fmt: skip
    yield from (call for call in setting[-_CALLS:] if _names_signal(call.args[0], tree, name, signal))


def _dumps(tree: ast.Module, name: str, signal: int) -> bool:
    calls = [call for call in calls_of(tree) if dotted(call.func) == "faulthandler.register" and call.args]
    return any(_names_signal(call.args[0], tree, name, signal) for call in calls[:_CALLS])


def _names_signal(argument: ast.expr, tree: ast.Module, name: str, signal: int) -> bool:
    if _is_signal(argument, name, signal):
        return True
    if not isinstance(argument, ast.Name):
        # getattr(signal, "SIGTERM"), signal.Signals["SIGTERM"] and the like
        return any(isinstance(one, ast.Constant) and one.value == name for one in ast.walk(argument))
    return _loops_over(tree, argument.id, name, signal)


@lru_cache(maxsize=8)
def _loops_over(tree: ast.Module, variable: str, name: str, signal: int) -> bool:
    """Returns whether a loop assigns this signal, among others, to a variable."""
    loops = (
        node
        for node in nodes_of(tree)
        if isinstance(node, ast.For | ast.comprehension)
        and any(isinstance(one, ast.Name) and one.id == variable for one in ast.walk(node.target))
    )
    return any(_mentions(node.iter, tree, name, signal) for node in itertools.islice(loops, _CALLS))


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
        for one in nodes_of(tree)
    )


def _judged(call: ast.Call, trees: Sequence[ast.Module], wanted_signal: tuple[str, int]) -> Handler:
    """Returns what the handler of one registration does."""
    wanted, extra = call.args[1], call.args[2:]
    in_loop = last_name(call.func) in _IN_LOOP
    written = " ".join(shown(wanted)[:60].split())
    said = f"the handler `{written}` (line {call.lineno})"
    if last_name(wanted) == "default_int_handler":
        return interrupted(trees)
    if last_name(wanted) in ("SIG_IGN", "SIG_DFL") or isinstance(wanted, ast.Constant):
        return Handler(None, f"{said} is not what the kernel shows now")
    body = list(itertools.islice(_body(wanted, trees, 3, wanted_signal), _STATEMENTS))
    if not body and not isinstance(wanted, ast.Lambda):
        return _by_callable(wanted, extra, said)
    return _by_body(body, said, trees, in_loop)


def _by_callable(wanted: ast.expr, extra: Sequence[ast.expr], said: str) -> Handler:
    """Judges a handler by its name only, because its source is elsewhere."""
    name = last_name(wanted)
    if name in EXITS or name in _STOPPERS or name in ("KeyboardInterrupt", "SystemExit"):
        return Handler(True, f"{said} tells the program to exit")
    if name in ("print", "info", "warning", "debug"):
        return Handler(False, f"{said} only prints a message")
    if isinstance(wanted, ast.Call):
        inner = [one for one in (*wanted.args, *extra) if isinstance(one, ast.Attribute | ast.Name)]
        if any(last_name(one) in EXITS | _STOPPERS for one in inner):
            return Handler(True, f"{said} tells the program to exit")
    return Handler(None, f"{said} is not defined in the source")


def _body(
    wanted: ast.expr, trees: Sequence[ast.Module], depth: int, signal: tuple[str, int] | None = None
) -> Iterator[ast.AST]:
    """Yields the statements that a call runs, including the program's functions that it calls.

    `signal`: name and number passed to the function; branches for other signals are left out.
    """
    name = last_name(wanted)
    nodes: list[ast.AST] = [wanted.body] if isinstance(wanted, ast.Lambda) else []
    for function in (one for tree in trees for one in functions_of(tree).get(name, ())):
        parameters = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
        taken = _taken(function.body, parameters[0], signal) if signal and parameters else function.body
        nodes = [ast.Pass(), *taken]
    for node in nodes:
        yield node
        if not depth:
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                passed = (inner.func, *inner.args, *(keyword.value for keyword in inner.keywords))
                for argument in passed:
                    if isinstance(argument, ast.Name | ast.Attribute) and last_name(argument) != name:
                        yield from _body(argument, trees, depth - 1)


def _taken(statements: Sequence[ast.stmt], parameter: str, signal: tuple[str, int]) -> Iterator[ast.stmt]:
    """Yields the statements without the branches for other signals."""
    for one in statements:
        fits = _tests_signal(one.test, parameter, signal) if isinstance(one, ast.If) else None
        if fits is None or not isinstance(one, ast.If):
            yield one
        else:
            yield from _taken(one.body if fits else one.orelse, parameter, signal)


def _tests_signal(test: ast.expr, parameter: str, signal: tuple[str, int]) -> bool | None:
    """Returns whether a test of the handler's first argument is true for this signal; None: another test."""
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
    called = [last_name(call.func) for call in calls]
    asked = {*called, *(last_name(one) for call in calls for one in (*call.args, *(k.value for k in call.keywords)))}
    exits = _by_exit(nodes, said, trees, in_loop, waits=not asked & _STOPPERS)
    if exits is not None:
        return exits
    if _raises_again(calls):
        return Handler(True, f"{said} raises the signal again", raises_again=True)
    if deadlocks(body, trees):
        return Handler(False, f"{said} deadlocks: it calls a server's shutdown() in the thread that serves")
    changed = assigned(nodes)
    if changed:
        is_tested, pause_s = loops_on(changed, trees)
        if is_tested:
            return Handler(True, f"{said} changes a variable that the main loop tests", max(0.3, pause_s))
    if asked & (_STOPPERS | _SIGNAL_CHILDREN) or any(map(_wakes, calls)):
        return Handler(True, f"{said} tells the program to exit")
    if in_loop:
        return Handler(False, f"{said} does not stop the event loop")
    if changed and any(map(_reads(changed, body), trees)):
        return Handler(None, f"{said} only changes {', '.join(sorted(changed))}")
    if changed:
        return Handler(False, f"{said} only changes {', '.join(sorted(changed))}, which nothing reads")
    return after_return(trees, said)


def _by_exit(
    nodes: Sequence[ast.AST], said: str, trees: Sequence[ast.Module], in_loop: bool, waits: bool
) -> Handler | None:
    """Judges a handler that raises an exception or exits; `waits`: it stops nothing else first."""
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    takes_s, called = sleeps(calls), {last_name(call.func) for call in calls}
    raised = [_raised(node) for node in nodes if isinstance(node, ast.Raise)]
    if raised and not in_loop:
        if swallowed(trees, raised[0]):
            return Handler(False, f"{said} raises an exception that a loop catches")
        takes_s = max(takes_s, last_words_s(trees))
        return Handler(True, f"{said} raises an exception", takes_s, by_exception=True)
    if called & {"_exit", "abort"}:
        return Handler(True, f"{said} exits at once", takes_s)
    if not called & EXITS:
        return None
    if not in_loop and swallowed(trees, "SystemExit"):
        return Handler(False, f"{said} exits with an exception that a loop catches")
    takes_s = max(takes_s, last_words_s(trees))
    return Handler(True, f"{said} exits", takes_s, by_exception=waits and not assigned(nodes))


def _raised(node: ast.Raise) -> str:
    return last_name(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) if node.exc else ""


def _reads(names: set[str], body: Sequence[ast.AST]) -> Callable[[ast.Module], bool]:
    """Returns a test of whether a module reads one of these names outside the handler."""
    own = {id(node) for one in body for node in ast.walk(one)}

    def reads(tree: ast.Module) -> bool:
        return any(
            isinstance(node, ast.Name | ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and last_name(node) in names
            and id(node) not in own
            for node in nodes_of(tree)
        )

    return reads


def _wakes(call: ast.Call) -> bool:
    """Returns whether a call writes to a pipe or socket that the main loop reads, not to standard output."""
    if last_name(call.func) not in ("write", "send", "sendall") or not call.args:
        return False
    target = call.args[0] if isinstance(call.func, ast.Attribute) and last_name(call.func.value) == "os" else None
    if target is None:
        return last_name(call.func) != "write"
    return not (isinstance(target, ast.Constant) or "std" in shown(target))


def _raises_again(calls: Sequence[ast.Call]) -> bool:
    return any(
        last_name(call.func) in ("kill", "killpg") and any("getpid" in shown(one) for one in call.args)
        for call in calls
    )


def _by_library(trees: Sequence[ast.Module], name: str) -> Handler | None:
    imported = {
        alias
        for tree in trees
        for node in nodes_of(tree)
        for alias in imports(node)
    }  # fmt: skip
    called = {last_name(call.func) for tree in trees for call in calls_of(tree)}
    if name in ("SIGTERM", "SIGINT") and called & {"run", "run_app", "serve"}:
        for module, words in _ENDING_LIBRARIES.items():
            if words and any(one == module or one.startswith(f"{module}.") for one in imported):
                return Handler(True, f"the program runs {words}, whose own handler exits it")
    if name == "SIGINT":
        return interrupted(trees)
    return None
