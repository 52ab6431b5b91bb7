"""A report as a picture: the share of right answers by suite and choice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from expert_kit.names import printable
from expert_kit.whole_file import replace_png


def draw_report(report: Mapping[str, Any], path: Path) -> None:
    """Bars with their 95 % intervals, as PNG.

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
        # A name that begins with an underscore would be left out of the legend, and a dollar sign would begin a formula.
        label = " " + printable(choice).replace("$", r"\$")
        axes.bar(places, heights, width, yerr=[down, up], capsize=3, label=label)
    axes.set_xticks(range(len(suites)), [printable(suite).replace("$", r"\$") for suite in suites])
    axes.set_ylim(0, 105)
    axes.set_ylabel("right answers in percent")
    axes.legend()
    replace_png(path, figure)
