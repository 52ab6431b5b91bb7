from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score

from expert_kit.routing.fusion import fit_fusion, log_loss, probabilities
from expert_kit.routing.logistic import Basis, fit_one_against_rest, fit_softmax, log_softmax
from expert_kit.routing.measures import (
    auroc,
    bootstrap_interval,
    calibration_error,
    conformal_quantile,
    lower_quantile,
    ranking_precision,
    refused_at,
)

RANDOM = np.random.default_rng(5)


def test_auroc_is_that_of_scikit_learn_with_ties() -> None:
    high, low = RANDOM.integers(3, 9, 80).astype(float), RANDOM.integers(0, 6, 60).astype(float)
    wanted = roc_auc_score([1] * 80 + [0] * 60, np.concatenate([high, low]))
    assert auroc(high, low) == pytest.approx(wanted)


def test_ranking_precision_is_that_of_scikit_learn() -> None:
    targets, scores = RANDOM.random((40, 7)) < 0.3, RANDOM.integers(0, 5, (40, 7)).astype(float)
    assert ranking_precision(scores, targets) == pytest.approx(label_ranking_average_precision_score(targets, scores))


def test_the_threshold_loses_at_most_what_was_asked_for() -> None:
    values = RANDOM.standard_normal(1000)
    for loss in (0.0, 0.05, 0.2):
        assert (values < lower_quantile(values, loss)).mean() <= loss
    assert refused_at(np.arange(100.0), np.array([-1.0, 2.0, 7.0]), 0.05) == pytest.approx(2 / 3)


def test_a_perfectly_calibrated_confidence_has_no_error() -> None:
    said = np.repeat([0.25, 0.75], 400)
    was = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0])
    assert calibration_error(said, was) == pytest.approx(0)
    assert calibration_error(np.ones(10), np.arange(10) < 5) == pytest.approx(0.5)


def test_conformal_sets_cover_as_often_as_promised() -> None:
    surprise = RANDOM.random(4000)
    quantile = conformal_quantile(surprise[:1000], 0.05)
    assert quantile is not None
    assert (surprise[1000:] <= quantile).mean() == pytest.approx(0.95, abs=0.02)
    assert conformal_quantile(surprise[:18], 0.05) is None


def test_the_bootstrap_interval_holds_the_mean() -> None:
    values = RANDOM.random(300)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high


def test_the_softmax_fit_is_where_the_gradient_vanishes() -> None:
    features = RANDOM.standard_normal((120, 4)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.int64) + 2 * (features[:, 1] > 0).astype(np.int64)
    head = fit_softmax(features, labels, 4, l2=1e-2, rounds=300)
    chances = np.exp(log_softmax(features @ head))
    slope = features.T @ (chances - np.eye(4)[labels]) / len(labels) + 1e-2 * head
    assert np.abs(slope).max() < 1e-3
    assert (chances.argmax(axis=1) == labels).mean() > 0.9


def test_one_against_the_rest_finds_several_right_classes() -> None:
    features = np.hstack([RANDOM.standard_normal((200, 3)), np.ones((200, 1))]).astype(np.float32)
    targets = (features[:, :3] > 0.3).astype(np.float32)
    head = fit_one_against_rest(features, targets, l2=1e-4, rounds=200)
    assert ((features @ head > 0) == targets).mean() > 0.97


def test_a_basis_keeps_distances_between_rows_of_one_part() -> None:
    rows = RANDOM.standard_normal((50, 8)).astype(np.float32)
    seen = Basis.of(rows, 1)(rows)
    wanted, found = (np.linalg.norm(all_[:, None] - all_[None], axis=2) for all_ in (rows, seen))
    np.testing.assert_allclose(found / found.max(), wanted / wanted.max(), atol=1e-4)


@pytest.mark.parametrize("several", [False, True])
def test_a_useless_router_gets_no_weight_and_the_temperature_is_found(several: bool) -> None:
    labels = RANDOM.integers(0, 5, 600)
    targets = np.eye(5, dtype=bool)[labels]
    good = (RANDOM.standard_normal((600, 5)) + 3 * targets).astype(np.float32)
    noise = RANDOM.standard_normal((600, 5)).astype(np.float32)
    fusion = fit_fusion({"good": 10 * good, "noise": noise}, targets, several)
    assert fusion.shares({"good": 10 * good, "noise": noise}).get("noise", 0) < 0.1
    logits = fusion.logits({"good": 10 * good, "noise": noise})
    for factor in (0.7, 1.4):
        assert log_loss(logits, targets, several) <= log_loss(factor * logits, targets, several) + 1e-3
    chances = probabilities(logits, several)
    best = chances.argmax(axis=1)
    assert several or calibration_error(chances.max(axis=1), best == labels) < 0.08
