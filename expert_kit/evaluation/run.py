"""Runs a test set through the engine and scores every answer."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expert_kit.curation import checked_rows, json_lines
from expert_kit.errors import DataError, GrammarError
from expert_kit.evaluation.tasks import task
from expert_kit.inference import ExpertEngine, Experts, GenerationResult
from expert_kit.names import printable

BASE = "base"
"""What reports call the base model alone."""
ROUTED = "auto"
"""What reports call the router's choice."""
_OF_A_PROMPT = frozenset({"grammar_prompt_not_followed", "grammar_no_words"})
"""Errors of a grammar that are those of one prompt."""
Report = Callable[[int, int], None]
"""Progress: rows done, rows in all."""


@dataclass(frozen=True)
class Suite:
    """Held-out rows and how to score them."""

    name: str
    path: Path
    task: str
    """A key of ``TASKS``."""
    max_new_tokens: int = 96
    grammar: Path | None = None
    """For the answers of adapter folders. An expert that is installed has its own, and the base answers freely."""


@dataclass(frozen=True)
class Case:
    """One scored answer."""

    id: str
    prompt: str
    answer: str
    expected: str
    ok: bool
    reason: str
    group: str = ""
    """What the row is about, such as the program of a command line; its share of right answers is reported on its own."""


@dataclass(frozen=True)
class Score:
    """A suite's result for one choice of experts."""

    suite: str
    experts: str
    """``base``, ``auto``, or what was asked for."""
    passed: int
    total: int
    file_sha256: str
    """Of the suite's file."""
    cases: tuple[Case, ...] = field(repr=False)
    grammars: tuple[str, ...] = ()
    """Digests of the grammars that answers were held to."""
    warnings: tuple[tuple[str, int], ...] = ()
    """What answers warned of, such as a grammar that was not in force, and how many of them did."""

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return self.passed / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson(self.passed, self.total)

    def groups(self) -> dict[str, tuple[int, int]]:
        """Right answers and rows of each group, in the order of their names; rows without one are left out."""
        named = [case for case in self.cases if case.group]
        rows, right = Counter(case.group for case in named), Counter(case.group for case in named if case.ok)
        return {group: (right[group], rows[group]) for group in sorted(rows)}

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the single answers."""
        summary = {name: getattr(self, name) for name in ("suite", "experts", "passed", "total", "file_sha256")}
        summary |= {"accuracy": round(self.accuracy, 4), "interval": [round(bound, 4) for bound in self.interval]}
        summary |= {"grammars": list(self.grammars)} if self.grammars else {}
        summary |= {"warnings": dict(self.warnings)} if self.warnings else {}
        return summary | ({"groups": self.groups()} if any(case.group for case in self.cases) else {})


def wilson(passed: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927); ``total`` above 0."""
    share = passed / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def run_suite(
    engine: ExpertEngine,
    suite: Suite,
    experts: Experts,
    *,
    batch_size: int = 16,
    limit: int | None = None,
    report: Report | None = None,
) -> Score:
    """Answer every row greedily and score the answers.

    Args:
        engine: runs the prompts.
        suite: rows need ``prompt``, ``completion`` and the fields of the task.
        experts: as for ``engine.generate``.
        batch_size: prompts in one batch; rows are sorted by length first, so that little is padded.
        limit: only the first rows of the file.
        report: progress callback.

    Raises:
        UnknownNameError: unknown task. DataError: see :func:`read_test_set`.
    """
    check = task(suite.task)
    rows, digest = read_test_set(suite.path)
    rows = rows[:limit]
    order = sorted(range(len(rows)), key=lambda at: len(rows[at]["prompt"]))
    cases: dict[int, Case] = {}
    grammars: set[str] = set()
    warnings: Counter[str] = Counter()
    options: dict[str, Any] = {"max_new_tokens": suite.max_new_tokens}
    if suite.grammar is not None and isinstance(experts, Path):
        options["grammar"] = suite.grammar
    for batch in _batches(order, batch_size):
        prompts = [rows[at]["prompt"] for at in batch]
        answers = _answers(engine, prompts, experts, options)
        warnings.update(warning for answer in answers for warning in set(answer.warnings))
        grammars.update(answer.grammar.digest for answer in answers if answer.grammar is not None)
        for at, answer in zip(batch, answers, strict=True):
            verdict = check(answer.text, rows[at])
            identity = str(rows[at].get("id", at + 1))
            group = str(rows[at].get("group", ""))
            cases[at] = Case(identity, rows[at]["prompt"], answer.text, rows[at]["completion"], verdict.ok, verdict.reason, group)
        if report:
            report(len(cases), len(rows))
    ordered = tuple(cases[at] for at in sorted(cases))
    passed, total, label = sum(case.ok for case in ordered), len(ordered), _label(experts)
    return Score(suite.name, label, passed, total, digest, ordered, tuple(sorted(grammars)), tuple(warnings.most_common()))


def _answers(engine: ExpertEngine, prompts: Sequence[str], experts: Experts, options: Mapping[str, Any]) -> list[GenerationResult]:
    """Those of one batch. A prompt that the suite's grammar cannot be applied to is answered without, as that of an expert would be."""
    try:
        return engine.generate(list(prompts), [experts] * len(prompts), **options)
    except GrammarError as error:
        if error.code not in _OF_A_PROMPT:
            raise
        if len(prompts) > 1:
            return [answer for prompt in prompts for answer in _answers(engine, [prompt], experts, options)]
        free = {name: value for name, value in options.items() if name != "grammar"}
        (answer,) = engine.generate(list(prompts), [experts], **free)
        return [replace(answer, warnings=(*answer.warnings, f"no grammar is in force: {error.message}"))]


def _label(experts: Experts) -> str:
    return BASE if experts is None else "adapter" if isinstance(experts, Path) else str(experts)


def _batches(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def read_test_set(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The rows of a test set, and the SHA-256 of its file.

    Raises:
        DataError: ``table_unreadable``; ``table_malformed``, naming the line without text under prompt or completion; ``dataset_empty``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"cannot read the test set {printable(str(path))}: {error.strerror}"
        raise DataError(message, hint="make it with: expert-kit train RECIPE --prepare-only", code="table_unreadable") from error
    return checked_rows(json_lines(data, path), path), hashlib.sha256(data).hexdigest()
