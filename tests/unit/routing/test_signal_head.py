from __future__ import annotations

import numpy as np

from expert_kit.names import sha256_digest
from expert_kit.routing import Candidate, FitInputs, Reader
from expert_kit.routing.signal_head import SignalHead
from tests.support.encoders import FakeEncoder

ASKS = ("look at", "please check", "what about", "tell me more on", "explain", "is there an error in", "shorten", "say what happens in")


def _inputs() -> FitInputs:
    """Two experts whose prompts share every word but differ in what the prompt holds."""
    carried = {"ns/json": '{{"id": {0}, "name": "x{0}"}}', "ns/sql": "SELECT id, name FROM x{0} WHERE id = {0};"}
    experts = []
    for name, form in carried.items():
        texts = [f"{ask} this: {form.format(number)}" for number in range(8) for ask in ASKS]
        experts.append(Candidate(sha256_digest(name.encode()), name, tuple(texts[:32]), "", tuple(texts[32:])))
    return FitInputs.of(experts, Reader(FakeEncoder()))


def test_formats_tell_experts_apart_and_come_back_from_the_arrays() -> None:
    corpus = _inputs().corpus
    assert SignalHead.fits(corpus)
    head = SignalHead.fit(corpus)
    batch = Reader(FakeEncoder()).read(['what is wrong with {"a": 1, "b": [2, 3]}', "why is SELECT a FROM b WHERE c = 1; slow"]).whole
    logits = head.logits(batch)
    assert [corpus.names[at] for at in logits.argmax(axis=1)] == ["ns/json", "ns/sql"]
    np.testing.assert_array_equal(SignalHead.load(head.arrays(), corpus).logits(batch), logits)


def test_the_fusion_weighs_it_beside_the_other_routers() -> None:
    fitted = _inputs().fit()
    assert fitted.report.losses["signals"] < 0.1
    assert fitted.report.accuracy["signals"] == 1


def test_where_no_example_shows_anything_special_it_takes_no_part() -> None:
    plain = [Candidate(sha256_digest(name.encode()), name, tuple(f"{name} number {at}" for at in range(20))) for name in ("cats", "dogs")]
    assert not SignalHead.fits(FitInputs.of(plain, Reader(FakeEncoder())).corpus)


def test_a_format_that_nobody_has_changes_no_order() -> None:
    corpus = _inputs().corpus
    head = SignalHead.fit(corpus)
    reader = Reader(FakeEncoder())
    plain = head.logits(reader.read(["tell me more"]).whole)
    cron = head.logits(reader.read(["tell me more on 0 5 * * 1"]).whole)
    np.testing.assert_array_equal(plain, cron)
