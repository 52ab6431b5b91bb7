"""How hard the rows of a data set are for a model: what their prompts tell it about their completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expert_kit.curation import DataRow
from expert_kit.errors import DataError
from expert_kit.evaluation.run import Report
from expert_kit.inference import Continuation, ExpertEngine, Experts

_LEAST_LOSS = 1e-6
"""A completion that is certain without its prompt is divided by this."""


@dataclass(frozen=True)
class Difficulty:
    """Of one row."""

    line: int
    tokens: int
    """Of the completion, its end counted."""
    loss: float
    """Nats a token behind the prompt."""
    alone: float
    """The same behind an empty prompt."""

    @property
    def score(self) -> float:
        """The share of the loss that the prompt leaves: near 0 where it settles the completion, above 1 where it misleads.

        Instruction-following difficulty (Li et al. 2023, arXiv:2308.12032).
        """
        return self.loss / max(self.alone, _LEAST_LOSS)


def row_difficulties(
    engine: ExpertEngine, rows: Sequence[DataRow], experts: Experts = None, *, batch_size: int = 16, report: Report | None = None
) -> list[Difficulty]:
    """The difficulty of every row under the base with these experts, in the order of the rows.

    Args:
        engine: runs them.
        rows: without problems.
        experts: as for ``engine.generate``, but not ``auto``: the same for all rows.
        batch_size: completions that the engine gets at once.
        report: progress callback; completions that several rows share are read once without their prompts.

    Raises:
        DataError: ``row_too_long``. Errors of ``engine.continuations``.
    """
    behind = [engine.exchange(row.prompt, row.completion) for row in rows]
    for row, one in zip(rows, behind, strict=True):
        if len(one.read) > engine.window:
            message = f"line {row.line} has {len(one.read) + 1} tokens, and the model sees {engine.window} together"
            raise DataError(message, hint="shorten or remove the row", code="row_too_long")
    distinct = list(dict.fromkeys(row.completion for row in rows))
    # Without a template an empty prompt has no tokens to begin behind.
    nothing = "" if engine.base.tokenizer.chat_template else "\n"
    alone = [engine.exchange(nothing, text) for text in distinct]
    losses = _losses(engine, [*behind, *alone], experts, batch_size, report)
    loss_alone = dict(zip(distinct, losses[len(rows) :], strict=True))
    return [
        Difficulty(row.line, len(one.ids), loss, loss_alone[row.completion])
        for row, one, loss in zip(rows, behind, losses[: len(rows)], strict=True)
    ]


def _losses(engine: ExpertEngine, asked: Sequence[Continuation], experts: Experts, batch_size: int, report: Report | None) -> list[float]:
    order = sorted(range(len(asked)), key=lambda at: len(asked[at].read))
    found: dict[int, float] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        for at, score in zip(batch, engine.continuations([asked[at] for at in batch], experts), strict=True):
            found[at] = -score.logprob / len(asked[at].ids)
        if report:
            report(len(found), len(asked))
    return [found[at] for at in range(len(asked))]
