"""Scores as a table for people and as the report that goes into an expert's package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from expert_kit.evaluation.general import GeneralScore, general_row
from expert_kit.evaluation.run import BASE, ROUTED, Score
from expert_kit.evaluation.table import table_row

ORACLE = "oracle"
"""What reports call the best choice of every row."""


def markdown_table(scores: Sequence[Score]) -> str:
    """Suites as rows, choices of experts as columns: right answers, share, and the 95 % interval of the share."""
    choices = list(dict.fromkeys(score.experts for score in scores))
    lines = [table_row(["suite", "n", *choices]), "|---" * (len(choices) + 2) + "|"]
    for suite in dict.fromkeys(score.suite for score in scores):
        cells = {score.experts: score for score in scores if score.suite == suite}
        shown = [_cell(cells[choice]) if choice in cells else "" for choice in choices]
        lines.append(table_row([suite, str(next(iter(cells.values())).total), *shown]))
    return "\n".join(lines)


def build_report(scores: Sequence[Score], target: str, general: Sequence[GeneralScore] = ()) -> dict[str, Any]:
    """All scores, and under ``results`` one row a suite for the choice ``target``, as an ``expert.yaml`` takes it under ``eval``.

    The general text is such a row too, with the metric perplexity.
    """
    base = {score.suite: score.accuracy for score in scores if score.experts == BASE}
    results = []
    for score in scores:
        if score.experts == target:
            row = {"suite": score.suite, "metric": "accuracy", "n": score.total, "expert": round(score.accuracy, 6)}
            results.append(row | ({"base": round(base[score.suite], 6)} if score.suite in base and target != BASE else {}))
    if ordinary := general_row(general, target):
        results.append(ordinary)
    found = {"results": results, "scores": [score.to_json() for score in scores]}
    alone = next((one.perplexity for one in general if one.experts == BASE), None)
    return found | ({"general": [one.to_json(alone) for one in general]} if general else {})


def oracle_scores(scores: Sequence[Score]) -> list[Score]:
    """For each suite the rows that the base or one expert alone gets right: what choosing among single experts could reach."""
    found = []
    for suite in dict.fromkeys(score.suite for score in scores):
        singles = [score for score in scores if score.suite == suite and score.experts != ROUTED and not score.experts.startswith("mix:")]
        if not singles:
            continue
        rows = zip(*(score.cases for score in singles), strict=True)
        cases = tuple(next((case for case in choices if case.ok), choices[0]) for choices in rows)
        found.append(replace(singles[0], experts=ORACLE, passed=sum(case.ok for case in cases), cases=cases, grammars=()))
    return found


def _cell(score: Score) -> str:
    low, high = score.interval
    return f"{score.accuracy:.1%} ({low:.0%}-{high:.0%})"
