import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expert_kit.errors import ExpertKitError, NotComposableError, UnknownNameError, UsageError
from expert_kit.inference.selection import AUTO, BASE, parse_selection
from expert_kit.names import ExpertRef

A, B = ExpertRef("ns", "a"), ExpertRef("ns", "b", "1.2.0")


@pytest.mark.parametrize(
    ("given_experts", "members"),
    [
        ("ns/a", [(A, 1.0)]),
        (["ns/a", "ns/b@1.2.0"], [(A, 0.5), (B, 0.5)]),
        ({"ns/a": 0.6, "ns/b@1.2.0": -0.4}, [(A, 0.6), (B, -0.4)]),
        ("mix:ns/a@0.6+ns/b@1.2.0@0.4", [(A, 0.6), (B, 0.4)]),
        ({"ns/a": 0.0, "ns/b@1.2.0": 1}, [(B, 1.0)]),
        (Path("adapter"), [(Path("adapter"), 1.0)]),
    ],
)
def test_spellings_of_a_selection(given_experts, members):
    assert parse_selection(given_experts).members == tuple(members)


def test_auto_and_base():
    assert parse_selection("auto") is AUTO
    assert parse_selection(None) == parse_selection("base") == BASE
    assert BASE.is_base
    assert not AUTO.is_base


@pytest.mark.parametrize(
    ("given_experts", "error"),
    [
        ("mix:ns/a", UsageError),
        ("mix:ns/a@much", UsageError),
        ("mix:", UsageError),
        ("a", UnknownNameError),
        ("NS/a", UnknownNameError),
        ({"ns/a": float("inf")}, NotComposableError),
        (["ns/a", "ns/a"], NotComposableError),
    ],
)
def test_what_is_refused(given_experts, error):
    with pytest.raises(error):
        parse_selection(given_experts)


@given(st.text(max_size=40))
def test_any_text_is_a_selection_or_a_typed_error(text):
    with contextlib.suppress(ExpertKitError):
        parse_selection(text)


# A name may not be that of a device, such as "aux"; those have an "n", "p" or "x".
@given(st.dictionaries(st.from_regex(r"[a-m]{1,5}/[a-m]{1,5}", fullmatch=True), st.integers(1, 99), min_size=1, max_size=4))
def test_text_and_mapping_agree(weights):
    mapping = {name: hundredths / 100 for name, hundredths in weights.items()}
    text = "mix:" + "+".join(f"{name}@{weight}" for name, weight in mapping.items())
    assert parse_selection(text) == parse_selection(mapping)


@pytest.mark.parametrize("wrong", [42, 1.5, object(), ["ns/a", 3], {5: 1.0}, {"ns/a", "ns/b"}, [None], b"ns/a"])
def test_what_selects_nothing_says_so(wrong):
    with pytest.raises(UsageError) as caught:
        parse_selection(wrong)
    assert caught.value.code == "experts_type"


def test_weights_may_be_numpy_numbers_but_no_truth_values():
    assert parse_selection({"ns/a": np.float32(0.5), "ns/b": np.int64(1)}).members[0][1] == 0.5
    with pytest.raises(NotComposableError) as caught:
        parse_selection({"ns/a": True})
    assert caught.value.hint
