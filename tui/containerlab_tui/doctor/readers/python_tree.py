"""Parses a Python program and answers questions about its syntax tree. The program is never run."""

import ast
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from containerlab_tui.doctor.bounds import LONGEST_S, PROGRAM_LIMIT

EXITS = frozenset(("exit", "_exit", "quit", "abort", "interrupt_main", "raise_signal"))
"""Names of calls that exit a program, whatever object they belong to."""


_NODES_LIMIT = 15_000
"""Nodes of one program's tree that are analysed: about 1,500 lines."""

_PARSE_ATTEMPTS = 20


@lru_cache(maxsize=32)
def parsed(text: str) -> ast.Module | None:
    """Parses a program; None if it isn't valid, or too large or too deep."""
    if len(text) > PROGRAM_LIMIT:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    beyond = next(itertools.islice(ast.walk(tree), _NODES_LIMIT, None), None)
    return tree if beyond is None else None


def _parse(text: str) -> ast.Module:
    """Parses a program. Python 3.11 and 3.12 fail where two threads parse at once (cpython issue 106905)."""
    for _ in range(_PARSE_ATTEMPTS):
        try:
            return ast.parse(text)
        except SystemError:
            continue
    raise ValueError("other threads parse all the time")


@lru_cache(maxsize=32)
def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Returns all nodes of a program's tree."""
    return tuple(ast.walk(tree))


@lru_cache(maxsize=32)
def calls_of(tree: ast.Module) -> tuple[ast.Call, ...]:
    """Returns all calls in a program."""
    return tuple(node for node in nodes_of(tree) if isinstance(node, ast.Call))


@lru_cache(maxsize=32)
def functions_of(tree: ast.Module) -> Mapping[str, tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]]:
    """Returns a program's functions and methods by name."""
    found: dict[str, tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]] = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and len(found.get(node.name, ())) < _NAMESAKES:
            found[node.name] = (*found.get(node.name, ()), node)
    return found


_NAMESAKES = 20
"""Functions with the same name that are analysed."""


@lru_cache(maxsize=32)
def bases_of(tree: ast.Module) -> Mapping[str, Sequence[ast.expr]]:
    """Returns the base classes of a program's classes, by class name."""
    return {one.name: one.bases for one in nodes_of(tree) if isinstance(one, ast.ClassDef)}


@lru_cache(maxsize=32)
def words_of(tree: ast.Module) -> str:
    """Returns the names and strings in a program, one per line, without comments."""
    return "\n".join(
        value
        for node in nodes_of(tree)
        for field in ("id", "attr", "name", "arg", "module", "value")
        if isinstance(value := getattr(node, field, None), str)
    )


def dotted(node: ast.AST) -> str:
    """Returns a name with at most one prefix, such as `os.system`; empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def shown(node: ast.AST) -> str:
    """Returns the source of a small node; empty if it is too deep or has too long a number."""
    try:
        return ast.unparse(node)
    except (RecursionError, ValueError, MemoryError):
        return ""


def last_name(node: ast.AST) -> str:
    """Returns the last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def assigned(nodes: Sequence[ast.AST]) -> set[str]:
    """Returns the names that these nodes assign."""
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
    """Returns the longest sleep with a literal number, in seconds."""
    times = [
        float(min(call.args[0].value, LONGEST_S))
        for call in calls
        if last_name(call.func) == "sleep"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, int | float)
    ]
    return max([least, *times])


def imports(node: ast.AST) -> Iterator[str]:
    """Yields the dotted names that a node imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def local_imports(text: str) -> tuple[str, ...]:
    """Returns the dotted names of imported modules that may lie beside a script."""
    tree = parsed(text)
    if tree is None:
        return ()
    found = [name for node in nodes_of(tree) for name in imports(node)]
    relative = [
        alias.name
        for node in nodes_of(tree)
        if isinstance(node, ast.ImportFrom) and node.level and not node.module
        for alias in node.names
    ]
    return tuple(dict.fromkeys((*found, *relative)))


def function_body(called: ast.expr, trees: Sequence[ast.Module]) -> Sequence[ast.AST]:
    """Returns the statements of a lambda or of a function of the program; empty if it is neither."""
    if isinstance(called, ast.Lambda):
        return (called.body,)
    name = last_name(called)
    return [one for tree in trees for node in functions_of(tree).get(name, ()) for one in node.body]
