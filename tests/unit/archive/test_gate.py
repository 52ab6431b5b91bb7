from __future__ import annotations

import json
from pathlib import Path

import pytest

from expert_kit.archive import load_source, to_bfloat16
from expert_kit.archive.gate import OVERRIDDEN, pass_gate, weights_digests
from expert_kit.errors import DataError, ManifestError
from expert_kit.manifest import EvalResult
from expert_kit.names import sha256_digest
from tests.support.builders import write_source

WEIGHTS = sha256_digest(b"weights")


def row(value: float, base: float | None, suite: str = "held-out", metric: str = "accuracy") -> EvalResult:
    return EvalResult(suite=suite, metric=metric, n=100, value_ppm=round(value * 1e6), base_ppm=None if base is None else round(base * 1e6))


def sibling_row(expert: str, own: float, sibling: float | None) -> dict[str, object]:
    best = None if sibling is None else {"expert": "a/other", "accuracy": sibling}
    return {
        "expert": expert,
        "weights_sha256": WEIGHTS,
        "suite": "held-out",
        "base": {"accuracy": 0.1},
        "own": {"accuracy": own},
        "best_sibling": best,
    }


@pytest.mark.parametrize(
    "results",
    [
        [],
        [row(0.9, 0.1)],
        [row(0.1, None)],
        [row(3.0, 9.0, metric="perplexity")],
        [row(0.1, 0.5, metric="word-error-rate"), row(1.0, 2.0, metric="eval-loss")],
    ],
)
def test_what_is_better_or_was_not_compared_passes(results: list[EvalResult]) -> None:
    assert pass_gate("a/b", results) == []


def general(value: float, base: float | None) -> EvalResult:
    return row(value, base, suite="general-text", metric="perplexity")


@pytest.mark.parametrize(("value", "base", "passes"), [(30.0, 20.0, True), (30.001, 20.0, False), (10.0, 20.0, True), (99.0, None, True)])
def test_ordinary_text_may_become_half_as_perplexing_again_and_no_more(value: float, base: float | None, passes: bool) -> None:
    rows = [row(0.9, 0.1), general(value, base)]
    if passes:
        assert pass_gate("a/b", rows) == []
        return
    with pytest.raises(ManifestError, match=r"general-text: 30\.001, the base alone 20, more than 1\.5 times"):
        pass_gate("a/b", rows)
    (record,) = pass_gate("a/b", rows, allow_worse=True)
    assert (record.suite, record.n, record.value_ppm) == (OVERRIDDEN, 2, 500_000)


WORSE = [row(0.1, 0.1), row(0.1, 0.2), row(9.0, 3.0, metric="perplexity"), row(3.0, 3.0, metric="loss"), row(0.5, 0.1, metric="wer")]


@pytest.mark.parametrize("worse", WORSE)
def test_what_is_no_better_is_refused_or_recorded(worse: EvalResult) -> None:
    with pytest.raises(ManifestError, match="held-out: ") as caught:
        pass_gate("a/b", [row(0.9, 0.1, suite="other"), worse])
    assert caught.value.code == "expert_not_better"
    (record,) = pass_gate("a/b", [row(0.9, 0.1, suite="other"), worse], allow_worse=True)
    assert (record.suite, record.n, record.value_ppm) == (OVERRIDDEN, 2, 500_000)


def test_a_sibling_that_is_as_good_at_home_is_a_reason_too(tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    path.write_text(json.dumps([sibling_row("a/b", 0.8, 0.8), sibling_row("a/c", 0.8, 0.9)]))
    with pytest.raises(ManifestError, match=r"held-out: 0\.8, a/other 0\.8"):
        pass_gate("a/b", [row(0.8, 0.1)], path, weights=[WEIGHTS])
    path.write_text(json.dumps([sibling_row("a/b", 0.8, 0.79), sibling_row("a/c", 0.8, 0.9)]))
    assert pass_gate("a/b", [row(0.8, 0.1)], path, weights=[WEIGHTS]) == []
    path.write_text(json.dumps([sibling_row("a/b", 0.8, None)]))
    assert pass_gate("a/b", [], path, weights=[WEIGHTS]) == []


@pytest.mark.parametrize("suite", ["conversion:F32-BF16", "gate:overridden"])
def test_rows_that_look_like_those_of_packing_are_refused(suite: str) -> None:
    with pytest.raises(ManifestError) as caught:
        pass_gate("a/b", [row(0.9, 0.1, suite=suite)], allow_worse=True)
    assert caught.value.code == "suite_reserved"


@pytest.mark.parametrize("own", [0.1, 0.05, float("nan")])
def test_a_matrix_in_which_the_base_is_as_good_is_a_reason(tmp_path: Path, own: float) -> None:
    (tmp_path / "matrix.json").write_text(json.dumps([sibling_row("a/b", own, None)]))
    with pytest.raises(ManifestError, match="the base alone"):
        pass_gate("a/b", [], tmp_path / "matrix.json", weights=[WEIGHTS])


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '[{"expert": "a/b"}]', "[]", "[" * 200_000])
def test_a_matrix_that_says_nothing_about_the_expert_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "matrix.json").write_text(text)
    with pytest.raises(DataError) as caught:
        pass_gate("a/b", [], tmp_path / "matrix.json", weights=[WEIGHTS])
    assert caught.value.code == "matrix_unreadable"


def test_a_matrix_of_other_weights_of_the_same_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "matrix.json").write_text(json.dumps([sibling_row("a/b", 0.9, None)]))
    with pytest.raises(DataError, match="other weights of a/b") as caught:
        pass_gate("a/b", [], tmp_path / "matrix.json", weights=[sha256_digest(b"others")])
    assert caught.value.code == "matrix_other_weights"


def test_weights_are_known_as_they_are_and_as_a_conversion_packs_them(tmp_path: Path) -> None:
    write_source(tmp_path)
    data = (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights_digests(load_source(tmp_path)) == {sha256_digest(data), sha256_digest(to_bfloat16(data))}
    rounded = to_bfloat16(data)
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(rounded)
    assert weights_digests(load_source(tmp_path)) == {sha256_digest(rounded)}
