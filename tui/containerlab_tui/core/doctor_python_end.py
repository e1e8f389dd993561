"""Whether a Python program comes to its end once its handler has run: loops, exceptions, threads, pools. Pure."""

import ast
from collections.abc import Sequence

from containerlab_tui.core.doctor_case import Handler
from containerlab_tui.core.doctor_python_text import EXITS, last_name, parsed, sleeps

_WAITING = frozenset(("sleep", "join", "wait", "pause", "serve_forever", "run", "run_forever", "input", "get"))
"""Calls in which a main thread stays. One without them has come to its end, where an interrupt is the end."""


def deadlocks(body: Sequence[ast.AST], trees: Sequence[ast.Module]) -> bool:
    """socketserver's shutdown() waits for serve_forever(), which the handler has interrupted (its documentation)."""
    serves = any(
        isinstance(node, ast.Call) and last_name(node.func) == "serve_forever"
        for tree in trees
        for node in ast.walk(tree)
    )
    direct = any(
        isinstance(node, ast.Call) and last_name(node.func) == "shutdown" and not node.args
        for one in body
        for node in ast.walk(one)
    )
    threads = any("Thread" in ast.unparse(tree) for tree in trees)
    return serves and direct and not threads


def loops_on(names: set[str], trees: Sequence[ast.Module]) -> tuple[bool, float]:
    """Whether a loop looks at one of these names, and its longest fixed pause, which Python resumes (PEP 475)."""
    for tree in trees:
        for node in ast.walk(tree):
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
    """A handler that only reports: the program goes on where it was."""
    waits_once = False
    for tree in trees:
        loops = {
            id(inner) for node in ast.walk(tree) if isinstance(node, ast.While | ast.For) for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and last_name(node.func) in ("pause", "sigwait", "sigwaitinfo"):
                waits_once = waits_once or id(node) not in loops
    if waits_once:
        return Handler(True, f"{said}, and the program has nothing left to do once a signal has come")
    return Handler(False, f"{said}, which doesn't end the program")


def waited(texts: Sequence[str]) -> Handler | None:
    """What a program does that takes a signal from sigwait or a signalfd: once, or in a loop."""
    for tree in filter(None, map(parsed, texts)):
        loops = {id(inner): node for node in ast.walk(tree) if isinstance(node, ast.While) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and last_name(node.func) in ("sigwait", "sigwaitinfo", "sigtimedwait"):
                loop = loops.get(id(node))
                said = f"the program's text waits for signals in {last_name(node.func)} (line {node.lineno})"
                if loop is None:
                    return Handler(True, f"{said}, once, and goes on to its end")
                leaves = any(isinstance(one, ast.Break | ast.Return | ast.Raise) for one in ast.walk(loop))
                exits = any(isinstance(one, ast.Call) and last_name(one.func) in EXITS for one in ast.walk(loop))
                if leaves or exits:
                    return Handler(True, f"{said}, in a loop that it leaves")
                return Handler(False, f"{said}, in a loop that it never leaves")
    return None


def interrupted(trees: Sequence[ast.Module]) -> Handler:
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
        last_name(one) in ("KeyboardInterrupt", "BaseException") for one in ast.walk(node.type)
    )


def _leaves(node: ast.ExceptHandler) -> bool:
    return any(
        isinstance(one, ast.Break | ast.Return | ast.Raise)
        or (isinstance(one, ast.Call) and last_name(one.func) in EXITS)
        for one in ast.walk(node)
    )


def waits_at_exit(texts: Sequence[str], threads: int, children: int) -> str:
    """Why a program that ends by an exception doesn't come to its end; empty: no reason is seen.

    At its end Python joins threads and processes that are no daemons (threading, multiprocessing documentation).
    """
    for tree in filter(None, map(parsed, texts)):
        made = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        text = ast.unparse(tree)
        daemons = "daemon" in text or "setDaemon" in text
        names = {last_name(call.func) for call in made}
        if children and "Process" in names and not daemons and not names & {"terminate", "kill"}:
            return "at its end it waits for the processes that it began with multiprocessing, which get no signal"
        busy = names & _WAITING or any(isinstance(node, ast.While) for node in ast.walk(tree))
        if threads > 1 and names & {"Thread", "Timer"} and not daemons and busy:
            return "at its end it waits for its threads, which are no daemons"
    return ""
