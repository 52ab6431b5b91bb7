from __future__ import annotations

import pytest

from expert_kit.archive import package
from expert_kit.errors import UsageError
from expert_kit.inference import ExpertEngine
from expert_kit.inference.defaults import KINDS, defaults_for, settle
from expert_kit.inference.prompts import to_options
from expert_kit.inference.sampling import BY_TASK, SamplingOptions
from expert_kit.registry import Registry
from expert_kit.routing import detect
from tests.support.builders import lora_weights, tiny_spec, write_source


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CREATE TABLE t (a INTEGER); how many rows are there?", "query"),
        ("List the towns and return JSON only", "data"),
        ("def f(x): return x\nwhy does this fail?", "code"),
        ("Differentiate x**3", "maths"),
        ("Write a poem about winter", "writing"),
        ("Is a whale a fish? Answer with one word", "short"),
        ("Good morning, how are you?", "talk"),
        ("", "talk"),
    ],
)
def test_the_kind_of_task_gives_the_options(text: str, kind: str) -> None:
    found = defaults_for(text, detect(text))
    assert (found.kind, found.options) == (kind, KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_valid_set_of_options(kind: str) -> None:
    SamplingOptions(**KINDS[kind])


def test_the_manifest_of_the_expert_stands_above_the_kind() -> None:
    text = "Good morning"
    found = defaults_for(text, detect(text), {"temperature-percent": 20, "max-new-tokens": 32, "other": 7})
    assert found.options == {"temperature": 0.2, "top_p": 0.9, "max_new_tokens": 32}
    assert "the expert sets max-new-tokens, temperature-percent" in found.because


@pytest.mark.parametrize("value", [-5, 0, 10**9])
def test_a_manifest_cannot_set_what_is_not_allowed(value: int) -> None:
    found = defaults_for("x", detect("x"), {"temperature-percent": value, "top-p-percent": value, "max-new-tokens": value})
    SamplingOptions(**found.options)


def test_what_a_caller_gives_stands_above_all() -> None:
    options = to_options({"by_task": True, "temperature": 0.1, "stop": "x"})
    assert options.by_task == ("max_new_tokens", "top_p")
    settled, found = settle(options, "Write a poem about winter", {"temperature-percent": 20, "max-new-tokens": 32}, 1000)
    assert (settled.temperature, settled.top_p, settled.max_new_tokens, settled.stop) == (0.1, 0.95, 32, ("x",))
    assert found is not None
    assert found.options == {"max_new_tokens": 32, "top_p": 0.95}


def test_nothing_is_decided_unless_that_is_asked_for() -> None:
    assert settle(SamplingOptions(), "Write a poem", {"temperature-percent": 20}, 1000) == (SamplingOptions(), None)
    assert SamplingOptions(by_task=True).by_task == BY_TASK
    with pytest.raises(UsageError, match="by_task"):
        SamplingOptions(by_task=("seed",))


@pytest.mark.parametrize(("room", "expected"), [(10_000, 384), (100, 100), (-3, 1)])
def test_an_answer_is_not_made_longer_than_the_window(room: int, expected: int) -> None:
    settled, _ = settle(SamplingOptions(by_task=True), "Write a poem", {}, room)
    assert settled.max_new_tokens == expected


def test_the_engine_asks_the_task_and_the_one_expert_that_answers(tiny, tiny_record, tmp_path) -> None:
    registry = Registry(tmp_path / "registry")
    names = ["expert-kit/short", "expert-kit/other"]
    for seed, name in enumerate(names):
        folder = tmp_path / f"source-{seed}"
        source = write_source(folder, name=name, base="tiny-llama", weights=lora_weights(tiny_spec(), tiny_record.linears, seed))
        listed = "jsonl, parameters: {max-new-tokens: 3, temperature-percent: 50}}"
        source.write_text(source.read_text().replace("jsonl}", listed))
        registry.install(package(source, folder, [tiny_record]), bases=[tiny_record], unsafe_allow_unsigned=True)
    engine = ExpertEngine(tiny, registry)
    alone = engine.generate("Differentiate x**3", names[0], by_task=True)
    assert alone.defaults is not None
    assert (alone.defaults.kind, alone.defaults.options) == ("maths", {"max_new_tokens": 3, "temperature": 0.5, "top_p": 1.0})
    assert alone.usage.completion_tokens <= 3
    mixed = engine.generate("Differentiate x**3", dict.fromkeys(names, 0.5), by_task=True, max_new_tokens=2)
    assert mixed.defaults is not None
    assert mixed.defaults.options == {"temperature": 0.0, "top_p": 1.0}
    long = engine.generate("Write a poem", None, by_task=True)
    assert long.defaults is not None
    assert long.defaults.options["max_new_tokens"] == 256 - long.usage.prompt_tokens
    assert engine.generate("Write a poem", None, max_new_tokens=1).defaults is None
