"""``expert-kit eval --matrix``: all named experts on the tests of all their recipes."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expert_kit.cli.output import emit, emit_json, note, write_whole, writing
from expert_kit.cli.suites import open_tests, run_suites
from expert_kit.errors import NotComposableError, UsageError
from expert_kit.names import ExpertRef, printable

if TYPE_CHECKING:
    from expert_kit.evaluation import DomainResult, Score, Suite
    from expert_kit.inference import ExpertEngine


@dataclass(frozen=True)
class Domain:
    """An expert, and the tests of its recipe."""

    expert: str
    suites: list[Suite]
    base: str


def read_domains(pairs: list[str]) -> list[Domain]:
    """``ns/name=RECIPE`` pairs; missing generated tests are made.

    Raises:
        UsageError: ``matrix_malformed``, ``matrix_twice``, ``matrix_bases``. RecipeError: see ``load_recipe``.
    """
    named: dict[str, str] = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        if not name or not folder:
            hint = "write NAME=RECIPE, such as expert-kit/sql=recipes/sql"
            raise UsageError(f"--matrix {printable(pair)}", hint=hint, code="matrix_malformed")
        expert = str(ExpertRef.parse(name))
        if expert in named:
            message = f"--matrix names {expert} twice"
            raise UsageError(message, hint="name each expert once, with the recipe whose tests are its own", code="matrix_twice")
        named[expert] = folder
    opened = {expert: open_tests(Path(folder)) for expert, folder in named.items()}
    domains = [Domain(expert, suites, recipe.model_name_or_path) for expert, (recipe, suites) in opened.items()]
    bases = sorted({domain.base for domain in domains})
    if len(bases) > 1:
        message = "a matrix has experts of one base model; these recipes name " + ", ".join(map(printable, bases))
        raise UsageError(message, hint="run eval --matrix once for each base model", code="matrix_bases")
    return domains


def run_matrix(
    engine: ExpertEngine, domains: list[Domain], *, interference: bool, batch_size: int, limit: int | None
) -> list[DomainResult]:
    """Every domain's tests with the base, every expert and the router's choice.

    With ``interference`` each expert's tests are answered with each other expert beside it, too.
    """
    from expert_kit.evaluation import DomainResult

    choices = {"base": None, **{domain.expert: domain.expert for domain in domains}, "auto": "auto"}
    results = []
    assert engine.registry is not None
    weights = {domain.expert: engine.registry.get(domain.expert).weights.sha256 for domain in domains}
    for domain in domains:
        scores = run_suites(engine, domain.suites, choices, batch_size=batch_size, limit=limit)
        mixes = _mixes(engine, domain, list(weights)) if interference else {}
        mixed = run_suites(engine, domain.suites, mixes, batch_size=batch_size, limit=limit)
        for suite in domain.suites:
            found, beside = ({one.experts: one for one in some if one.suite == suite.name} for some in (scores, mixed))
            results.append(DomainResult(domain.expert, suite.name, found, weights[domain.expert], beside))
    return results


def _mixes(engine: ExpertEngine, domain: Domain, experts: list[str]) -> dict[str, dict[str | Path, float]]:
    """By the other expert, the two at full weight; pairs that cannot be mixed are said and left out."""
    found: dict[str, dict[str | Path, float]] = {}
    for other in experts:
        if other == domain.expert:
            continue
        mix: dict[str | Path, float] = {domain.expert: 1.0, other: 1.0}
        try:
            engine.likelihood("One text.", mix)
        except NotComposableError as error:
            note(f"warning: {domain.expert} beside {other}: {error}")
        else:
            found[other] = mix
    return found


def show_matrix(results: list[DomainResult], out: Path | None, *, as_json: bool) -> None:
    """The table or JSON; into the folder ``out`` go ``matrix.json``, ``matrix.md`` and ``matrix.png``, a heat map; so for interference."""
    from expert_kit.evaluation import interference_table, matrix_table

    found = [result.to_json() for result in results]
    beside = any(result.beside for result in results)
    if as_json:
        emit_json(found)
    else:
        emit("\n\n".join([matrix_table(results), *([interference_table(results)] if beside else [])]))
        for result in results:
            if not result.wins_at_home:
                note(f"warning: {result.expert} is not the best on its own {printable(result.suite)} tests")
    if out is None:
        return
    from expert_kit.evaluation.chart import draw_interference, draw_matrix

    write_whole(out / "matrix.json", jsonlib.dumps(found, indent=2) + "\n")
    write_whole(out / "matrix.md", matrix_table(results) + "\n")
    with writing(out / "matrix.png"):
        draw_matrix(results, out / "matrix.png")
    if beside:
        write_whole(out / "interference.md", interference_table(results) + "\n")
        with writing(out / "interference.png"):
            draw_interference(results, out / "interference.png")


def all_scores(results: list[DomainResult]) -> list[Score]:
    """Every run, for ``--cases``."""
    return [score for result in results for score in result.scores.values()]
