"""Several routers -> one calibrated score: a weighted sum of their logits, the weights fitted by log-loss on held-out prompts."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.encoder import Vectors
from expert_kit.routing.logistic import log_softmax
from expert_kit.routing.measures import Flags

FEWEST_ROWS: Final = 50
"""Held-out prompts below which the best single router is taken as it is."""
SMALLEST_SHARE: Final = 0.02
"""A router with a smaller share of the sum is dropped, and not computed."""

_minimize: Any = importlib.import_module("scipy.optimize").minimize


class Fusion(NamedTuple):
    """How routers' logits are added up. The sum is calibrated: its softmax, or its sigmoid where several experts are right."""

    weights: dict[str, float]
    """Router -> factor of its logits, above 0; the temperature is in it."""
    bias: float
    """Added to every logit; only matters where several experts may be right."""
    losses: dict[str, float]
    """Held-out log-loss of every router alone, calibrated, and of ``fusion``."""
    several: bool

    def logits(self, found: Mapping[str, Vectors]) -> Vectors:
        """(n, experts) float32."""
        total = sum(np.float32(weight) * found[name] for name, weight in self.weights.items())
        return np.asarray(total + np.float32(self.bias), dtype=np.float32)

    def shares(self, found: Mapping[str, Vectors]) -> dict[str, float]:
        """How much of the spread of the summed logits each router makes up; 1 in all."""
        spread = {name: abs(weight) * float(found[name].std(axis=1).mean()) for name, weight in self.weights.items()}
        return {name: value / max(sum(spread.values()), 1e-9) for name, value in spread.items()}


def probabilities(logits: Vectors, several: bool) -> Vectors:
    """(n, experts): of one right expert the softmax, of several independent ones the sigmoid."""
    return np.asarray(1 / (1 + np.exp(-logits)) if several else np.exp(log_softmax(logits)), dtype=np.float32)


def log_loss(logits: Vectors, targets: Flags, several: bool) -> float:
    """Mean over the prompts; of one right expert the surprise at it, of several the binary log-losses' sum."""
    if several:
        return float((np.logaddexp(0, logits) - targets * logits).sum(axis=1).mean())
    logs = log_softmax(logits)
    return float(-np.log(np.maximum((np.exp(logs) * targets).sum(axis=1), 1e-12)).mean())


def fit_fusion(found: Mapping[str, Vectors], targets: Flags, several: bool) -> Fusion:
    """Choose the weights.

    Args:
        found: router -> its logits for held-out prompts, (n, experts), at least one router.
        targets: (n, experts), the right ones.
        several: whether several experts can be right at once.
    """
    alone = {name: _fitted([logits], targets, several) for name, logits in found.items()}
    losses = {name: log_loss(weights[0] * found[name] + bias, targets, several) for name, (weights, bias) in alone.items()}
    best = min(losses, key=lambda name: (losses[name], name))
    if len(targets) < FEWEST_ROWS or len(found) == 1:
        return Fusion({best: float(alone[best][0][0])}, alone[best][1], losses, several)
    names = sorted(found)
    while True:
        weights, bias = _fitted([found[name] for name in names], targets, several)
        fused = Fusion({name: float(weight) for name, weight in zip(names, weights, strict=True) if weight > 0}, bias, {}, several)
        shares = fused.shares(found)
        kept = [name for name in names if shares.get(name, 0) >= SMALLEST_SHARE]
        if kept == names:
            break
        names = kept
    return fused._replace(losses={**losses, "fusion": log_loss(fused.logits(found), targets, several)})


def _fitted(found: list[Vectors], targets: Flags, several: bool) -> tuple[NDArray[np.float64], float]:
    """Weights (r,) from 0 on and a bias, 0 unless several are right."""
    stacked = np.stack([logits - (0 if several else logits.max(axis=1, keepdims=True)) for logits in found])
    start = np.array([2.0 / max(float(one.std()), 1e-6) / len(found) for one in stacked] + [0.0])

    def objective(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.tensordot(values[:-1].astype(np.float32), stacked, axes=1) + np.float32(values[-1])
        chances = probabilities(logits, several)
        if several:
            slope = chances - targets
        else:
            own = chances * targets
            slope = chances - own / np.maximum(own.sum(axis=1, keepdims=True), 1e-12)
        # As in Platt scaling, so that a few prompts that are all right do not make every chance 1.
        doubt = 1 / (len(targets) + 2)
        slope += np.float32(doubt) * (chances - np.float32(0.5 if several else 1 / chances.shape[1]))
        slope /= len(targets)
        gradient = [float((slope * one).sum()) for one in stacked] + [float(slope.sum()) if several else 0.0]
        return log_loss(logits, targets, several) + doubt * _evenness(logits, several), np.array(gradient)

    bounds = [(0.0, None)] * len(found) + [(None, None) if several else (0.0, 0.0)]
    done = _minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}).x
    if not (done[:-1] > 0).any():
        done[0] = 1e-3
    return done[:-1], float(done[-1])


def _evenness(logits: Vectors, several: bool) -> float:
    """Mean log-loss if every answer were as right as any other."""
    if several:
        return float((np.logaddexp(0, logits) - 0.5 * logits).sum(axis=1).mean())
    return float(-log_softmax(logits).mean())
