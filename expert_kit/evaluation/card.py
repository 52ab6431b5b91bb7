"""A model card in Markdown, made of what is known about an expert and of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expert_kit.evaluation.run import BASE
from expert_kit.evaluation.table import table_row
from expert_kit.names import printable


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside the numbers; empty where nobody said it."""

    target: str
    """The choice of the report that the card is about."""
    name: str
    summary: str
    license: str
    base: str
    base_sha256: str
    """Of the base's weights."""
    adapter: str
    """Its kind and size, in words."""
    data: str
    """What it was trained on, in words."""
    examples: tuple[str, ...] = ()
    """Prompts that it should be asked."""


def model_card(report: Mapping[str, Any], facts: CardFacts) -> str:
    """The card.

    Args:
        report: what ``build_report`` made.
        facts: of the expert whose scores are those of ``facts.target``.
    """
    parts = [f"# {printable(facts.name)}", printable(facts.summary), "\n".join(_facts(facts))]
    if facts.examples:
        parts += ["## Ask it", "\n".join(f"- {printable(text)}" for text in facts.examples)]
    parts += ["## Evaluation", score_table(report["scores"])]
    if general := report.get("general"):
        parts.append(_general(general))
    parts += ["## Limits", "\n".join(f"- {line}" for line in _limits(report, facts.target))]
    return "\n\n".join(part for part in parts if part) + "\n"


def score_table(scores: Sequence[Mapping[str, Any]]) -> str:
    """The scores of a report: suites as rows, choices as columns, each share with its 95 % interval."""
    choices = list(dict.fromkeys(score["experts"] for score in scores))
    lines = [table_row(["suite", "n", *choices]), "|---|--:|" + "--:|" * len(choices)]
    for suite in dict.fromkeys(score["suite"] for score in scores):
        cells = {score["experts"]: score for score in scores if score["suite"] == suite}
        shown = [_share(cells[choice]) if choice in cells else "" for choice in choices]
        lines.append(table_row([suite, str(next(iter(cells.values()))["total"]), *shown]))
    return "\n".join(lines)


def _share(score: Mapping[str, Any]) -> str:
    low, high = score["interval"]
    return f"{100 * score['accuracy']:.1f} % ({100 * low:.0f} to {100 * high:.0f})"


def _facts(facts: CardFacts) -> Iterator[str]:
    digest = f", weights `{facts.base_sha256}`" if facts.base_sha256 else ""
    named = {"Base": f"`{facts.base}`{digest}", "Adapter": facts.adapter, "Data": facts.data, "Licence": facts.license}
    yield from (f"- **{label}**: {printable(text)}" for label, text in named.items() if text)


def _general(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [f"{printable(row['experts'])} {row['perplexity']:.2f}" + (f" (x{row['ratio']:.2f})" if "ratio" in row else "") for row in rows]
    return f"Perplexity of ordinary text, {rows[0]['tokens']} tokens: {', '.join(shown)}."


def _limits(report: Mapping[str, Any], target: str) -> Iterator[str]:
    """What the numbers do not show, or show against it."""
    sizes = sorted({score["total"] for score in report["scores"]})
    yield f"Measured greedily on {' and '.join(map(str, sizes))} rows a suite; the ranges above are 95 % intervals."
    by_choice: dict[tuple[str, str], float] = {(score["suite"], score["experts"]): score["accuracy"] for score in report["scores"]}
    for (suite, choice), share in by_choice.items():
        other = by_choice.get((suite, BASE))
        if choice == target and other is not None and share <= other:
            yield f"On {printable(suite)} it is no better than the base alone."
        if choice == target and share < 1:
            yield f"On {printable(suite)} {100 * (1 - share):.1f} % of its answers are wrong: look them over before you rely on one."
    ratio = next((row.get("ratio") for row in report.get("general", ()) if row["experts"] == target), None)
    if ratio is None:
        yield "What it does to ordinary text was not measured."
    elif ratio > 1:
        yield f"Ordinary text is {ratio:.2f} times as perplexing to it as to the base alone: it is for its own domain."
