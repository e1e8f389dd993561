"""Reading a Python program's text: its tree, names, and what a call leads to. Pure: parsed, never run."""

import ast
import warnings
from collections.abc import Iterator, Sequence

EXITS = frozenset(("exit", "_exit", "quit", "abort", "interrupt_main", "raise_signal"))
"""Calls that end a program, whatever they belong to."""


def parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def assigned(nodes: Sequence[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in nodes:
        targets: Sequence[ast.AST] = ()
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = (node.target,)
        for target in targets:
            inner = target.value if isinstance(target, ast.Subscript) else target
            if last_name(inner):
                names.add(last_name(inner))
    return names


def sleeps(calls: Sequence[ast.Call], least: float = 0.3) -> float:
    """The seconds of the longest sleep with a number written out."""
    times = [
        float(call.args[0].value)
        for call in calls
        if last_name(call.func) == "sleep"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, int | float)
    ]
    return max([least, *times])


def imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def local_imports(text: str) -> tuple[str, ...]:
    """Modules that a script imports, with dots, as far as they may lie beside it."""
    tree = parsed(text)
    if tree is None:
        return ()
    found = [name for node in ast.walk(tree) for name in imports(node)]
    relative = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level and not node.module
        for alias in node.names
    ]
    return tuple(dict.fromkeys((*found, *relative)))


def function_body(called: ast.expr, trees: Sequence[ast.Module]) -> Sequence[ast.AST]:
    """The statements of a lambda, or of a function of the program's own by its name; empty: neither."""
    if isinstance(called, ast.Lambda):
        return (called.body,)
    name = last_name(called)
    return [
        one
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name and name
        for one in node.body
    ]
