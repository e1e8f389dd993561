"""Makes small faults in a module, one at a time: another comparison, a negated branch, an element left out."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
}
_SKIPPED = frozenset({"annotation", "returns", "decorator_list", "bases", "type_params"})
"""Parts of the tree that do nothing while the module works."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault."""

    name: str
    """Where it is and what it changes; the same from run to run."""
    line: int
    code: CodeType


@dataclass(frozen=True, slots=True)
class _Site:
    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST
    scope: str

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """Yields each mutant of a module, in the order of its text."""
    tree = ast.parse(source)
    seen: dict[str, int] = {}
    for site in list(_sites(tree, "")):
        before = ast.unparse(site.node)
        for after in _replacements(site.node):
            ast.copy_location(after, site.node)
            site.put(after)
            ast.fix_missing_locations(tree)
            name = f"{site.scope or 'module'}: {_short(before)} -> {_short(ast.unparse(after))}"
            seen[name] = seen.get(name, 0) + 1
            again = f" ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(name + again, getattr(site.node, "lineno", 0), compile(tree, path, "exec"))
            site.put(site.node)


def _short(text: str) -> str:
    return " ".join(text.split())[:90]


def _sites(node: ast.AST, scope: str) -> Iterator[_Site]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = f"{scope}.{node.name}".lstrip(".")
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED:
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_documentation(child) or _is_for_types(child):
                continue
            yield _Site(node, name, index if isinstance(value, list) else None, child, scope)
            yield from _sites(child, scope)


def _is_documentation(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    return _statements(node) if isinstance(node, ast.stmt) else _expressions(node)


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=operators):
            yield from _comparisons(node, operators)
        case ast.BoolOp(op=operator, values=values):
            other = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield ast.BoolOp(other, values)
            yield from _without_one(node, "values", least=2)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            yield inner
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            yield inner
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd(), right=right):
            yield left
            yield right
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) | ast.Set():
            yield from _without_one(node, "elts", least=2)
        case ast.IfExp():
            yield _negated(node)
        case ast.comprehension(ifs=[_, *_]):
            yield from _without_one(node, "ifs", least=1)


def _statements(node: ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.If() | ast.While():
            yield _negated(node)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr() | ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign():
            yield ast.Pass()


def _negated(node: ast.If | ast.While | ast.IfExp) -> ast.AST:
    negated = copy.copy(node)
    negated.test = ast.UnaryOp(ast.Not(), node.test)
    return negated


def _comparisons(node: ast.Compare, operators: list[ast.cmpop]) -> Iterator[ast.AST]:
    for index, operator in enumerate(operators):
        for other in _COMPARISONS[type(operator)]:
            yield ast.Compare(node.left, [*operators[:index], other(), *operators[index + 1 :]], node.comparators)


def _without_one(node: ast.AST, field: str, least: int) -> Iterator[ast.AST]:
    parts = getattr(node, field)
    if len(parts) < least:
        return
    for index in range(len(parts)):
        fewer = copy.copy(node)
        left = [*parts[:index], *parts[index + 1 :]]
        setattr(fewer, field, left)
        yield left[0] if isinstance(node, ast.BoolOp) and len(left) == 1 else fewer
