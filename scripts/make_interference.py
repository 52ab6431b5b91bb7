"""What each shipped expert loses on its own tests with each other one attached beside it; a table for recipes/README.md.

    python scripts/make_interference.py --work FOLDER [--limit 40] [--only sql,cron] [--write]

The generated tests, every pair at full weights. Every cell of the table is a file in the work folder, made once; two processes may share
the folder with different --only. The folder can be that of make_results.py.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from result_cells import keep_cell, known_cell, put_between_marks
from results_numbers import MAIN
from tested_experts import ROOT, Tested, all_tested, install_all, parser_of

from expert_kit.evaluation import Suite, run_suite
from expert_kit.inference import ExpertEngine


def main() -> None:
    """Run what is missing, then show or write what is known."""
    options = _options()
    tested = all_tested()
    install_all(tested, options.work)
    with ExpertEngine.from_pretrained(tested[0].base, device=options.device, dtype=options.dtype) as engine:
        for one in tested:
            for other in tested if options.only is None or one.domain.name in options.only else ():
                _make(engine, one, other, options)
    text = _table(tested, options)
    print(text)
    if options.write:
        put_between_marks(ROOT / "recipes" / "README.md", "interference", text)


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--limit", type=int, default=40, help="only the first rows of every test set (default: 40)")
    parser.add_argument("--write", action="store_true", help="put the table into recipes/README.md")
    return parser.parse_args()


def _make(engine: ExpertEngine, one: Tested, beside: Tested, options: argparse.Namespace) -> None:
    path, key = _cell(one, beside, options)
    if known_cell(path, key):
        return
    mix = {one.domain.expert: 1.0} if beside is one else {one.domain.expert: 1.0, beside.domain.expert: 1.0}
    score = run_suite(engine, _suite(one), mix, batch_size=options.batch_size, limit=options.limit)
    keep_cell(path, {"key": key, "rows": "".join("01"[case.ok] for case in score.cases)})
    print(f"{one.domain.name} beside {beside.domain.name}: {score.passed} of {score.total}", flush=True)


def _suite(one: Tested) -> Suite:
    return next(suite for suite in one.suites if suite.name == MAIN)


def _cell(one: Tested, beside: Tested, options: argparse.Namespace) -> tuple[Path, str]:
    """File of a cell, and what it must have been made from."""
    made = hashlib.sha256(f"{one.parts} {beside.parts}".encode()).hexdigest()
    key = f"{one.digests[MAIN]} {_suite(one).max_new_tokens} {made} {one.base} {options.dtype} {options.limit}"
    return options.work / "cells" / f"{one.domain.name}.beside.{beside.domain.name}.json", key


def _table(tested: Sequence[Tested], options: argparse.Namespace) -> str:
    """Markdown; cells that were not run are empty."""
    names = [one.domain.name for one in tested]
    lines = ["| tests | n | alone | " + " | ".join(f"+ {name}" for name in names) + " |", "|---|" + "--:|" * (len(names) + 2)]
    for one in tested:
        found = {other.domain.name: known_cell(*_cell(one, other, options)) for other in tested}
        rows = {name: cell["rows"] for name, cell in found.items() if cell}
        if alone := rows.get(one.domain.name):
            cells = ["" if name == one.domain.name or name not in rows else _percent(rows[name]) for name in names]
            lines.append(f"| {one.domain.name} | {len(alone)} | {_percent(alone)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(rows: str) -> str:
    return f"{100 * rows.count('1') / len(rows):.1f}"


if __name__ == "__main__":
    main()
