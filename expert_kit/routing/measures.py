"""Numbers about routers: ranking, calibration, telling covered prompts from others. Formulae only, on plain arrays."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

BINS: Final = 15


def auroc(positive: Floats, negative: Floats) -> float:
    """Chance that a positive scores higher than a negative, ties half; NaN if one side is empty."""
    if not len(positive) or not len(negative):
        return math.nan
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    upto = np.searchsorted(ordered, positive, side="right")
    return float((below + upto).mean() / (2 * len(negative)))


def refused_at(positive: Floats, negative: Floats, loss: float) -> float:
    """Share of negatives below the threshold that loses at most ``loss`` of the positives."""
    return float((negative < lower_quantile(positive, loss)).mean())


def lower_quantile(values: Floats, share: float) -> float:
    """The highest threshold with at most ``share`` of the values below it."""
    return float(np.sort(values)[min(int(share * len(values)), len(values) - 1)])


def calibration_error(confidence: Floats, right: Flags, bins: int = BINS) -> float:
    """Expected calibration error with bins of equal width (Guo et al., arXiv:1706.04599)."""
    return sum(weight * abs(said - was) for said, was, weight in reliability(confidence, right, bins))


def reliability(confidence: Floats, right: Flags, bins: int = BINS) -> list[tuple[float, float, float]]:
    """For every bin that is not empty: mean confidence, share that was right, share of all."""
    at = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    filled = [np.flatnonzero(at == number) for number in range(bins)]
    return [(float(confidence[rows].mean()), float(right[rows].mean()), len(rows) / len(at)) for rows in filled if len(rows)]


def ranking_precision(scores: Floats, targets: Flags) -> float:
    """Label ranking average precision; ties count against the label, and a row without a right label counts 1."""
    found = []
    for row, right in zip(scores, targets, strict=True):
        own = row[right]
        place = (row[None] >= own[:, None]).sum(axis=1)
        among = (own[None] >= own[:, None]).sum(axis=1)
        found.append(float((among / place).mean()) if len(own) else 1.0)
    return float(np.mean(found)) if found else math.nan


def conformal_quantile(surprise: Floats, alpha: float) -> float | None:
    """The value that a new row's surprise stays under with probability ``1 - alpha``; None with too few rows.

    Split conformal prediction: the ceil((n + 1)(1 - alpha))-th smallest of n.
    """
    place = math.ceil((len(surprise) + 1) * (1 - alpha))
    return float(np.sort(surprise)[place - 1]) if place <= len(surprise) else None


def bootstrap_interval(values: Floats, draws: int = 1_000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean."""
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
