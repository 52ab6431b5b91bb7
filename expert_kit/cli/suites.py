"""A recipe's test sets through the engine, for several choices of experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expert_kit.cli.output import note
from expert_kit.cli.progress import ProgressLine
from expert_kit.errors import RecipeError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.evaluation import GeneralScore, Score, Suite
    from expert_kit.inference import ExpertEngine
    from expert_kit.training import Recipe


RECIPE_FILE = "recipe.yaml"


def recipe_file(path: Path) -> Path:
    """The recipe, where its folder may be named instead."""
    return path / RECIPE_FILE if path.is_dir() else path


def suites_of(recipe: Recipe, folder: Path) -> list[Suite]:
    """The recipe's test sets; an unknown task, a missing grammar or bad rows are refused here, before anything expensive.

    Raises:
        UnknownNameError: a task. RecipeError: ``recipe_grammar``. DataError: see ``evaluation.read_test_set``.
    """
    from expert_kit.evaluation import Suite, read_test_set, task

    for test in recipe.tests.values():
        task(test.task)
        if (folder / test.path).is_file():  # others may yet be made, by what then looks at their rows
            read_test_set(folder / test.path)
    return [
        Suite(name, folder / test.path, test.task, test.max_new_tokens, _grammar(folder, name, test.grammar))
        for name, test in recipe.tests.items()
    ]


def _grammar(folder: Path, suite: str, named: Path | None) -> Path | None:
    if named is None:
        return None
    path = folder / named
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise RecipeError(f"tests.{suite}.grammar: there is no file {printable(str(named))} in {folder}", code="recipe_grammar")
    return path


def some_suites_of(recipe: Recipe, path: Path) -> list[Suite]:
    """The same where there must be one.

    Raises:
        RecipeError: ``recipe_without_tests``.
    """
    suites = suites_of(recipe, path.parent)
    if not suites:
        raise RecipeError(f"{path} names no test sets", hint="add some under tests:", code="recipe_without_tests")
    return suites


def open_tests(named: Path) -> tuple[Recipe, list[Suite]]:
    """The recipe of a file or folder, and its test sets; those that its script generates are made where they are missing.

    Raises:
        RecipeError: see ``load_recipe`` and :func:`some_suites_of`. DataError: a test set is missing, or has bad rows or none.
    """
    from expert_kit.evaluation import read_test_set
    from expert_kit.training import load_recipe, prepare_data

    path = recipe_file(named)
    recipe = load_recipe(path)
    suites = some_suites_of(recipe, path)
    if recipe.dataset.prepare and not all(suite.path.is_file() for suite in suites):
        prepare_data(recipe, path.parent)
    for suite in suites:
        read_test_set(suite.path)
    return recipe, suites


def run_suites(
    engine: ExpertEngine, suites: list[Suite], choices: Mapping[str, Any], *, batch_size: int = 16, limit: int | None = None
) -> list[Score]:
    """A score for every suite and choice; the keys of ``choices`` are what the report calls them."""
    from expert_kit.evaluation import run_suite

    scores = []
    with ProgressLine() as line:
        for label, experts in choices.items():
            for suite in suites:
                task = f"{suite.name}, {label}"
                line.update(task, 0, 0)
                score = run_suite(
                    engine,
                    suite,
                    experts,
                    batch_size=batch_size,
                    limit=limit,
                    report=lambda done, total, task=task: line.update(task, done, total),  # type: ignore[misc]
                )
                scores.append(replace(score, experts=label))
    for score in scores:
        for warning, rows in score.warnings:
            note(f"{score.suite}, {printable(score.experts)}: {rows} of {score.total} answers: {printable(warning)}")
    return scores


def run_general_text(
    engine: ExpertEngine, choices: Mapping[str, Any], path: Path | None = None, *, limit: int | None = None
) -> list[GeneralScore]:
    """The perplexity of ordinary text for every choice; of the bundled text if no other is named.

    Raises:
        DataError: ``general_text_unreadable``.
    """
    from expert_kit.evaluation import read_general_text, run_general

    text = read_general_text(path)
    scores = []
    with ProgressLine() as line:
        for label, experts in choices.items():
            line.update(task := f"general text, {label}", 0, 0)
            scores.append(
                run_general(
                    engine,
                    text,
                    experts,
                    label,
                    limit=limit,
                    report=lambda done, total, task=task: line.update(task, done, total),  # type: ignore[misc]
                )
            )
    return scores
