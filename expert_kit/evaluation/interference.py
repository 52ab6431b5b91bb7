"""What experts lose when another one is attached beside them."""

from __future__ import annotations

from collections.abc import Sequence

from expert_kit.evaluation.matrix import DomainResult, experts_of
from expert_kit.evaluation.table import table_row

NOT_MIXED = "-"
"""Shown for two that cannot be mixed."""


def interference_table(results: Sequence[DomainResult]) -> str:
    """Markdown: domains as rows; alone, and with each other expert at full weight beside, in percent of right answers."""
    experts = experts_of(results)
    head = ["domain", "suite", "n", "alone", *(f"+ {name}" for name in experts)]
    lines = [table_row(head), "|---|---|--:|" + "--:|" * (len(experts) + 1)]
    for result in results:
        cells = ["" if name == result.expert else _percent(result, name) for name in experts]
        lines.append(table_row([result.expert, result.suite, str(result.own.total), f"{100 * result.own.accuracy:.1f}", *cells]))
    return "\n".join(lines)


def _percent(result: DomainResult, beside: str) -> str:
    return f"{100 * result.beside[beside].accuracy:.1f}" if beside in result.beside else NOT_MIXED
