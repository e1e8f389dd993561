"""Finds out whether a Python program exits after its handler has run: loops, exceptions, threads, pools."""

import ast
from collections.abc import Sequence

from containerlab_tui.doctor.case import Handler
from containerlab_tui.doctor.readers.python_tree import (
    EXITS,
    bases_of,
    calls_of,
    dotted,
    function_body,
    last_name,
    nodes_of,
    parsed,
    shown,
    sleeps,
    words_of,
)

_WAITING = frozenset(("sleep", "join", "wait", "pause", "serve_forever", "run", "run_forever", "input", "get"))
"""Calls in which a main thread waits. Without one, the main thread has finished."""
LONG_S = 60.0
"""A sleep of so many seconds lasts longer than a stop."""


def deadlocks(body: Sequence[ast.AST], trees: Sequence[ast.Module]) -> bool:
    """Returns whether shutdown() waits for serve_forever(), which the handler interrupted (socketserver docs)."""
    serves = any(
        isinstance(node, ast.Call) and last_name(node.func) == "serve_forever"
        for tree in trees
        for node in nodes_of(tree)
    )
    direct = any(
        isinstance(node, ast.Call) and last_name(node.func) == "shutdown" and not node.args
        for one in body
        for node in ast.walk(one)
    )
    threads = any("Thread" in words_of(tree) for tree in trees)
    return serves and direct and not threads


def loops_on(names: set[str], trees: Sequence[ast.Module]) -> tuple[bool, float]:
    """Returns whether a loop tests one of these names, and its longest sleep, which Python resumes (PEP 475)."""
    for tree in trees:
        for node in nodes_of(tree):
            if not isinstance(node, ast.While):
                continue
            tested = {last_name(one) for one in ast.walk(node.test)}
            leaves = {
                last_name(each)
                for one in ast.walk(node)
                if isinstance(one, ast.If)
                and any(isinstance(x, ast.Break | ast.Return | ast.Raise) for x in ast.walk(one))
                for each in ast.walk(one.test)
            }
            if names & (tested | leaves):
                return True, sleeps([one for one in ast.walk(node) if isinstance(one, ast.Call)], 0.3)
    return False, 0.0


def after_return(trees: Sequence[ast.Module], said: str) -> Handler:
    """Judges a handler that only reports: the program continues."""
    waits_once = False
    if any("set_wakeup_fd" in words_of(tree) for tree in trees):
        return Handler(True, f"{said} wakes the main loop through a descriptor (set_wakeup_fd)")
    for tree in trees:
        loops = {
            id(inner) for node in nodes_of(tree) if isinstance(node, ast.While | ast.For) for inner in ast.walk(node)
        }
        for node in nodes_of(tree):
            if isinstance(node, ast.Call) and last_name(node.func) in ("pause", "sigwait", "sigwaitinfo"):
                waits_once = waits_once or id(node) not in loops
    if waits_once:
        return Handler(True, f"{said} returns, and the program has nothing left to do")
    return Handler(False, f"{said} never exits")


def waited(texts: Sequence[str]) -> Handler | None:
    """Judges a program that reads a signal from sigwait or a signalfd, once or in a loop."""
    for tree in filter(None, map(parsed, texts)):
        loops = {id(inner): node for node in nodes_of(tree) if isinstance(node, ast.While) for inner in ast.walk(node)}
        for node in nodes_of(tree):
            if isinstance(node, ast.Call) and last_name(node.func) in ("sigwait", "sigwaitinfo", "sigtimedwait"):
                loop = loops.get(id(node))
                said = f"the program waits for signals in {last_name(node.func)} (line {node.lineno})"
                if loop is None:
                    return Handler(True, f"{said}, once, then exits")
                leaves = any(isinstance(one, ast.Break | ast.Return | ast.Raise) for one in ast.walk(loop))
                exits = any(isinstance(one, ast.Call) and last_name(one.func) in EXITS for one in ast.walk(loop))
                if leaves or exits or any(one is node for one in ast.walk(loop.test)):
                    return Handler(True, f"{said}, in a loop that it leaves")
                return Handler(False, f"{said}, in a loop that it never leaves")
    return None


def interrupted(trees: Sequence[ast.Module]) -> Handler:
    """Judges Python's SIGINT handler, which raises KeyboardInterrupt in the main thread (default_int_handler)."""
    if swallowed(trees, "KeyboardInterrupt"):
        return Handler(False, "a loop catches KeyboardInterrupt and continues")
    return Handler(
        True, "Python raises KeyboardInterrupt, which exits the program", last_words_s(trees), by_exception=True
    )


def swallowed(trees: Sequence[ast.Module], raised: str) -> bool:
    """Returns whether a loop of the main thread catches an exception of this name and continues."""
    elsewhere = {id(inner) for one in _other_threads(trees) for inner in ast.walk(one)}
    loops = (
        node for tree in trees for node in nodes_of(tree) if isinstance(node, ast.While) and id(node) not in elsewhere
    )
    return any(
        isinstance(inner, ast.ExceptHandler) and _catches(inner, raised, trees) and not _leaves(inner)
        for loop in loops
        for one in (*loop.body, *loop.orelse)
        for inner in ast.walk(one)
    )


_GIVEN = 50
"""Functions passed to threads, executors, loops or atexit that are analysed."""


def _other_threads(trees: Sequence[ast.Module]) -> list[ast.AST]:
    """Returns the statements of functions that are passed to threads or executors."""
    calls = [call for tree in trees for call in calls_of(tree)]
    given = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "target"]
    given += [task for call in calls for task in _tasks(call)]
    named = {last_name(one) or str(id(one)): one for one in given}
    return [one for each in list(named.values())[:_GIVEN] for one in function_body(each, trees)]


def _catches(node: ast.ExceptHandler, raised: str, trees: Sequence[ast.Module]) -> bool:
    """Returns whether a clause catches an exception; `except Exception` doesn't catch SystemExit and similar ones."""
    if node.type is None:
        return True
    bases = {last_name(base) for tree in trees for base in bases_of(tree).get(raised, ())}
    above = {raised, "BaseException", *bases}
    if not above & {"KeyboardInterrupt", "SystemExit", "GeneratorExit"} and bases != {"BaseException"}:
        above.add("Exception")
    return any(last_name(one) in above for one in ast.walk(node.type))


def last_words_s(trees: Sequence[ast.Module]) -> float:
    """Returns the longest sleep at exit: in a `finally`, or in a function that atexit calls."""
    late: list[ast.AST] = []
    atexit = 0
    for node in (one for tree in trees for one in nodes_of(tree)):
        if isinstance(node, ast.Try):
            late += node.finalbody
        elif isinstance(node, ast.Call) and dotted(node.func) in ("atexit.register", "register") and node.args:
            late.append(ast.Call(node.args[0], node.args[1:], []))
            late += function_body(node.args[0], trees) if atexit < _GIVEN else ()
            atexit += 1
    return sleeps([one for node in late for one in ast.walk(node) if isinstance(one, ast.Call)])


def _leaves(node: ast.ExceptHandler) -> bool:
    return any(
        isinstance(one, ast.Break | ast.Return | ast.Raise)
        or (isinstance(one, ast.Call) and last_name(one.func) in EXITS)
        for one in ast.walk(node)
    )


def waits_at_exit(texts: Sequence[str], threads: int, children: int, version: tuple[int, int] = (3, 13)) -> str:
    """Returns why a program doesn't exit after an exception; empty if no reason is found.

    At exit Python joins non-daemon threads and processes (threading, multiprocessing documentation). Before 3.13 a
    thread counts as joined if an exception interrupted its join().
    """
    trees = [tree for tree in map(parsed, texts) if tree is not None]
    for tree in trees:
        calls = calls_of(tree)
        text = words_of(tree)
        daemons = "daemon" in text or "setDaemon" in text
        names = {last_name(call.func) for call in calls}
        if children and "Process" in names and not daemons and not names & {"terminate", "kill"}:
            return "at exit it waits for its multiprocessing processes, which receive no signal"
        loops = any(isinstance(node, ast.While) for node in nodes_of(tree))
        elsewhere = {id(inner) for one in _other_threads([tree]) for inner in ast.walk(one)}
        waiting = {last_name(call.func) for call in calls if id(call) not in elsewhere} & _WAITING
        joined = waiting == {"join"} and threads == 2 and version < (3, 13)
        busy = names & _WAITING or loops
        if threads > 1 and names & {"Thread", "Timer"} and not daemons and busy and not joined:
            return "at exit it waits for its non-daemon threads"
    return ""


def waits_for_tasks(texts: Sequence[str], threads: int, children: int) -> str:
    """Returns why a program can't exit: an executor has a task that lasts; empty if there is none."""
    trees = [tree for tree in map(parsed, texts) if tree is not None]
    for tree in trees:
        calls = calls_of(tree)
        names = {last_name(call.func) for call in calls}
        pooled = "Executor" in words_of(tree) or bool(names & {"run_in_executor", "to_thread"})
        if pooled and (threads > 1 or children):
            given = [(one, call) for call in calls for one in _tasks(call)][:_GIVEN]
            task = next((one for one, call in given if _lasts(one, call, trees)), None)
            if task is not None:
                return f"at exit it waits for `{shown(task)[:40]}` in its executor, which is not done"
    return ""


def _tasks(call: ast.Call) -> Sequence[ast.expr]:
    """Returns the task that a call passes to an executor."""
    place = {"submit": 0, "map": 0, "to_thread": 0, "run_in_executor": 1}.get(last_name(call.func))
    return () if place is None else call.args[place : place + 1]


def _lasts(task: ast.expr, call: ast.Call, trees: Sequence[ast.Module]) -> bool:
    """Returns whether a task is a long sleep or an endless loop."""
    if last_name(task) == "sleep":
        rest = call.args[list(call.args).index(task) + 1 :]
        return sleeps([ast.Call(task, rest, [])]) >= LONG_S
    body = [inner for one in function_body(task, trees) for inner in ast.walk(one)]
    endless = any(isinstance(one, ast.While) and isinstance(one.test, ast.Constant) for one in body)
    return endless or sleeps([one for one in body if isinstance(one, ast.Call)]) >= LONG_S


def blocked(texts: Sequence[str], children: int) -> str:
    """Returns why no handler can run: Python runs handlers in its main thread only (signal documentation)."""
    trees = [tree for tree in map(parsed, texts) if tree is not None]
    calls = [call for tree in trees for call in calls_of(tree)]
    if children and any(dotted(call.func) in ("os.system", "system") for call in calls):
        return "it is in os.system(), and its handler runs only after that command exits"
    for node in (one for tree in trees for one in nodes_of(tree) if isinstance(one, ast.AsyncFunctionDef)):
        inside = [one for one in ast.walk(node) if isinstance(one, ast.Call) and dotted(one.func) == "time.sleep"]
        if inside and sleeps(inside) >= LONG_S:
            return "time.sleep() in a coroutine blocks the event loop, so the handler can't run"
    return ""
