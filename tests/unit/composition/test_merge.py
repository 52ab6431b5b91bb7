import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft.utils.merge_utils import ties as peft_ties

from expert_kit.adapters import LoraWeights
from expert_kit.composition import METHODS, MergeOptions, merge_adapters
from expert_kit.composition.truncation import truncate_delta, truncate_factors
from expert_kit.errors import IncompatibleAdapterError, NotComposableError, UsageError


def random_factors(rank: int, seed: int, rows: int = 12, columns: int = 9) -> LoraWeights:
    generator = torch.Generator().manual_seed(seed)
    return LoraWeights(torch.randn(rank, columns, generator=generator), torch.randn(rows, rank, generator=generator))


def delta(factors: LoraWeights) -> torch.Tensor:
    return factors.b @ factors.a


def merged_delta(method, adapters, weights, **options):
    return delta(merge_adapters([{"m": one} for one in adapters], weights, method, MergeOptions(**options)).adapter["m"])


@settings(deadline=None)
@given(st.sampled_from(["svd", "linear", "cat"]), st.lists(st.tuples(st.integers(1, 4), st.floats(0.1, 2)), min_size=2, max_size=4))
def test_with_rank_enough_a_merge_is_the_weighted_sum(method, parts):
    factors, weights = [random_factors(rank, seed) for seed, (rank, _) in enumerate(parts)], [weight for _, weight in parts]
    scale = sum(weights) if method == "linear" else 1
    expected = sum(weight / scale * delta(one) for one, weight in zip(factors, weights, strict=True))
    rank = sum(one.rank for one in factors)
    torch.testing.assert_close(merged_delta(method, factors, weights, rank=rank), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(12, 9), (9, 12), (9, 9)])
@pytest.mark.parametrize("rank", [1, 3, 6, 40])
def test_both_truncations_are_the_best_there_is(rows, columns, rank):
    factors = random_factors(6, 1, rows, columns)
    u, sizes, vh = torch.linalg.svd(delta(factors), full_matrices=False)
    best = (u[:, :rank] * sizes[:rank]) @ vh[:rank]
    for layer in (truncate_factors(factors, rank), truncate_delta(delta(factors), rank)):
        torch.testing.assert_close(delta(layer.weights), best, atol=1e-4, rtol=1e-4)
        lost = float((sizes[rank:].square().sum() / sizes.square().sum()).sqrt())
        assert layer.residual == pytest.approx(lost, abs=1e-3)
        assert layer.weights.rank <= rank


def test_a_delta_of_zeros_stays_one():
    layer = truncate_delta(torch.zeros(4, 3), 2)
    assert layer.residual == 0
    assert not delta(layer.weights).any()


@pytest.mark.parametrize("density", [0.2, 0.5, 0.9])
def test_ties_equals_pefts(density):
    factors, weights = [random_factors(4, seed) for seed in range(3)], [0.7, 1.0, -0.4]
    expected = peft_ties([delta(one) for one in factors], torch.tensor(weights), density)
    torch.testing.assert_close(merged_delta("ties", factors, weights, density=density, rank=9), expected, atol=1e-4, rtol=1e-4)


def test_dare_keeps_the_mean_and_depends_on_its_seed_alone():
    factors, weights = [random_factors(2, 1), random_factors(3, 2)], [1.0, 0.5]
    expected = delta(factors[0]) + 0.5 * delta(factors[1])
    mean = torch.stack([merged_delta("dare", factors, weights, seed=seed, rank=9) for seed in range(600)]).mean(dim=0)
    assert (mean - expected).norm() / expected.norm() < 0.15
    again = merged_delta("dare", factors, weights, seed=5, rank=9)
    assert torch.equal(again, merged_delta("dare", factors, weights, seed=5, rank=9))
    assert not torch.equal(again, merged_delta("dare", factors, weights, seed=6, rank=9))
    torch.testing.assert_close(merged_delta("dare", factors, weights, density=1.0, rank=9), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_modules_of_one_parent_and_names_its_loss(method):
    adapters = [{"m": random_factors(2, 1), "only": random_factors(2, 2)}, {"m": random_factors(3, 3)}]
    merged = merge_adapters(adapters, [1.0, 1.0], method)
    assert merged.adapter.keys() == merged.residuals.keys() == {"m", "only"}
    assert 0 <= merged.residual <= 1
    assert merged.adapter["only"].a.dtype == torch.float32
    assert delta(merged.adapter["only"]).any()


def test_a_default_rank_is_the_largest_parents_and_cat_is_exact():
    adapters = [{"m": random_factors(2, 1)}, {"m": random_factors(5, 3)}]
    assert merge_adapters(adapters, [1, 1], "svd").adapter["m"].rank == 5
    assert merge_adapters(adapters, [1, 1], "cat").adapter["m"].rank == 7
    with pytest.raises(NotComposableError, match="rank 7"):
        merge_adapters(adapters, [1, 1], "cat", MergeOptions(rank=6))


def test_what_cannot_be_merged_is_refused():
    one = {"m": random_factors(2, 1)}
    with pytest.raises(UsageError, match="unknown merge method"):
        merge_adapters([one, one], [1, 1], "mean")
    with pytest.raises(NotComposableError, match="two or more"):
        merge_adapters([one], [1])
    with pytest.raises(NotComposableError, match="finite"):
        merge_adapters([one, one], [1, float("nan")])
    with pytest.raises(NotComposableError, match="add up to 0"):
        merge_adapters([one, one], [1, -1], "linear")
    for method in METHODS:
        with pytest.raises(IncompatibleAdapterError, match="different bases"):
            merge_adapters([one, {"m": random_factors(2, 2, rows=7)}], [1, 1], method)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"rank": 513}, {"density": 0.0}, {"density": 1.5}, {"seed": -1}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match="out of range"):
        MergeOptions(**wrong)
