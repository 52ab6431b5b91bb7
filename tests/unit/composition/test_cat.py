import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expert_kit.adapters import Gain, LoraWeights
from expert_kit.composition import cat, cat_adapters
from expert_kit.errors import IncompatibleAdapterError, NotComposableError


def random_factors(rank: int, seed: int, rows: int = 6, columns: int = 5) -> LoraWeights:
    generator = torch.Generator().manual_seed(seed)
    return LoraWeights(torch.randn(rank, columns, generator=generator), torch.randn(rows, rank, generator=generator))


@given(st.lists(st.tuples(st.integers(1, 6), st.floats(-2, 2, width=32)), min_size=1, max_size=6))
def test_the_joined_delta_is_the_weighted_sum_of_deltas(parts):
    factors = [random_factors(rank, seed) for seed, (rank, _) in enumerate(parts)]
    joined = cat(factors, [weight for _, weight in parts])
    expected = sum(weight * (one.b @ one.a) for one, (_, weight) in zip(factors, parts, strict=True))
    torch.testing.assert_close(joined.b @ joined.a, expected, atol=1e-4, rtol=1e-4)
    assert joined.rank == sum(rank for rank, _ in parts)


@given(st.lists(st.tuples(st.booleans(), st.floats(-2, 2, width=32)), min_size=1, max_size=6))
def test_what_dora_scales_has_its_part_in_the_sum(parts):
    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(6, 5, generator=random), torch.randn(6, generator=random)
    factors = [random_factors(2, seed) for seed in range(len(parts))]
    gains = [torch.rand(6, generator=random) + 0.5 if is_dora else torch.ones(6) for is_dora, _ in parts]
    given_ = [
        LoraWeights(one.a, one.b, Gain(gain, bias * (1 - gain)) if is_dora else None)
        for one, gain, (is_dora, _) in zip(factors, gains, parts, strict=True)
    ]
    joined = cat(given_, [share for _, share in parts])
    total = Gain(torch.ones(6), torch.zeros(6)) if joined.gain is None else joined.gain
    x = torch.randn(4, 5, generator=random)
    changes = [share * ((gain - 1)[:, None] * weight + one.b @ one.a) for one, gain, (_, share) in zip(factors, gains, parts, strict=True)]
    ours = (x @ weight.T + bias) * total.factor + total.shift + x @ (joined.b @ joined.a).T
    torch.testing.assert_close(ours, x @ (weight + sum(changes)).T + bias, atol=1e-4, rtol=1e-4)


def test_a_module_of_one_adapter_only_keeps_its_weighted_delta():
    first, second = {"m": random_factors(2, 1), "only": random_factors(3, 2)}, {"m": random_factors(4, 3)}
    joined = cat_adapters([first, second], [0.5, 2.0])
    assert joined.keys() == {"m", "only"}
    torch.testing.assert_close(joined["only"].b @ joined["only"].a, 0.5 * (first["only"].b @ first["only"].a))


def test_other_sizes_are_refused():
    with pytest.raises(IncompatibleAdapterError):
        cat([random_factors(2, 1), random_factors(2, 2, rows=7)], [1, 1])
    with pytest.raises(IncompatibleAdapterError):
        cat([], [])


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(weight):
    with pytest.raises(NotComposableError):
        cat([random_factors(2, 1)], [weight])
