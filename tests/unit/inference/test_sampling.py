import pytest
import torch

from expert_kit.errors import UsageError
from expert_kit.inference import SamplingOptions
from expert_kit.inference.sampling import Sampler

LOGITS = torch.tensor([0.0, 3.0, 2.0, -1.0])
IDS = torch.tensor([1])


def drawn(**options) -> set[int]:
    sampler = Sampler(SamplingOptions(seed=1, **options))
    return {sampler.pick(IDS, LOGITS) for _ in range(300)}


def test_temperature_zero_is_the_likeliest_token():
    assert drawn() == {1}


def test_a_repeated_token_is_penalised_in_greedy_mode_too():
    assert drawn(repetition_penalty=10.0) == {2}


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, {0, 1, 2, 3}), ({"top_k": 2}, {1, 2}), ({"top_p": 0.5}, {1}), ({"min_p": 0.3}, {1, 2}), ({"top_k": 1}, {1})],
)
def test_filters_leave_only_their_tokens(options, expected):
    assert drawn(temperature=2.0, **options) == expected


@pytest.mark.parametrize(
    "options",
    [{"max_new_tokens": 0}, {"temperature": -1}, {"temperature": 1e-9}, {"temperature": float("nan")},
     {"top_p": 0}, {"top_k": -1}, {"min_p": 2},
     {"repetition_penalty": 0}, {"seed": -1}, {"stop": ("",)}],
)  # fmt: skip
def test_values_out_of_range_are_named(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        SamplingOptions(**options)


def test_one_stop_text_may_be_given_as_it_is():
    assert SamplingOptions(stop="abc").stop == ("abc",)


def test_drawing_a_seed_leaves_the_global_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Sampler(SamplingOptions(temperature=1.0))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", "3"), ("max_new_tokens", 3.0), ("max_new_tokens", True), ("max_new_tokens", None),
        ("temperature", "0.5"), ("temperature", False), ("top_p", None), ("seed", 1.5), ("seed", "1"), ("stop", 5), ("stop", [5]),
        ("stop", None), ("stop", {"a"}), ("by_task", 3), ("by_task", "temperature"), ("logprobs", 1), ("top_logprobs", 1.0), ("grammar", 5),
    ],
)  # fmt: skip
def test_an_option_of_another_type_is_a_typed_error(name, value):
    with pytest.raises(UsageError, match=name) as caught:
        SamplingOptions(**{name: value})
    assert caught.value.code == "option_type"
    assert caught.value.hint


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    options = SamplingOptions(max_new_tokens=numpy.int64(3), temperature=numpy.float32(0.5), seed=numpy.int32(7))
    assert Sampler(options).pick(IDS, LOGITS) in range(4)
