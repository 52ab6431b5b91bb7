"""Numbers about a file of rows, and their picture."""

from __future__ import annotations

import math
import re
import statistics
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from expert_kit.curation.rows import DataRow
from expert_kit.whole_file import replace_png


@dataclass(frozen=True)
class DataStats:
    """What a file holds; lengths are characters."""

    rows: int
    malformed: int
    prompt_lengths: tuple[float, float, float]
    """Median, 95th percentile and largest."""
    completion_lengths: tuple[float, float, float]
    words: int
    """Different words in prompts."""
    distinct_2: float
    """Different pairs of neighbouring words over all of them, 0 to 1 (Li et al. 2016): low where templates repeat."""
    compression: float
    """Size of the prompts over their size after zlib: high where they say the same again and again."""
    opening_entropy: float
    """Bits of the prompts' first three words; 0 if all begin alike."""


def data_stats(rows: Sequence[DataRow]) -> DataStats:
    """Figures of all rows that can be read; zeros if there are none."""
    good = [row for row in rows if not row.problem]
    prompts = [re.findall(r"\w+", row.prompt.casefold()) for row in good]
    pairs = [pair for words in prompts for pair in pairwise(words)]
    text = "\n".join(row.prompt for row in good).encode()
    openings = Counter(" ".join(words[:3]) for words in prompts)
    entropy = -sum(count / len(good) * math.log2(count / len(good)) for count in openings.values())
    return DataStats(
        rows=len(good),
        malformed=len(rows) - len(good),
        prompt_lengths=spread([len(row.prompt) for row in good]),
        completion_lengths=spread([len(row.completion) for row in good]),
        words=len({word for words in prompts for word in words}),
        distinct_2=round(len(set(pairs)) / len(pairs), 4) if pairs else 0.0,
        compression=round(len(text) / len(zlib.compress(text, 9)), 2) if text else 0.0,
        opening_entropy=round(max(0.0, entropy), 2),
    )


def draw_lengths(rows: Sequence[DataRow], path: Path) -> None:
    """Histograms of the lengths of prompts and completions as PNG.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    good = [row for row in rows if not row.problem]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, (name, lengths) in zip(
        figure.subplots(1, 2),
        (("prompt", [len(row.prompt) for row in good]), ("completion", [len(row.completion) for row in good])),
        strict=True,
    ):
        axes.hist(lengths, bins=40)
        axes.set(xlabel=f"characters of the {name}", ylabel="rows")
    replace_png(path, figure)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th percentile (the smallest value that 95 % do not exceed) and largest; zeros if there are none."""
    if not values:
        return 0.0, 0.0, 0.0
    ordered = sorted(values)
    return float(statistics.median(ordered)), float(ordered[math.ceil(0.95 * len(ordered)) - 1]), float(ordered[-1])
