"""What an expert does to ordinary text: its perplexity with the expert attached, against the base alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expert_kit.errors import DataError
from expert_kit.evaluation.run import BASE, Report
from expert_kit.evaluation.table import table_row
from expert_kit.inference import ExpertEngine, Experts
from expert_kit.manifest import GENERAL_METRIC, GENERAL_SUITE
from expert_kit.names import printable

BUNDLED = Path(__file__).with_name("general_text.txt")
"""Seventeen passages of English prose of several kinds, written for this project, Apache-2.0."""
_MOST = 1e9
"""A perplexity is capped here, so that it is a number in every file."""


@dataclass(frozen=True)
class GeneralText:
    """Passages, which blank lines part in the file."""

    passages: tuple[str, ...]
    sha256: str
    """Of the file."""


@dataclass(frozen=True)
class GeneralScore:
    """Perplexity for one choice of experts."""

    experts: str
    perplexity: float
    tokens: int
    """That were predicted."""
    text_sha256: str

    def to_json(self, base: float | None) -> dict[str, Any]:
        """Plain data; with the perplexity of the base their ratio, above 1 where the expert harms."""
        found: dict[str, Any] = {"experts": self.experts, "perplexity": round(self.perplexity, 4), "tokens": self.tokens}
        found |= {"text_sha256": self.text_sha256}
        return found | ({"ratio": round(self.perplexity / base, 4)} if base is not None else {})


def read_general_text(path: Path | None = None) -> GeneralText:
    """The passages of a file, or of the bundled text.

    Raises:
        DataError: ``general_text_unreadable``.
    """
    try:
        data = (path or BUNDLED).read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {printable(str(path))}: {printable(str(error))}"
        raise DataError(message, hint="give a text file in UTF-8", code="general_text_unreadable") from error
    # A passage of a letter or two has nothing to predict.
    passages = tuple(passage for part in text.replace("\r\n", "\n").split("\n\n") if len(passage := part.strip()) > 20)
    if not passages:
        message = f"{printable(str(path))} has no passage of more than 20 characters"
        raise DataError(message, hint="give ordinary prose, passages parted by blank lines", code="general_text_unreadable")
    return GeneralText(passages, hashlib.sha256(data).hexdigest())


def run_general(
    engine: ExpertEngine, text: GeneralText, experts: Experts, label: str, *, limit: int | None = None, report: Report | None = None
) -> GeneralScore:
    """Perplexity of all passages together, each read on its own.

    Args:
        engine: runs them.
        text: the passages.
        experts: as for ``engine.generate``; ``auto`` asks the router about every passage.
        label: what reports call these experts.
        limit: only the first passages.
        report: progress callback.
    """
    passages = text.passages[:limit]
    logprob, tokens = 0.0, 0
    for at, passage in enumerate(passages, start=1):
        found = engine.likelihood(passage, experts)
        logprob, tokens = logprob + found.logprob, tokens + found.tokens
        if report:
            report(at, len(passages))
    return GeneralScore(label, min(_MOST, math.exp(min(700.0, -logprob / tokens))), tokens, text.sha256)


def general_row(scores: Sequence[GeneralScore], target: str) -> dict[str, Any] | None:
    """The row of ``target`` as an ``expert.yaml`` takes it under ``eval``; the gate of ``package`` looks at it."""
    by_choice = {score.experts: score for score in scores}
    if target not in by_choice:
        return None
    own, base = by_choice[target], by_choice.get(BASE)
    row = {"suite": GENERAL_SUITE, "metric": GENERAL_METRIC, "n": own.tokens, "expert": round(own.perplexity, 6)}
    return row | ({"base": round(base.perplexity, 6)} if base is not None and target != BASE else {})


def general_table(scores: Sequence[GeneralScore]) -> str:
    """Markdown: the perplexity of each choice, and how many times that of the base it is."""
    base = next((score.perplexity for score in scores if score.experts == BASE), None)
    cells = [
        f"{score.perplexity:.2f}" + (f" (x{score.perplexity / base:.2f})" if base is not None and score.experts != BASE else "")
        for score in scores
    ]
    head = table_row(["general text", "tokens", *(score.experts for score in scores)])
    return "\n".join([head, "|---" * (len(scores) + 2) + "|", table_row(["perplexity", str(scores[0].tokens), *cells])])
