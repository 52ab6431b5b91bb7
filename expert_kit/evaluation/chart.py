"""Pictures of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from expert_kit.evaluation.difficulty import Difficulty
from expert_kit.evaluation.interference import NOT_MIXED
from expert_kit.evaluation.matrix import DomainResult, experts_of
from expert_kit.evaluation.run import BASE, ROUTED
from expert_kit.names import printable
from expert_kit.whole_file import replace_png


def draw_report(report: Mapping[str, Any], path: Path) -> None:
    """The share of right answers by suite and choice: bars with their 95 % intervals, as PNG.

    Args:
        report: what ``build_report`` made.
        path: is replaced.

    Raises:
        OSError: it cannot be written.
    """
    scores = report["scores"]
    suites, choices = (list(dict.fromkeys(score[key] for score in scores)) for key in ("suite", "experts"))
    figure = Figure(figsize=(2.5 + 0.7 * len(suites) * len(choices), 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(choices)
    for number, choice in enumerate(choices):
        own = {score["suite"]: score for score in scores if score["experts"] == choice}
        found = [(at, own[suite]) for at, suite in enumerate(suites) if suite in own]
        places = [at + (number - (len(choices) - 1) / 2) * width for at, _ in found]
        heights = [100 * score["accuracy"] for _, score in found]
        # Rounded numbers may stand a hair outside of their interval.
        down = [max(0.0, 100 * (score["accuracy"] - score["interval"][0])) for _, score in found]
        up = [max(0.0, 100 * (score["interval"][1] - score["accuracy"])) for _, score in found]
        # A name that begins with an underscore would be left out of the legend.
        axes.bar(places, heights, width, yerr=[down, up], capsize=3, label=f" {_label(choice)}")
    axes.set_xticks(range(len(suites)), [_label(suite) for suite in suites])
    axes.set_ylim(0, 105)
    axes.set_ylabel("right answers in percent")
    axes.legend()
    replace_png(path, figure)


def draw_matrix(results: Sequence[DomainResult], path: Path) -> None:
    """A heat map of every choice on every test set, as PNG.

    Raises:
        OSError: it cannot be written.
    """
    columns = [BASE, *experts_of(results), ROUTED]
    shares = [[100 * result.scores[name].accuracy for name in columns] for result in results]
    axes = _heat_map(results, ["routed" if name == ROUTED else name for name in columns], shares, (0, 100), "viridis")
    for row, cells in enumerate(shares):
        for column, share in enumerate(cells):
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", color="black" if share > 60 else "white")
    axes.set_title("right answers in percent")
    replace_png(path, axes.figure)


def draw_interference(results: Sequence[DomainResult], path: Path) -> None:
    """A heat map of the points that experts gain or lose beside another one, as PNG.

    Raises:
        OSError: it cannot be written.
    """
    experts = experts_of(results)
    changes = [{name: 100 * (score.accuracy - result.own.accuracy) for name, score in result.beside.items()} for result in results]
    values = [[found.get(name, 0.0) for name in experts] for found in changes]
    axes = _heat_map(results, [f"+ {name}" for name in experts], values, (-100, 100), "RdBu")
    for row, (result, found) in enumerate(zip(results, changes, strict=True)):
        for column, name in enumerate(experts):
            missing = "" if name == result.expert else NOT_MIXED
            axes.text(column, row, f"{found[name]:+.0f}" if name in found else missing, ha="center", va="center")
    axes.set_title("points gained or lost beside another expert")
    replace_png(path, axes.figure)


def _heat_map(results: Sequence[DomainResult], columns: Sequence[str], values: Any, limits: tuple[int, int], colours: str) -> Any:
    """Axes with a row for each test set."""
    figure = Figure(figsize=(2.5 + 0.9 * len(columns), 1.5 + 0.45 * len(results)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, vmin=limits[0], vmax=limits[1], cmap=colours, aspect="auto")
    axes.set_xticks(range(len(columns)), [_label(name) for name in columns], rotation=30, ha="right")
    axes.set_yticks(range(len(results)), [_label(f"{result.expert} {result.suite}") for result in results])
    return axes


def _label(text: str) -> str:
    """A dollar sign would begin a formula."""
    return printable(text).replace("$", r"\$")


def draw_difficulties(found: Sequence[Difficulty], path: Path) -> None:
    """A histogram of the scores, as PNG.

    Raises:
        OSError: it cannot be written.
    """
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist([one.score for one in found], bins=40)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xlabel="difficulty: loss behind the prompt over loss without it", ylabel="rows")
    replace_png(path, figure)
