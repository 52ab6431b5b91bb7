from __future__ import annotations

import pytest

from expert_kit.inference.defaults import KINDS, defaults_for
from expert_kit.inference.sampling import SamplingOptions
from expert_kit.routing import detect


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
