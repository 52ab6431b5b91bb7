"""The loss curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from expert_kit.whole_file import replace_png


def write_loss_curve(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw training and evaluation loss over steps, log scale, as PNG; works for a run of one step too.

    Args:
        history: the Trainer's ``log_history``.
        path: is replaced.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 30 else None, markersize=3, label=label)
    axes.set(xlabel="step", ylabel="loss per answer token", yscale="log")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    replace_png(path, figure)


def write_rate_curve(points: Sequence[Mapping[str, float]], marks: Mapping[str, float], path: Path) -> None:
    """Draw loss over learning rate, both on log scales, as PNG.

    Args:
        points: each with ``learning_rate``, ``loss`` and ``smoothed``.
        marks: two names -> the rates that are pointed out.
        path: is replaced.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    rates = [point["learning_rate"] for point in points]
    axes.plot(rates, [point["loss"] for point in points], alpha=0.35, label="loss")
    axes.plot(rates, [point["smoothed"] for point in points], label="smoothed")
    for colour, (name, rate) in zip(("C2", "C3"), marks.items(), strict=True):
        axes.axvline(rate, color=colour, linestyle=":", label=f"{name}: {rate:.2g}")
    axes.set(xlabel="learning rate", ylabel="loss per answer token", xscale="log", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    replace_png(path, figure)
