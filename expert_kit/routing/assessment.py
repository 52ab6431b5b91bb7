"""How good the routing of one registry is: on labelled prompts, expert by expert, and as a picture."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from expert_kit.errors import DataError, UnknownNameError
from expert_kit.names import ExpertRef, printable
from expert_kit.routing.corpus import Labelled
from expert_kit.routing.decision import RouteDecision
from expert_kit.routing.feedback import Feedback
from expert_kit.routing.fitted import Fitted
from expert_kit.routing.measures import auroc, calibration_error, reliability
from expert_kit.routing.reading import plain_prompts
from expert_kit.whole_file import replace_png

ALIKE: Final = 0.8
"""Cosine of two experts' mean examples from which on they are said to overlap."""
MOST_ROWS: Final = 100_000
SHOWN: Final = 20
"""Bad rows, and names of experts, that an error lists."""


class LabelledPrompt(NamedTuple):
    """A prompt and the expert that should answer it; None: nobody."""

    text: str
    expert: str | None


class WrongRow(NamedTuple):
    """A prompt that went elsewhere."""

    text: str
    expected: str | None
    chosen: str | None


@dataclass(frozen=True)
class Assessment:
    """Measures by name, None where there were no prompts for one, and what went wrong."""

    measures: dict[str, float | None]
    wrong: tuple[WrongRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        rounded = {name: None if value is None else round(value, 6) for name, value in self.measures.items()}
        return {"measures": rounded, "wrong": [row._asdict() for row in self.wrong]}


class Recall(NamedTuple):
    """Share of an expert's validation prompts that rank it first."""

    name: str
    recall: float
    prompts: int


class Confusion(NamedTuple):
    """Prompts of one expert that another one gets."""

    expected: str
    chosen: str
    prompts: int


class Overlap(NamedTuple):
    """Two experts whose examples are alike."""

    one: str
    other: str
    likeness: float


@dataclass(frozen=True)
class RouterReport:
    """Where experts get into each other's way."""

    recalls: tuple[Recall, ...]
    """The worst first."""
    confusions: tuple[Confusion, ...]
    overlaps: tuple[Overlap, ...]
    bins: tuple[tuple[float, float, float], ...]
    """Mean confidence, share right, share of all, for each bin that is not empty."""
    ece: float
    feedback_right: int
    feedback_wrong: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        lists = {name: [one._asdict() for one in getattr(self, name)] for name in ("recalls", "confusions", "overlaps")}
        numbers = {"ece": round(self.ece, 6), "feedback_right": self.feedback_right, "feedback_wrong": self.feedback_wrong}
        return {**lists, "bins": [list(one) for one in self.bins], **numbers}


def read_labelled(path: Path, experts: Collection[str]) -> list[LabelledPrompt]:
    """JSON lines ``{"text": ..., "expert": "ns/name"}``; without ``expert`` nobody should answer.

    Args:
        path: the file.
        experts: full names that a row may have, those that could answer.

    Raises:
        DataError: ``routing_rows_invalid``, naming the lines.
    """
    shown = printable(str(path))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"cannot read {shown}: {why}", hint="name a file of JSON lines", code="routing_rows_invalid") from error
    found = [_labelled(line, experts) for line in lines[:MOST_ROWS]]
    problems = [f"  {shown}:{number}: {row}" for number, row in enumerate(found, start=1) if isinstance(row, str)]
    if problems:
        more = [f"  and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise DataError(
            "\n".join([f"bad rows: {len(problems)}", *problems[:SHOWN], *more]), hint=_experts_hint(experts), code="routing_rows_invalid"
        )
    if not found:
        raise DataError(f"{shown} has no rows", hint="one JSON object a line", code="routing_rows_invalid")
    return [row for row in found if isinstance(row, LabelledPrompt)]


def _labelled(line: str, experts: Collection[str]) -> LabelledPrompt | str:
    """The row, or what is wrong with it."""
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    expert = row.get("expert") if isinstance(row, dict) else 0
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not (expert is None or isinstance(expert, str)):
        return 'not {"text": "...", "expert": "ns/name" or null}'
    if expert is None or expert in experts:
        return LabelledPrompt(row["text"], expert)
    try:
        why = "no namespace/name" if ExpertRef.parse(expert).version else "no such expert here"
    except UnknownNameError:
        why = "no namespace/name"
    return f"{why}: '{printable(expert[:100])}'"


def _experts_hint(experts: Collection[str]) -> str:
    more = f" and {len(experts) - SHOWN} more: expert-kit list" if len(experts) > SHOWN else ""
    names = ", ".join(sorted(experts)[:SHOWN]) + more or "none, expert-kit install PACKAGE"
    return f"correct these lines; installed for this base: {names}"


def assess(decide: Callable[[str], RouteDecision], rows: Sequence[LabelledPrompt]) -> Assessment:
    """Route every prompt and count.

    Raises:
        CheckUnavailableError: there is no encoder.
    """
    decisions = [(row, decide(row.text)) for row in rows]
    own = [(row, one) for row, one in decisions if row.expert is not None]
    others = [one for row, one in decisions if row.expert is None]
    ranks = [next((at for at, ranked in enumerate(one.scores) if ranked.name == row.expert), len(one.scores)) for row, one in own]
    answered = [one.experts[0].name if one.experts else None for _, one in decisions]
    pairs = zip(decisions, answered, strict=True)
    wrong = tuple(WrongRow(row.text, row.expert, chosen) for (row, _), chosen in pairs if chosen != row.expert)
    sure = [(one.p_right, rank == 0) for (_, one), rank in zip(own, ranks, strict=True) if one.p_right is not None]
    measures = {
        "accuracy": 1 - len(wrong) / len(rows),
        "ranked_first": _share([rank == 0 for rank in ranks]),
        "ranked_in_3": _share([rank < 3 for rank in ranks]),
        "abstained_on_covered": _share([one.abstained for _, one in own]),
        "abstained_on_others": _share([one.abstained for one in others]),
        "coverage_auroc": auroc(np.array([one.coverage for _, one in own]), np.array([one.coverage for one in others]))
        if own and others
        else None,
        "ece": calibration_error(np.array([said for said, _ in sure]), np.array([was for _, was in sure])) if sure else None,
    }
    return Assessment(measures, wrong)


def report_on(fitted: Fitted, held: Labelled, feedback: Sequence[Feedback]) -> RouterReport:
    """Judge held-out prompts one expert at a time.

    Args:
        fitted: a fit.
        held: prompts that it was not fitted on.
        feedback: remarks, to be counted.
    """
    names = fitted.corpus.names
    chances = fitted.judge(plain_prompts(held.batch)).chances
    best = chances.argmax(axis=1)
    right = held.targets[np.arange(len(best)), best]
    recalls = [
        Recall(names[at], float((best[held.targets[:, at]] == at).mean()), int(held.targets[:, at].sum()))
        for at in np.flatnonzero(held.targets.any(axis=0))
    ]
    missed = np.flatnonzero(~right)
    counted = Counter((names[int(held.targets[row].argmax())], names[int(best[row])]) for row in missed)
    likeness = fitted.coverage.centroids @ fitted.coverage.centroids.T
    close = np.argwhere(np.triu(likeness, 1) >= ALIKE)
    overlaps = [Overlap(names[one], names[other], round(float(likeness[one, other]), 4)) for one, other in close]
    confidence = chances.max(axis=1)
    return RouterReport(
        recalls=tuple(sorted(recalls, key=lambda one: (one.recall, one.name))),
        confusions=tuple(Confusion(*pair, count) for pair, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        overlaps=tuple(sorted(overlaps, key=lambda one: (-one.likeness, one.one, one.other))),
        bins=tuple(reliability(confidence, right)),
        ece=calibration_error(confidence, right),
        feedback_right=sum(row.verdict == "right" for row in feedback),
        feedback_wrong=sum(row.verdict != "right" for row in feedback),
    )


def draw_reliability(report: RouterReport, path: Path) -> None:
    """A reliability diagram as PNG: how often the first expert was right, by how likely that was said to be.

    Raises:
        OSError: it cannot be written.
    """
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfectly calibrated")
    said, was, share = zip(*report.bins, strict=True)
    axes.scatter(said, was, s=[20 + 400 * one for one in share], label="prompts, size by number")
    axes.set(
        xlim=(0, 1.02), ylim=(0, 1.02), xlabel="said: P(right | covered)", ylabel="was right", title=f"calibration error {report.ece:.3f}"
    )
    axes.legend(loc="upper left")
    replace_png(path, figure)


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
