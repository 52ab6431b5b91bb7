"""Scores as a table for people and as the report that goes into an expert's package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expert_kit.evaluation.run import Score

BASE = "base"


def markdown_table(scores: Sequence[Score]) -> str:
    """Suites as rows, choices of experts as columns: right answers, share, and the 95 % interval of the share."""
    choices = list(dict.fromkeys(score.experts for score in scores))
    lines = ["| suite | n | " + " | ".join(choices) + " |", "|---" * (len(choices) + 2) + "|"]
    for suite in dict.fromkeys(score.suite for score in scores):
        cells = {score.experts: score for score in scores if score.suite == suite}
        shown = [_cell(cells[choice]) if choice in cells else "" for choice in choices]
        lines.append(f"| {suite} | {next(iter(cells.values())).total} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def build_report(scores: Sequence[Score], target: str) -> dict[str, Any]:
    """All scores, and under ``results`` one row a suite for the choice ``target``, as an ``expert.yaml`` takes it under ``eval``."""
    base = {score.suite: score.accuracy for score in scores if score.experts == BASE}
    results = []
    for score in scores:
        if score.experts == target:
            row = {"suite": score.suite, "metric": "accuracy", "n": score.total, "expert": round(score.accuracy, 6)}
            results.append(row | ({"base": round(base[score.suite], 6)} if score.suite in base and target != BASE else {}))
    return {"results": results, "scores": [score.to_json() for score in scores]}


def _cell(score: Score) -> str:
    low, high = score.interval
    return f"{score.accuracy:.1%} ({low:.0%}-{high:.0%})"
