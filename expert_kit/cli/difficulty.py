"""``expert-kit dataset difficulty``: which rows a model finds hard, and which prompts mislead it."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expert_kit.cli.engine import open_engine
from expert_kit.cli.options import Base, Device, Dtype, Json, Quantization, read_choice
from expert_kit.cli.output import emit_json, emit_path, emit_table, note, write_whole, writing
from expert_kit.cli.progress import ProgressLine
from expert_kit.errors import DataError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.curation import DataRow
    from expert_kit.evaluation import Difficulty

_SHOWN = 60


def difficulty(
    file: Annotated[Path, typer.Argument(help='JSON lines {"prompt": ..., "completion": ...}.', show_default=False)],
    expert: Annotated[
        str, typer.Option("--expert", "-e", help="Whose difficulty: base, an expert, a mix:... or an adapter folder.")
    ] = "base",
    base: Base = "smollm2-135m",
    hardest: Annotated[int, typer.Option(min=0, help="How many of the hardest rows to list.")] = 10,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help='File for the rows with "difficulty" and "loss" added.', show_default=False)] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file for a histogram.", show_default=False)] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Completions in one batch.")] = 16,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantization: Quantization = "none",
    json: Json = False,
) -> None:
    """Score how much of each completion its prompt leaves open to the model. Above 1 the prompt misleads it."""
    if expert == "auto":
        hint = "name base or an expert"
        raise UsageError("a router chooses for a prompt, and one model must read all rows", hint=hint, code="difficulty_auto")
    from expert_kit.curation import read_good_data

    rows = read_good_data(file)[:limit]
    if not rows:
        raise DataError(f"{printable(str(file))} has no rows", hint="name a file with rows", code="dataset_empty")
    from expert_kit.evaluation import row_difficulties

    with ProgressLine() as line, open_engine(base, device=device, dtype=dtype, quantization=quantization) as engine:
        found = row_difficulties(
            engine, rows, read_choice(expert), batch_size=batch_size, report=lambda done, total: line.update("reading", done, total)
        )
    worst = sorted(zip(found, rows, strict=True), key=lambda pair: -pair[0].score)[:hardest]
    figures = _figures(found)
    if json:
        written = {"out": str(out)} if out is not None else {}
        listed = [{**asdict(one), "score": one.score} for one, _ in worst]
        emit_json({**figures, "expert": expert, "base": base, "hardest": listed, **written})
    elif worst:
        head = ["line", "difficulty", "loss", "without prompt", "tokens", "prompt"]
        emit_table(head, [[str(one.line), f"{one.score:.2f}", f"{one.loss:.3f}", f"{one.alone:.3f}", str(one.tokens), _short(row.prompt)]
                          for one, row in worst])  # fmt: skip
    # Behind the numbers: a place that cannot be written must not cost them.
    _write(rows, found, out, plot)
    if out is not None and not json:
        emit_path(out)
    note("{rows} rows: median {median:.2f}, 95th percentile {p95:.2f}; {misleading} above 1".format(**figures))


def _figures(found: Sequence[Difficulty]) -> dict[str, Any]:
    from expert_kit.curation import spread

    scores = [one.score for one in found]
    median, p95, _ = spread(scores)
    return {"rows": len(scores), "median": median, "p95": p95, "misleading": sum(score > 1 for score in scores)}


def _write(rows: Sequence[DataRow], found: Sequence[Difficulty], out: Path | None, plot: Path | None) -> None:
    if out is not None:
        scored = [{**jsonlib.loads(row.text), "difficulty": round(one.score, 4), "loss": round(one.loss, 4)}
                  for row, one in zip(rows, found, strict=True)]  # fmt: skip
        write_whole(out, "".join(jsonlib.dumps(row, ensure_ascii=False) + "\n" for row in scored))
    if plot is not None:
        from expert_kit.evaluation.chart import draw_difficulties

        with writing(plot):
            draw_difficulties(found, plot)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…"
