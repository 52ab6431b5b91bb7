"""Linear heads over fixed features, fitted by log-loss: the best single way to tell experts apart on almost any data."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Integers = NDArray[np.int64]

MOST_DIRECTIONS: Final = 512
_SAMPLE: Final = 2_048
# Libraries without types.
_minimize: Any = importlib.import_module("scipy.optimize").minimize


@dataclass(frozen=True)
class Basis:
    """Rows -> their coordinates along the examples' main directions, every part of a row weighing the same."""

    centre: Array
    """(D,)"""
    directions: Array
    """(D, k), scaled."""

    @classmethod
    def of(cls, rows: Array, parts: int) -> Basis:
        """Fit on examples (n, D); of many rows some 2,000 are looked at, evenly spread."""
        sample = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(np.int64)]
        centre = sample.mean(axis=0)
        spread = np.sqrt(((sample - centre) ** 2).mean(axis=0).reshape(parts, -1).sum(axis=1))
        scale = np.repeat(1 / np.maximum(spread, 1e-6), rows.shape[1] // parts) / np.float32(np.sqrt(parts))
        centred = ((sample - centre) * scale).astype(np.float32)
        count = min(MOST_DIRECTIONS, *centred.shape)
        if len(centred) < centred.shape[1]:
            values, vectors = np.linalg.eigh(centred @ centred.T)
            kept = values[::-1][:count] > 1e-6 * max(float(values[-1]), 1e-30)
            directions = centred.T @ (vectors[:, ::-1][:, :count][:, kept] / np.sqrt(values[::-1][:count][kept]))
        else:
            directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count]
        return cls(centre.astype(np.float32), (directions * scale[:, None]).astype(np.float32))

    def __call__(self, rows: Array) -> Array:
        """(n, D) -> (n, k)."""
        return np.asarray((rows - self.centre) @ self.directions, dtype=np.float32)


def fit_softmax(features: Any, labels: Integers, count: int, *, l2: float, rounds: int = 40) -> Array:
    """Multinomial logistic regression without bias, (d, count).

    Args:
        features: (n, d) float32, dense or a scipy sparse matrix.
        labels: (n,) 0 to ``count - 1``.
        count: classes.
        l2: half of it times the squared weights is added to the mean loss.
        rounds: most iterations of L-BFGS.
    """
    size = features.shape[0]
    share = np.float32(1 / size)
    at = np.arange(size)

    def loss(logits: Array) -> tuple[float, Array]:
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[at, labels].copy()
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        logits /= total
        logits[at, labels] -= 1
        logits *= share
        return float(-(right - np.log(total[:, 0])).mean()), logits

    return _descend(features, count, loss, l2, rounds)


def fit_one_against_rest(features: Any, targets: Array, *, l2: float, rounds: int = 40) -> Array:
    """One logistic regression a class, for rows with several right classes or none, (d, count).

    Args:
        features: (n, d) float32, dense or sparse; give it a column of ones for a bias.
        targets: (n, count) 0 or 1.
        l2: as in :func:`fit_softmax`.
        rounds: most iterations.
    """
    size = np.float32(targets.shape[0])

    def loss(logits: Array) -> tuple[float, Array]:
        value = float((np.logaddexp(0, logits) - targets * logits).sum() / size)
        return value, ((1 / (1 + np.exp(-logits)) - targets) / size).astype(np.float32)

    return _descend(features, targets.shape[1], loss, l2, rounds)


def log_softmax(logits: Array) -> Array:
    """Along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32)


def _descend(features: Any, count: int, loss: Any, l2: float, rounds: int) -> Array:
    width = features.shape[1]
    turned = features.T.tocsr() if hasattr(features, "tocsr") else np.ascontiguousarray(features.T)

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = flat.reshape(width, count).astype(np.float32)
        value, slope = loss(np.asarray(features @ head))
        gradient = turned @ slope + np.float32(l2) * head
        return value + 0.5 * l2 * float((head * head).sum()), np.asarray(gradient, dtype=np.float64).ravel()

    start = np.zeros(width * count)
    found = _minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds, "maxcor": 6})
    return np.asarray(found.x, dtype=np.float32).reshape(width, count)
