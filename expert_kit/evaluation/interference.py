"""What experts lose when another one is attached beside them."""

from __future__ import annotations

from collections.abc import Sequence

from expert_kit.evaluation.matrix import DomainResult, experts_of

NOT_MIXED = "-"
"""Shown for two that cannot be mixed."""


def interference_table(results: Sequence[DomainResult]) -> str:
    """Markdown: domains as rows; alone, and with each other expert at full weight beside, in percent of right answers."""
    experts = experts_of(results)
    lines = [
        "| domain | suite | n | alone | " + " | ".join(f"+ {name}" for name in experts) + " |",
        "|---|---|--:|" + "--:|" * (len(experts) + 1),
    ]
    for result in results:
        cells = ["" if name == result.expert else _percent(result, name) for name in experts]
        lines.append(
            f"| {result.expert} | {result.suite} | {result.own.total} | {100 * result.own.accuracy:.1f} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def _percent(result: DomainResult, beside: str) -> str:
    return f"{100 * result.beside[beside].accuracy:.1f}" if beside in result.beside else NOT_MIXED
