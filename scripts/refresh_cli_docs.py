"""Write docs/cli.md from the command line's own help, and docs/errors.md from the error classes and the places that raise them.

With --check nothing is written; the exit code is 1 if a page is out of date.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import typer

from expert_kit import errors
from expert_kit.cli import exits
from expert_kit.cli.main import build_app

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100

CLI_HEAD = """\
# Command line
Written by `python scripts/refresh_cli_docs.py`; do not edit.

Data goes to stdout, everything else to stderr. With `--json` stdout holds JSON, and an error is the object
`{"error": {"code", "message", "type", "param", "next"}}` on stderr. `EXPERT_KIT_HOME` names the folder of all local files,
`EXPERT_KIT_ENCODER` the folder of another text encoder, and `EXPERT_KIT_DEBUG=1` shows tracebacks and the libraries' own messages.

| exit code | meaning |
|---|---|
| 0 | done |
"""
ERRORS_HEAD = """\
# Error codes
Written by `python scripts/refresh_cli_docs.py`; do not edit.

Every error of expert-kit is an `expert_kit.errors.ExpertKitError` with a stable `code`, a `message` and a `hint`. The class decides the
exit code of the command line.

## Classes
| code | class | exit | meaning |
|---|---|---|---|
"""
NARROW_HEAD = """
## Narrower codes
A raise may name its situation more exactly than its class does. `…` stands for what differs from case to case.

| code | class | exit | meaning |
|---|---|---|---|
"""
FINDINGS_HEAD = """
## Findings
What `expert-kit validate` lists. An installation that is refused for one of them fails with its code.

| code | meaning |
|---|---|
"""


class Raised(NamedTuple):
    """A code in the source, the class or function that it is given to, and the words around it."""

    code: str
    owner: str
    meaning: str


def cli_page() -> str:
    """docs/cli.md."""
    command = typer.main.get_command(build_app())
    meanings: dict[int, list[str]] = {}
    for error, code in exits.EXIT_CODES.items():
        meanings.setdefault(code, []).append("a bug of expert-kit" if code == exits.BUG else f"`{error.__name__}`")
    rows = [(code, ", ".join(names)) for code, names in sorted(meanings.items())]
    rows += [(exits.INTERRUPTED, "interrupted"), (exits.OUTPUT_CLOSED, "the reader of the output went away")]
    table = "".join(f"| {code} | {text} |\n" for code, text in rows)
    return CLI_HEAD + table + "".join(_help_of(command, "expert-kit", None))


def _help_of(command: Any, path: str, parent: Any) -> Iterator[str]:
    context = command.make_context(
        path.split()[-1], [], parent=parent, resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"\n## {path}\n```text\n{text}\n```\n"
    for name, child in getattr(command, "commands", {}).items():
        yield from _help_of(child, f"{path} {name}", context)


def errors_page() -> str:
    """docs/errors.md."""
    classes = {error.__name__: error for error in exits.EXIT_CODES}
    order = list(classes)
    rows = "".join(f"| `{error.code}` | {name} | {exits.EXIT_CODES[error]} | {_summary(error)} |\n" for name, error in classes.items())
    # Of several places the one that says most.
    raised = {one.code: one for one in sorted(_raised(), key=lambda one: (len(one.meaning.replace("…", "")), one.meaning))}
    narrow = [one for one in raised.values() if one.owner in classes and one.code != classes[one.owner].code]
    narrow.sort(key=lambda one: (order.index(one.owner), one.code))
    listed = "".join(f"| `{one.code}` | {one.owner} | {exits.EXIT_CODES[classes[one.owner]]} | {one.meaning} |\n" for one in narrow)
    findings = sorted((one for one in raised.values() if one.owner in ("Problem", "refused")), key=lambda one: one.code)
    return ERRORS_HEAD + rows + NARROW_HEAD + listed + FINDINGS_HEAD + "".join(f"| `{one.code}` | {one.meaning} |\n" for one in findings)


def _summary(error: type[errors.ExpertKitError]) -> str:
    return (error.__doc__ or "").splitlines()[0]


def _raised() -> Iterator[Raised]:
    for path in sorted((ROOT / "expert_kit").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            yield from _raised_in(function)


def _raised_in(function: ast.FunctionDef) -> Iterator[Raised]:
    texts = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
    for call in (node for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        owner = call.func.id  # type: ignore[attr-defined]
        is_finding = owner in ("Problem", "refused") and len(call.args) > 2
        code = call.args[0] if is_finding else next((word.value for word in call.keywords if word.arg == "code"), None)
        if call.args and isinstance(code, ast.Constant) and isinstance(code.value, str):
            message = call.args[-1] if is_finding else call.args[0]
            yield Raised(code.value, owner, _template(_assigned(message, texts)))


def _assigned(message: ast.expr, texts: list[ast.Assign]) -> ast.expr:
    """What a variable was given last above its use."""
    if not isinstance(message, ast.Name):
        return message
    above = [node for node in texts if node.targets[0].id == message.id and node.lineno < message.lineno]  # type: ignore[attr-defined]
    return max(above, key=lambda node: node.lineno).value if above else message


def _template(node: ast.expr) -> str:
    """The words of a message, with … for each value in it."""
    if isinstance(node, ast.Constant):
        return str(node.value).replace("\n", " ").replace("|", "\\|")
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _template(node.left) + _template(node.right)
    return "…"


def main() -> int:
    """Write or check both pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the pages are up to date")
    check = parser.parse_args().check
    stale = 0
    for name, text in (("cli.md", cli_page()), ("errors.md", errors_page())):
        page = ROOT / "docs" / name
        if page.is_file() and page.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"docs/{name} is out of date; run: python scripts/refresh_cli_docs.py", file=sys.stderr)
        else:
            page.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
