"""What the scripts with long tables share: measured cells that are kept in files, and the marked parts of a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from expert_kit.evaluation import wilson
from expert_kit.whole_file import replace_whole


def known_cell(path: Path, key: str) -> dict[str, Any] | None:
    """What was measured, if it was made from what ``key`` says."""
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if found is not None and found["key"] == key else None


def keep_cell(path: Path, cell: dict[str, Any]) -> None:
    """Write a cell, its ``key`` among its values, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, (json.dumps(cell, ensure_ascii=False, indent=1) + "\n").encode(), mode=0o644)


def share(passed: int, total: int) -> str:
    """Percent with its 95 % interval, for a table."""
    low, high = wilson(passed, total)
    return f"{passed / total:.1%} ({low:.0%} to {high:.0%})".replace("%", " %")


def put_between_marks(page: Path, mark: str, text: str) -> None:
    """Replace what stands between the lines ``<!-- mark -->`` and ``<!-- /mark -->`` of a page."""
    opening, closing = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, start, rest = page.read_text(encoding="utf-8").partition(opening)
    _, end, after = rest.partition(closing)
    if not start or not end:
        raise SystemExit(f"{page} has no {opening} ... {closing}")
    replace_whole(page, f"{before}{start}\n{text}\n{end}{after}".encode(), mode=0o644)
