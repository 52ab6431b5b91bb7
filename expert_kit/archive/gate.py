"""The publish gate: an expert is packed if its own tests say that it is better than the base model alone, and than its siblings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from expert_kit.archive.conversion import PREFIX as CONVERSION
from expert_kit.errors import DataError, ManifestError
from expert_kit.manifest import EvalResult
from expert_kit.names import printable

OVERRIDDEN = "gate:overridden"
"""Suite of the row that a package carries whose publisher packed it all the same; its value is the share of suites that were not better."""
LOWER_IS_BETTER = frozenset({"cer", "error", "loss", "mae", "mse", "perplexity", "ppl", "rmse", "wer"})
"""Words of a metric's name that say so: ``word-error-rate``, ``eval_loss``."""
_RESERVED = (CONVERSION.partition(":")[0] + ":", "gate:")


def pass_gate(name: str, results: Sequence[EvalResult], matrix: Path | None = None, *, allow_worse: bool = False) -> list[EvalResult]:
    """Refuse an expert that is no better where it was compared; the rows that an override leaves in the manifest.

    Args:
        name: ``ns/name``.
        results: those of its source. Rows without the base's value compare nothing.
        matrix: the JSON that ``eval --matrix`` wrote; its rows about this expert name the best sibling.
        allow_worse: pack it all the same.

    Raises:
        ManifestError: ``expert_not_better``; ``suite_reserved``, a row looks like one that packing makes. DataError: ``matrix_unreadable``.
    """
    if reserved := [printable(row.suite) for row in results if row.suite.startswith(_RESERVED)]:
        message = f"{', '.join(reserved)}: suites that begin with {' or '.join(_RESERVED)} are made by packing"
        raise ManifestError(message, hint="rename them in the source's evaluation", code="suite_reserved")
    compared = [row for row in results if row.base_ppm is not None]
    siblings = list(_siblings(name, matrix)) if matrix is not None else []
    worse = [
        f"{printable(row.suite)}: {row.value_ppm / 1e6:g}, the base alone {(row.base_ppm or 0) / 1e6:g}"
        for row in compared
        if _is_worse(row)
    ]
    worse += [reason for reason in siblings if reason]
    total = len(compared) + len(siblings)
    if not worse:
        return []
    if not allow_worse:
        message = f"{name} is not better: {'; '.join(worse)}"
        raise ManifestError(message, hint="train it longer or on more rows, or pack it with --allow-worse", code="expert_not_better")
    return [EvalResult(suite=OVERRIDDEN, metric="share-not-better", n=total, value_ppm=round(1e6 * len(worse) / total))]


def _is_worse(row: EvalResult) -> bool:
    base = row.base_ppm or 0
    lower = LOWER_IS_BETTER & set(re.split(r"[^a-z]+", row.metric.lower()))
    return row.value_ppm >= base if lower else row.value_ppm <= base


def _siblings(name: str, matrix: Path) -> Iterator[str]:
    """For each of the expert's suites what is wrong; empty if nothing is."""
    try:
        rows = [row for row in json.loads(matrix.read_text(encoding="utf-8")) if row["expert"] == name]
        for row in rows:
            own = float(row["own"]["accuracy"])
            others = [("the base alone", float(row["base"]["accuracy"]))]
            if (sibling := row["best_sibling"]) is not None:
                others.append((printable(sibling["expert"]), float(sibling["accuracy"])))
            # Not ">=": what is no number is no better either.
            better = [f"{other} {value:g}" for other, value in others if not own > value]
            yield f"{printable(row['suite'])}: {own:g}, {', '.join(better)}" if better else ""
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"cannot read the matrix {printable(str(matrix))}: {printable(str(error))}"
        raise DataError(
            message, hint="make it with: expert-kit eval --matrix NAME=RECIPE --out FOLDER", code="matrix_unreadable"
        ) from error
    if not rows:
        raise DataError(
            f"{printable(str(matrix))} says nothing about {name}", hint="name the expert in eval --matrix", code="matrix_unreadable"
        )
