"""``expert-kit dataset``: look training rows over before hours are spent on them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from expert_kit.cli.coercion import LeanTyper
from expert_kit.cli.difficulty import difficulty
from expert_kit.cli.options import Json
from expert_kit.cli.output import emit, emit_json, emit_path, emit_table, note, write_whole, writing
from expert_kit.errors import DataError, UsageError
from expert_kit.names import printable
from expert_kit.whole_file import replace_whole

if TYPE_CHECKING:
    from expert_kit.curation import DataRow, Finding

dataset = LeanTyper(help="Check, measure, clean and split rows of prompts and completions.", no_args_is_help=True)
Rows = Annotated[Path, typer.Argument(help='JSON lines {"prompt": ..., "completion": ...}.', show_default=False)]
_WARNINGS = frozenset({"repeated", "nearly_repeated", "near_leak"})
_PARTS = ("validation", "test")


@dataset.command(epilog="Example: expert-kit dataset check train.jsonl --syntax sql --against test.jsonl")
def check(
    file: Rows,
    syntax: Annotated[str | None, typer.Option(help="Language of the completions: json, python or sql.", show_default=False)] = None,
    against: Annotated[list[Path] | None, typer.Option(help="A held-out file whose prompts must not be here; may repeat.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on repeated and similar rows too.")] = False,
    json: Json = False,
) -> None:
    """List bad, repeated, contradicting and leaking rows, with their lines."""
    from expert_kit.curation import SYNTAXES, check_rows, leaks, read_data

    if syntax is not None and syntax not in SYNTAXES:
        raise UsageError(f"unknown syntax {printable(syntax)}", hint=f"known: {', '.join(SYNTAXES)}", code="syntax_unknown")
    rows = read_data(file)
    prompts = {held: _held_out(held) for held in against or []}
    found = [(file, one) for one in check_rows(rows, syntax)]
    for held, held_rows in prompts.items():
        found += [(held, one) for one in leaks(rows, held_rows)]
    if json:
        emit_json([{**asdict(one), "against": None if held == file else str(held)} for held, one in found])
    else:
        _show(file, found)
    bad = [one for _, one in found if strict or one.code not in _WARNINGS]
    note(f"{len(rows)} rows, {len(found)} findings")
    if bad:
        counts = ", ".join(f"{count} {code}" for code, count in sorted(Counter(one.code for one in bad).items()))
        hint = "correct these lines; repeated ones come out with: expert-kit dataset dedup"
        raise DataError(f"{printable(str(file))}: {counts}", hint=hint, code="dataset_findings")


@dataset.command(epilog="Example: expert-kit dataset stats train.jsonl --plot lengths.png")
def stats(
    file: Rows,
    plot: Annotated[Path | None, typer.Option(help="PNG file for the lengths of prompts and completions.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Count rows, lengths and words, and say how much the prompts repeat each other."""
    from expert_kit.curation import data_stats, draw_lengths, read_data

    rows = read_data(file)
    found = data_stats(rows)
    if plot is not None:
        with writing(plot):
            draw_lengths(rows, plot)
    if json:
        emit_json(asdict(found))
        return
    emit_table(["figure", "value"], [[name.replace("_", " "), _written(value)] for name, value in asdict(found).items()])


@dataset.command(epilog="Example: expert-kit dataset dedup rows.jsonl --out clean.jsonl --near")
def dedup(
    file: Rows,
    out: Annotated[Path, typer.Option(help="File to write.", show_default=False)],
    near: Annotated[bool, typer.Option("--near", help="Take out rows whose prompt is nearly that of an earlier one, too.")] = False,
    json: Json = False,
) -> None:
    """Write the rows without repeated ones. The first of each stays, and what was taken out is listed."""
    from expert_kit.curation import check_rows, read_good_data

    rows = read_good_data(file)
    found = check_rows(rows, near=near)
    taken = {one.line: one for one in found if one.code in {"repeated", "nearly_repeated"}}
    contradicted = [one.line for one in found if one.code == "contradicted"]
    write_whole(out, "".join(f"{row.text}\n" for row in rows if row.line not in taken))
    if json:
        emit_json({"out": str(out), "kept": len(rows) - len(taken), "taken_out": [asdict(one) for one in taken.values()],
                   "contradicted": contradicted})  # fmt: skip
        return
    emit_path(out)
    for one in taken.values():
        note(printable(f"taken out: line {one.line} {one.message}"))
    note(f"{len(rows) - len(taken)} of {len(rows)} rows kept")
    if contradicted:
        note(f"warning: {len(contradicted)} rows have the prompt of an earlier row and another completion; see: expert-kit dataset check")


@dataset.command(epilog="Example: expert-kit dataset split rows.jsonl --out data --test 0.1 --stratify kind")
def split(
    file: Rows,
    out: Annotated[Path, typer.Option(help="Folder for train.jsonl, validation.jsonl and test.jsonl.", show_default=False)],
    validation: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of the rows.")] = 0.05,
    test: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share of the rows.")] = 0.1,
    stratify: Annotated[str | None, typer.Option(help="A key of the rows, to be spread evenly.", show_default=False)] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Keep only equal prompts together: for rows that share a long beginning.")] = False,
    json: Json = False,
) -> None:
    """Split rows so that prompts that are nearly the same stay together."""
    from expert_kit.curation import read_good_data, split_data

    rows = read_good_data(file)
    names = [f"{name}.jsonl" for name in ("train", *_PARTS)]
    if there := [name for name in names if (out / name).exists()]:
        raise UsageError(f"{printable(str(out))} has {', '.join(there)} already", hint="choose another --out", code="folder_exists")
    parts = split_data(rows, dict(zip(_PARTS, (validation, test), strict=True)), stratify, exact=exact)
    _write_parts(out, parts)
    counts = {name: len(found) for name, found in parts.items()}
    if json:
        emit_json({"out": str(out), **counts})
        return
    emit_path(out)
    note(", ".join(f"{count} {name}" for name, count in counts.items()))


dataset.command(epilog="Example: expert-kit dataset difficulty train.jsonl --out scored.jsonl")(difficulty)


def _held_out(file: Path) -> list[DataRow]:
    """The rows of a held-out file: one that cannot be compared with must not look like one without leaks.

    Raises:
        DataError: ``table_unreadable``, ``table_malformed``, ``dataset_empty``.
    """
    from expert_kit.curation import read_good_data

    rows = read_good_data(file)
    if not rows:
        raise DataError(f"{printable(str(file))} has no rows", hint="name a file with rows after --against", code="dataset_empty")
    return rows


def _write_parts(out: Path, parts: Mapping[str, Sequence[DataRow]]) -> None:
    """All of the files or none."""
    staging = out / ".split.part"
    try:
        with writing(out):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            for name, rows in parts.items():
                text = "".join(f"{row.text}\n" for row in rows)
                replace_whole(staging / f"{name}.jsonl", text.encode(), mode=0o644)
            for name in parts:
                (staging / f"{name}.jsonl").rename(out / f"{name}.jsonl")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _show(file: Path, found: Sequence[tuple[Path, Finding]]) -> None:
    for held, one in found:
        where = f" (line {one.other} of {held})" if held != file else ""
        emit(printable(f"{file}:{one.line}: {one.code}: {one.message}{where}"))


def _written(value: object) -> str:
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"
