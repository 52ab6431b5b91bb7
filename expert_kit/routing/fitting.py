"""Examples -> a fitted router: fit every router, weigh them on held-out prompts, calibrate, choose what counts as covered."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from expert_kit.routing.background import BACKGROUND
from expert_kit.routing.corpus import Batch, Corpus, Labelled, sentence_rows
from expert_kit.routing.coverage import FORMULAS, UNSCALED, USUAL, CoverageModel, CoverageRule
from expert_kit.routing.encoder import Vectors
from expert_kit.routing.fitted import Fitted, Report
from expert_kit.routing.fusion import fit_fusion, probabilities
from expert_kit.routing.measures import auroc, calibration_error, conformal_quantile
from expert_kit.routing.reading import Reader
from expert_kit.routing.scorer import FittedRouter
from expert_kit.routing.scorers import ROUTERS

FEWEST_HELD_OUT: Final = 19
"""Held-out prompts below which nothing can be calibrated at the usual 5 %."""
ENOUGH_HELD_OUT: Final = 300
"""Held-out prompts that are always enough; below, one for each expert, or examples are held out in folds instead."""
GAP_SHARE: Final = 4
"""One expert in so many is taken away at a time to see what uncovered prompts look like."""
FEWEST_FOR_GAPS: Final = 8
CLEARLY: Final = 0.05
"""AUROC by which another coverage formula must be better. The heads still know the experts that are taken away, which flatters
the logit."""
FOLDS: Final = 5
_SEED: Final = 2026


@dataclass(frozen=True)
class FitSettings:
    """What a fit aims at."""

    loss: float = 0.05
    """Share of covered prompts that may be left to the base model, 0 to 0.5."""
    alpha: float = 0.05
    """Share of covered prompts whose conformal set may miss the right expert, 0 to 0.5."""
    min_score: float = 0.24
    """See ``RoutingConfig.min_score``; the threshold for a few experts is not above it."""
    routers: tuple[str, ...] = tuple(ROUTERS)
    """Names of the routers that take part, keys of ``ROUTERS``."""


def fit_key(corpus: Corpus, validation: Labelled | None, settings: FitSettings, encoder_id: str, generic: Sequence[str] = ()) -> str:
    """Digest over all that a fit depends on, ``BACKGROUND`` too; another one means that the state is stale."""
    held = [] if validation is None else [validation.batch.texts, np.argwhere(validation.targets).tolist()]
    experts = [corpus.digests, corpus.categories, corpus.texts, corpus.labels.tolist()]
    whole = json.dumps([experts, held, asdict(settings), encoder_id, [*BACKGROUND, *generic], "fit/3"], sort_keys=True)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def can_fit(corpus: Corpus, validation: Labelled | None) -> bool:
    """Whether there are held-out prompts enough to calibrate anything, or examples enough to hold some out."""
    held = len(validation.batch.texts) if validation is not None else 0
    return corpus.size > 1 and len(np.unique(corpus.labels)) > 1 and (held >= FEWEST_HELD_OUT or _can_fold(corpus))


def fit(
    corpus: Corpus, validation: Labelled | None, reader: Reader, settings: FitSettings, key: str, generic: Sequence[str] = ()
) -> Fitted:
    """Fit everything.

    Args:
        corpus: experts and examples, see :func:`can_fit`.
        validation: prompts that no router is fitted on; without enough of them, examples are held out in folds.
        reader: embeds generic prompts.
        settings: what to aim at.
        key: from :func:`fit_key`.
        generic: prompts that no expert should answer, besides ``BACKGROUND``.
    """
    started = time.perf_counter()
    routers = _fit_routers(corpus, settings)
    held: Labelled
    wanted = max(FEWEST_HELD_OUT, min(corpus.size, ENOUGH_HELD_OUT) if _can_fold(corpus) else 0)
    if validation is not None and len(validation.batch.texts) >= wanted:
        held, source = validation, "validation"
        logits = {name: router.logits(held.batch) for name, router in routers.items()}
    else:
        held, logits = _out_of_fold(corpus, tuple(routers), settings)
        source = "folds"
    fusion = fit_fusion(logits, held.targets, corpus.several)
    routers = {name: router for name, router in routers.items() if name in fusion.weights}
    generic_rows = [reader.embed(texts) for texts in (BACKGROUND, tuple(generic)) if texts]
    coverage = CoverageModel.fit(corpus, sentence_rows(np.concatenate(generic_rows), corpus.parts))
    rule, aurocs = _coverage_rule(coverage, fusion.logits(logits), held, settings)
    chances = probabilities(fusion.logits(logits), fusion.several)
    best = chances.argmax(axis=1)
    right = held.targets[np.arange(len(best)), best]
    surprise = 1 - np.where(held.targets, chances, 0).max(axis=1)
    accuracy = {name: float(held.targets[np.arange(len(best)), found.argmax(axis=1)].mean()) for name, found in logits.items()}
    report = Report(
        rows=len(best),
        source=source,
        losses=fusion.losses,
        accuracy={**accuracy, "fusion": float(right.mean())},
        chosen=fusion.shares(logits),
        ece=calibration_error(chances[np.arange(len(best)), best], right),
        coverage_auroc=aurocs,
        seconds=round(time.perf_counter() - started, 3),
    )
    quantile = conformal_quantile(surprise, settings.alpha)
    return Fitted(key, corpus, routers, fusion, coverage, rule, quantile, report)


def _fit_routers(corpus: Corpus, settings: FitSettings) -> dict[str, FittedRouter]:
    return {name: ROUTERS[name].fit(corpus) for name in settings.routers if ROUTERS[name].fits(corpus)}


def _can_fold(corpus: Corpus) -> bool:
    counts = np.bincount(corpus.labels, minlength=corpus.size)
    return len(corpus.texts) >= FEWEST_HELD_OUT and bool(np.median(counts) >= 2)


def _out_of_fold(corpus: Corpus, names: Sequence[str], settings: FitSettings) -> tuple[Labelled, dict[str, Vectors]]:
    """Every example judged by routers that were fitted without it."""
    folds = np.array([hash_fold(text) for text in corpus.texts])
    found: dict[str, list[Vectors]] = {name: [] for name in names}
    judged: list[NDArray[np.int64]] = []
    for fold in range(FOLDS):
        out, kept = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        smaller = corpus.take(kept)
        if not len(out) or not all(ROUTERS[name].fits(smaller) for name in names):
            continue
        fitted = _fit_routers(smaller, replace(settings, routers=tuple(names)))
        batch = Batch(tuple(corpus.texts[at] for at in out), corpus.rows[out], corpus.parts)
        judged.append(out)
        for name in names:
            found[name].append(fitted[name].logits(batch))
    at = np.concatenate(judged)
    owners: dict[str, list[int]] = {}
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        owners.setdefault(text, []).append(int(label))
    targets = np.zeros((len(at), corpus.size), np.bool_)
    for row, place in enumerate(at):
        targets[row, owners[corpus.texts[place]]] = True
    held = Labelled(Batch(tuple(corpus.texts[place] for place in at), corpus.rows[at], corpus.parts), targets)
    return held, {name: np.concatenate(parts) for name, parts in found.items()}


def hash_fold(text: str) -> int:
    """Equal texts of two experts are held out together."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % FOLDS


def _coverage_rule(coverage: CoverageModel, fused: Vectors, held: Labelled, settings: FitSettings) -> tuple[CoverageRule, dict[str, float]]:
    """The usual formula, unless another one tells covered prompts from those of missing experts clearly better."""
    parts = coverage.parts(held.batch, fused)
    found = _gap_aurocs(coverage, fused, held) if coverage.corpus.size >= FEWEST_FOR_GAPS else {}
    formula = UNSCALED
    if found:
        best = max(found, key=lambda name: (found[name], name))
        formula = best if found[best] > found[USUAL] + CLEARLY else USUAL
    return CoverageRule.fit(formula, parts, settings.loss, settings.min_score), found


def _gap_aurocs(coverage: CoverageModel, fused: Vectors, held: Labelled) -> dict[str, float]:
    """Formula -> mean over simulated gaps: some experts are taken away, and their prompts become uncovered."""
    found: dict[str, list[float]] = {name: [] for name in FORMULAS}
    for gone in gaps_of(coverage.corpus.size):
        left = fused.copy()
        left[:, gone] = -np.inf
        parts = coverage.without(gone).parts(held.batch, left)
        covered = held.targets[:, np.setdiff1d(np.arange(coverage.corpus.size), gone)].any(axis=1)
        if covered.all() or not covered.any():
            continue
        known = {name: part[covered] for name, part in parts.items()}
        for formula, aurocs in found.items():
            scores = CoverageRule.fit(formula, known, 0.05).scores(parts)
            aurocs.append(auroc(scores[covered], scores[~covered]))
    return {name: float(np.mean(aurocs)) for name, aurocs in found.items() if aurocs}


def gaps_of(size: int) -> Iterator[NDArray[np.int64]]:
    """Which experts are taken away together, so that each is once."""
    order = np.random.default_rng(_SEED).permutation(size)
    for start in range(GAP_SHARE):
        yield np.sort(order[start::GAP_SHARE])
