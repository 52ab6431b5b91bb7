import json
from dataclasses import replace

import pytest

from expert_kit.archive import MeasuredPrompt, Probe, ProbePrompt, check_probe, classify_probe, parse_probe
from expert_kit.bases import BaseMatch
from expert_kit.errors import IncompatibleAdapterError
from tests.support.probes import measured, some_probe


def test_a_probe_survives_its_bytes():
    probe = some_probe()
    assert parse_probe(probe.to_bytes()) == probe
    assert check_probe(probe.to_bytes(), "probe/0.json", vocab_size=64) == []


def value() -> dict:
    return json.loads(some_probe().to_bytes())


def changed(change) -> bytes:
    data = value()
    change(data)
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(schema="probe/2"),
        lambda data: data.update(more=1),
        lambda data: data.pop("prompts"),
        lambda data: data["prompts"].pop(),
        lambda data: data["prompts"].append(data["prompts"][0]),
        lambda data: data["prompts"][0].update(ids=[]),
        lambda data: data["prompts"][0].update(ids=[1] * 17),
        lambda data: data["prompts"][0].update(ids=[64]),
        lambda data: data["prompts"][0].update(ids=[-1]),
        lambda data: data["prompts"][0].update(ids=["1"]),
        lambda data: data["prompts"][0].update(text="x"),
        lambda data: data["prompts"][0].update(logits=[]),
        lambda data: data["prompts"][0].update(logits=[[token, 0, 0] for token in range(17)]),
        lambda data: data["prompts"][0].update(logits=[[2, 0, 0], [1, 0, 0]]),
        lambda data: data["prompts"][0].update(logits=[[1, 0, 0], [1, 0, 0]]),
        lambda data: data["prompts"][0].update(logits=[[64, 0, 0]]),
        lambda data: data["prompts"][0].update(logits=[[1, 0]]),
        lambda data: data["prompts"][0].update(logits=[[1, 0, 10**9 + 1]]),
        lambda data: data.update(prompts={}),
        lambda data: data.update(prompts=[[]] * 4),
    ],
)
def test_anything_else_is_no_probe(change):
    with pytest.raises(IncompatibleAdapterError) as caught:
        parse_probe(changed(change), vocab_size=64)
    assert caught.value.code == "probe_invalid"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"prompts":[],"schema":"probe/1"} ', b'{"prompts":[1.5],"schema":"probe/1"}', b"\x80\x04"]
)
def test_other_bytes_are_one_problem(data):
    assert [(problem.code, problem.severity.value) for problem in check_probe(data, "probe/0.json")] == [("probe_invalid", "refused")]


@pytest.mark.parametrize(("move", "codes"), [(49, ["probe_no_effect"]), (50, [])])
def test_numbers_that_say_that_nothing_happens_are_refused(move, codes):
    prompts = tuple(ProbePrompt((1, 2), ((1, 100, 100), (2, 50, 50))) for _ in range(3))
    probe = Probe((*prompts, ProbePrompt((3,), ((1, 100, 100), (2, 50, 50 - move)))))
    assert [problem.code for problem in check_probe(probe.to_bytes(), "probe/0.json")] == codes


def test_the_same_numbers_are_exact():
    result = classify_probe(some_probe(), measured(some_probe()), BaseMatch.EXACT)
    assert (result.match, result.difference, result.cosine_ppm, result.norm_ppm, result.same_top) == (BaseMatch.EXACT, 0, 10**6, 10**6, 4)


@pytest.mark.parametrize(
    ("changes", "digests", "expected"),
    [
        ({"shift": 50}, BaseMatch.EXACT, BaseMatch.EXACT),
        ({"shift": 51}, BaseMatch.EXACT, BaseMatch.INCOMPATIBLE),  # equal digests leave no excuse
        ({"shift": 51}, BaseMatch.FAMILY, BaseMatch.FAMILY),
        ({"shift": 500}, BaseMatch.FAMILY, BaseMatch.FAMILY),
        ({"shift": 501}, BaseMatch.FAMILY, BaseMatch.INCOMPATIBLE),
        ({"strength": 0.6}, BaseMatch.FAMILY, BaseMatch.FAMILY),
        ({"strength": 0.4}, BaseMatch.FAMILY, BaseMatch.INCOMPATIBLE),
        ({"strength": -1.0}, BaseMatch.FAMILY, BaseMatch.INCOMPATIBLE),
        ({"strength": 0.0}, BaseMatch.EXACT, BaseMatch.INCOMPATIBLE),
        ({"other_top": 1}, BaseMatch.FAMILY, BaseMatch.FAMILY),
        ({"other_top": 2}, BaseMatch.FAMILY, BaseMatch.INCOMPATIBLE),
        ({}, BaseMatch.INCOMPATIBLE, BaseMatch.INCOMPATIBLE),
    ],
)
def test_classes(changes, digests, expected):
    assert classify_probe(some_probe(), measured(some_probe(), **changes), digests).match is expected


def test_no_effect_is_told_apart_from_another_effect():
    probe = some_probe()
    assert classify_probe(probe, measured(probe, strength=0.0), BaseMatch.EXACT).no_effect
    other = classify_probe(probe, measured(probe, strength=-1.0), BaseMatch.EXACT)
    assert (other.match, other.no_effect, other.cosine_ppm) == (BaseMatch.INCOMPATIBLE, False, -1_000_000)
    assert "cosine of the effects -1.000" in other.describe()


def test_tokens_that_tie_in_thousandths_are_all_the_top():
    prompts = tuple(ProbePrompt((1,), ((1, 100, 0), (2, 100, 500))) for _ in range(4))
    for top in (1, 2):
        found = [MeasuredPrompt(top, prompt.logits) for prompt in prompts]
        assert classify_probe(Probe(prompts), found, BaseMatch.FAMILY).same_top == 4


def test_other_tokens_than_those_stored_are_a_mistake_of_the_caller():
    probe = some_probe()
    found = measured(probe)
    with pytest.raises(ValueError, match="other tokens"):
        classify_probe(probe, [replace(found[0], logits=found[0].logits[1:]), *found[1:]], BaseMatch.EXACT)
