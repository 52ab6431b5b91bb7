"""The publish gate: an expert is packed if it is better than the base model alone and than its siblings, and spoils no ordinary text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from expert_kit.archive.conversion import PREFIX as CONVERSION
from expert_kit.archive.conversion import to_bfloat16
from expert_kit.archive.packed import read_member
from expert_kit.archive.source import ManifestSource
from expert_kit.errors import DataError, ExpertKitError, ManifestError
from expert_kit.manifest import GENERAL_METRIC, GENERAL_SUITE, WEIGHTS_NAME, EvalResult
from expert_kit.names import Digest, printable, sha256_digest

OVERRIDDEN = "gate:overridden"
"""Suite of the row that a package carries whose publisher packed it all the same; its value is the share of suites that were not better."""
LOWER_IS_BETTER = frozenset({"cer", "error", "loss", "mae", "mse", "perplexity", "ppl", "rmse", "wer"})
"""Words of a metric's name that say so: ``word-error-rate``, ``eval_loss``."""
GENERAL_LIMIT = 1.5
"""Perplexity of ordinary text with the expert over that of the base alone; above it the expert counts as harmful.

The first shipped experts came to 1.21 (calculus) and 1.26 (sql), after learning rates of 0.0007 and 0.0008: who is trained on formulas
alone writes worse prose. One that has lost about twice as much as they has forgotten more than it had to.
"""
_RESERVED = (CONVERSION.partition(":")[0] + ":", "gate:")


def pass_gate(
    name: str, results: Sequence[EvalResult], matrix: Path | None = None, *, weights: Collection[Digest] = (), allow_worse: bool = False
) -> list[EvalResult]:
    """Refuse an expert that is no better where it was compared; the rows that an override leaves in the manifest.

    Args:
        name: ``ns/name``.
        results: those of its source. Rows without the base's value compare nothing.
        matrix: the JSON that ``eval --matrix`` wrote; its rows about this expert name the best sibling.
        weights: those that the matrix must have been made with, see :func:`weights_digests`.
        allow_worse: pack it all the same.

    Raises:
        ManifestError: ``expert_not_better``; ``suite_reserved``, a row looks like one that packing makes. DataError: ``matrix_unreadable``;
            ``matrix_other_weights``.
    """
    if reserved := [printable(row.suite) for row in results if row.suite.startswith(_RESERVED)]:
        message = f"{', '.join(reserved)}: suites that begin with {' or '.join(_RESERVED)} are made by packing"
        raise ManifestError(message, hint="rename them in the source's evaluation", code="suite_reserved")
    compared = [row for row in results if row.base_ppm is not None]
    siblings = list(_siblings(name, matrix, weights)) if matrix is not None else []
    worse = [f"{printable(row.suite)}: {row.value_ppm / 1e6:g}, the base alone {(row.base_ppm or 0) / 1e6:g}{_limit(row)}"
             for row in compared if _is_worse(row)]  # fmt: skip
    worse += [reason for reason in siblings if reason]
    total = len(compared) + len(siblings)
    if not worse:
        return []
    if not allow_worse:
        message = f"{name} is not better: {'; '.join(worse)}"
        raise ManifestError(message, hint="train it longer or on more rows, or pack it with --allow-worse", code="expert_not_better")
    return [EvalResult(suite=OVERRIDDEN, metric="share-not-better", n=total, value_ppm=round(1e6 * len(worse) / total))]


def is_general(row: EvalResult) -> bool:
    """Whether the row is about ordinary text, on which an expert need not be better, only not much worse."""
    return (row.suite, row.metric) == (GENERAL_SUITE, GENERAL_METRIC)


def _limit(row: EvalResult) -> str:
    return f", more than {GENERAL_LIMIT:g} times as much" if is_general(row) else ""


def _is_worse(row: EvalResult) -> bool:
    base = row.base_ppm or 0
    if is_general(row):
        return row.value_ppm > GENERAL_LIMIT * base
    lower = LOWER_IS_BETTER & set(re.split(r"[^a-z]+", row.metric.lower()))
    return row.value_ppm >= base if lower else row.value_ppm <= base


def weights_digests(source: ManifestSource) -> set[Digest]:
    """Of the weights of a source's adapters, as they are and as a conversion to bfloat16 packs them."""
    found: set[Digest] = set()
    for folder in {source.adapter, *source.variants.values()}:
        data = read_member(folder, WEIGHTS_NAME)
        found.add(sha256_digest(data))
        with suppress(ExpertKitError):  # it is not of float32; what is wrong with it, packing says
            found.add(sha256_digest(to_bfloat16(data)))
    return found


def _siblings(name: str, matrix: Path, weights: Collection[Digest]) -> Iterator[str]:
    """For each of the expert's suites what is wrong; empty if nothing is."""
    try:
        rows = [row for row in json.loads(matrix.read_text(encoding="utf-8")) if row["expert"] == name]
        if any(row["weights_sha256"] not in weights for row in rows):
            message = f"{printable(str(matrix))} was made with other weights of {name}"
            raise DataError(message, hint="install this expert, then run eval --matrix again", code="matrix_other_weights")
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
