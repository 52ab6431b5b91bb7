"""Rows of Markdown tables, in which names of suites and experts stand as their authors wrote them."""

from __future__ import annotations

from collections.abc import Iterable

from expert_kit.names import printable


def table_row(cells: Iterable[str]) -> str:
    """One row; what would end a cell or steer a terminal is escaped."""
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"
