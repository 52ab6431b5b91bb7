"""Measures every shipped expert on every recipe's tests; writes recipes/results.json and the tables of recipes/README.md.

    python scripts/make_results.py --work FOLDER [--limit 400] [--siblings-limit 100] [--only sql,cron] [--eval-yaml] [--show]

Every cell of the matrix is a file in the work folder, made once: after an interruption, or with other options, only what is missing
or has changed is run. A domain of which cells are missing keeps its results of before; which experts have changed since, the page says.
Two processes may share the folder with different --only. The experts of experts/ are packed and installed into a home of the work
folder; base models come from the user's own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from result_cells import keep_cell, known_cell, put_between_marks
from results_numbers import BASE, HANDWRITTEN, MAIN, ROUTED, Domain, eval_rows, results_of, tables
from tested_experts import ROOT, Tested, all_tested, install_all, parser_of

from expert_kit.evaluation import Suite, read_general_text, run_general, run_suite
from expert_kit.inference import ExpertEngine
from expert_kit.whole_file import replace_whole

RESULTS = ROOT / "recipes" / "results.json"


def main() -> None:
    """Run what is missing, then write what is known."""
    options = _options()
    tested = all_tested()
    install_all(tested, options.work)
    wanted = [one for one in tested if options.only is None or one.domain.name in options.only]
    with ExpertEngine.from_pretrained(tested[0].base, device=options.device, dtype=options.dtype) as engine:
        _run(engine, wanted, tested, options)
    found = [(one, domain) for one in tested if _is_whole(domain := _collected(one, tested, options))]
    known = json.loads(RESULTS.read_text(encoding="utf-8")) | {domain.name: results_of(domain) for _, domain in found}
    if missing := [one.domain.name for one in tested if one.domain.name not in known]:
        print(f"not written yet: cells of {', '.join(missing)} are missing; run it again without --only")
        return
    results = {one.domain.name: known[one.domain.name] for one in tested}
    text = tables(results, _adapters(tested))
    if options.show:
        print(text)
        return
    replace_whole(RESULTS, (json.dumps(results, indent=2) + "\n").encode(), mode=0o644)
    put_between_marks(ROOT / "recipes" / "README.md", "results", text)
    for one, domain in found if options.eval_yaml else ():
        _write_eval_yaml(one, domain, options)


def _options() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--limit", type=int, help="only the first rows of every test set")
    parser.add_argument("--siblings-limit", type=int, help="the same for experts on tests of others")
    parser.add_argument("--eval-yaml", action="store_true", help="write the results into experts/NAME/eval.yaml too")
    parser.add_argument("--show", action="store_true", help="print the tables and write nothing")
    return parser.parse_args()


def _run(engine: ExpertEngine, wanted: Sequence[Tested], everyone: Sequence[Tested], options: argparse.Namespace) -> None:
    text = read_general_text()
    for one in everyone:
        if one not in wanted:
            continue
        for choice, experts in ((BASE, None), ("expert", one.domain.expert)):
            path, key = _general_cell(one, choice, text.sha256, options)
            if not known_cell(path, key):
                score = run_general(engine, text, experts, choice)
                keep_cell(path, {"key": key, "perplexity": score.perplexity, "tokens": score.tokens})
    for one, suite, choice in _cells(wanted, everyone):
        path, key, limit = _cell(one, suite, choice, everyone, options)
        known = known_cell(path, key)
        rows = sum(1 for line in suite.path.read_bytes().split(b"\n") if line.strip())
        if known and len(known["rows"]) >= min(limit or rows, rows):
            continue
        start = time.monotonic()
        names = {BASE: None, ROUTED: "auto", **{other.domain.name: other.domain.expert for other in everyone}}
        score = run_suite(engine, suite, names[choice], batch_size=options.batch_size, limit=limit)
        answers = [{"id": case.id, "answer": case.answer, "reason": case.reason} for case in score.cases]
        keep_cell(path, {"key": key, "rows": "".join("01"[case.ok] for case in score.cases), "answers": answers})
        seconds = time.monotonic() - start
        print(f"{one.domain.name} {suite.name}, {choice}: {score.passed} of {score.total}, {seconds:.0f} s", flush=True)


def _cells(wanted: Sequence[Tested], everyone: Sequence[Tested]) -> Iterator[tuple[Tested, Suite, str]]:
    """What matters most first: everybody at home, then the router, then everybody abroad."""
    for choices in (lambda one: [one.domain.name, BASE], lambda _: [ROUTED],
                    lambda one: [other.domain.name for other in everyone if other is not one]):  # fmt: skip
        yield from ((one, suite, choice) for one in wanted for suite in one.suites for choice in choices(one))


def _cell(one: Tested, suite: Suite, choice: str, everyone: Sequence[Tested], options: argparse.Namespace) -> tuple[Path, str, int | None]:
    """File of a cell, what it must have been made from, and its rows at most."""
    parts = {other.domain.name: other.parts for other in everyone}
    made = json.dumps([parts, {other.domain.name: other.routing for other in everyone}]) if choice == ROUTED else parts.get(choice, "")
    key = f"{one.digests[suite.name]} {suite.max_new_tokens} {hashlib.sha256(made.encode()).hexdigest()} {one.base} {options.dtype}"
    is_sibling = choice not in (BASE, ROUTED, one.domain.name)
    limits = [limit for limit in (options.limit, options.siblings_limit if is_sibling else None) if limit is not None]
    return options.work / "cells" / f"{one.domain.name}.{suite.name}.{choice}.json", key, min(limits, default=None)


def _general_cell(one: Tested, choice: str, text: str, options: argparse.Namespace) -> tuple[Path, str]:
    made = one.parts if choice != BASE else ""
    name = f"{one.domain.name}.general" if choice != BASE else BASE
    return options.work / "cells" / f"general.{name}.json", f"{text} {made} {one.base} {options.dtype}"


def _collected(one: Tested, everyone: Sequence[Tested], options: argparse.Namespace) -> Domain:
    """What the cells say; a suite of which one is missing is left out."""
    runs: dict[str, dict[str, str]] = {}
    for suite in one.suites:
        found: dict[str, str] = {}
        for choice in (BASE, ROUTED, *(other.domain.name for other in everyone)):
            path, key, limit = _cell(one, suite, choice, everyone, options)
            if known := known_cell(path, key):
                found[choice] = known["rows"][:limit]
        if len(found) == len(everyone) + 2:
            runs[suite.name] = found
    cells = {choice: known_cell(*_general_cell(one, choice, read_general_text().sha256, options)) for choice in (BASE, "expert")}
    perplexity = {choice: cell["perplexity"] for choice, cell in cells.items() if cell is not None}
    both = perplexity if len(perplexity) == 2 else {}
    return replace(one.domain, runs=runs, perplexity=both, adapters=_adapters(everyone), command=_command(options))


def _command(options: argparse.Namespace) -> str:
    given = {"--limit": options.limit, "--siblings-limit": options.siblings_limit}
    return " ".join(["python scripts/make_results.py", *(f"{name} {value}" for name, value in given.items() if value is not None)])


def _is_whole(domain: Domain) -> bool:
    """Whether every cell of it is there; of others the results are those of before."""
    return {MAIN, HANDWRITTEN} <= domain.runs.keys()


def _adapters(tested: Sequence[Tested]) -> dict[str, str]:
    return {one.domain.name: one.parts[:12] for one in tested}


def _write_eval_yaml(one: Tested, domain: Domain, options: argparse.Namespace) -> None:
    cell = known_cell(*_general_cell(one, "expert", read_general_text().sha256, options))
    rows = eval_rows(domain, one.digests, cell["tokens"] if cell else 0)
    limit = "" if options.limit is None else f" --limit {options.limit}"
    head = f"# expert-kit eval experts/{domain.name}/adapter --recipe recipes/{domain.name} --dtype {options.dtype}{limit}\n"
    path = ROOT / "experts" / domain.name / "eval.yaml"
    replace_whole(path, (head + yaml.safe_dump(rows, sort_keys=False)).encode(), mode=0o644)


if __name__ == "__main__":
    main()
