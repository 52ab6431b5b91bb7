"""Finds the function in an answer, and says whether it holds nothing but what a small function needs.

A list of what is permitted, not of what is not: the sandbox does the confining, this refuses early and with a reason.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from expert_kit.evaluation.sandbox_runner import MODULES

MAX_SOURCE = 6_000
"""Characters of code that are read."""
MAX_LINES = 200

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_KEPT = (ast.FunctionDef, ast.Import, ast.ImportFrom, ast.Assign)
"""At the top of the code; examples of calls after a function are left out."""
_PERMITTED = (
    *_KEPT, ast.Module, ast.arguments, ast.arg, ast.keyword, ast.alias, ast.comprehension, ast.ExceptHandler,
    ast.Return, ast.Delete, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If, ast.Raise, ast.Try, ast.Assert, ast.Nonlocal,
    ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.Lambda, ast.IfExp, ast.Dict,
    ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Yield, ast.YieldFrom, ast.Compare, ast.Call, ast.FormattedValue,
    ast.JoinedStr, ast.Constant, ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice,
    ast.operator, ast.cmpop, ast.boolop, ast.unaryop, ast.expr_context,
)  # fmt: skip
_INNARDS = re.compile(r"_|(?:gi|cr|ag|tb|f|co|func)_|mro$")
"""Attributes that lead from a value to the interpreter's own parts."""


class RefusedCodeError(ValueError):
    """The code holds something that a small function has no need of."""


@dataclass(frozen=True)
class Code:
    """A function that may be run."""

    source: str
    modules: tuple[str, ...]
    """What it imports."""


def function_in(answer: str, name: str, prompt: str) -> Code | None:
    """The first code of the answer that defines the function, or is its body; None without any.

    Raises:
        RefusedCodeError: it holds what is not permitted.
    """
    for text in _candidates(answer[:MAX_SOURCE], name, prompt):
        tree = _parsed(text)
        if tree is None or not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
            continue
        kept = ast.Module([node for node in tree.body if isinstance(node, _KEPT)], [])
        try:
            return Code(ast.unparse(kept), tuple(dict.fromkeys(_checked(kept))))
        except RefusedCodeError:
            raise
        except (RecursionError, ValueError) as error:  # the latter of a number with thousands of digits
            raise RefusedCodeError("it is nested too deeply, or holds too large a number") from error
    return None


def _candidates(answer: str, name: str, prompt: str) -> Iterator[str]:
    """Code blocks, the answer, its part from a definition on without the last lines that are no code, the answer as a body."""
    yield from _FENCE.findall(answer)
    yield answer
    lines = answer.split("\n")[:MAX_LINES]
    start = next((at for at, line in enumerate(lines) if re.match(r"(?:def|import|from) ", line)), None)
    if start is not None:
        for end in range(len(lines), start, -1):
            yield "\n".join(lines[start:end])
        return
    asked = re.search(rf"\b{re.escape(name)}\(([^()]*)\)", prompt)
    if asked:
        yield f"def {name}({asked[1]}):\n" + textwrap.indent(textwrap.dedent(answer.strip("\n")), "    ")


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _checked(tree: ast.Module) -> Iterator[str]:
    """The modules that the code imports; refuses what is not permitted."""
    for node in ast.walk(tree):
        if not isinstance(node, _PERMITTED):
            raise RefusedCodeError(f"it uses {type(node).__name__}")
        if isinstance(node, ast.comprehension) and node.is_async:
            raise RefusedCodeError("it uses async")
        if isinstance(node, ast.Name) and node.id.startswith("__"):
            raise RefusedCodeError(f"it uses {node.id[:40]}")
        if isinstance(node, ast.Attribute):
            if _INNARDS.match(node.attr):
                raise RefusedCodeError(f"it uses the attribute {node.attr[:40]}")
            if not isinstance(node.ctx, ast.Load):
                raise RefusedCodeError("it changes an attribute")
        if isinstance(node, ast.Import):
            yield from (_permitted_module(alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            module = _permitted_module(node.module or "")
            if node.level or any(alias.name not in MODULES[module].split() for alias in node.names):
                raise RefusedCodeError(f"it imports something else of {module}")
            yield module


def _permitted_module(name: str) -> str:
    if name not in MODULES:
        raise RefusedCodeError(f"it imports {name[:40]}")
    return name
