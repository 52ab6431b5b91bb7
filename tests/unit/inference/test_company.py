"""What one request does must not be felt by another: broken numbers, releases, long rows, other number types, other rows."""

import threading
from contextlib import suppress

import pytest
import torch

from expert_kit.adapters import load_base
from expert_kit.errors import CapacityError, ExpertKitError, NotComposableError, UsageError
from expert_kit.inference import BatchLimits, ExpertEngine
from expert_kit.inference.kv_cache import BatchCache
from tests.support.tiny_model import write_adapter

LONG = "word " * 40


def suppressed(stream):
    """Read to the end, whatever that is."""
    with suppress(ExpertKitError):
        list(stream)


@pytest.fixture
def adapters(tmp_path, tiny_folder):
    return [write_adapter(tmp_path / f"adapter-{seed}", tiny_folder, seed=seed) for seed in range(2)]


@pytest.mark.parametrize("quantization", ["none", "int8"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_an_expert_answers_a_long_prompt_in_every_number_type(tiny_folder, tiny_record, adapters, quantization, dtype):
    base = load_base(tiny_folder, tiny_record, device="cpu", dtype=dtype, quantization=quantization)
    with ExpertEngine(base) as engine:
        assert engine.generate(LONG, adapters[0], max_new_tokens=6).usage.completion_tokens > 1


def test_broken_numbers_of_one_row_do_not_reach_the_next_in_its_place(tiny, adapters):
    with ExpertEngine(tiny) as engine:
        expected = engine.generate("short", None, max_new_tokens=6).text
        stream = engine.stream("a story", None, max_new_tokens=60)
        next(stream)
        with pytest.raises(ExpertKitError, match="not finite"):
            engine.generate(LONG, {adapters[0]: 1e30}, max_new_tokens=3)
        assert engine.generate("short", None, max_new_tokens=6).text == expected
        stream.close()


def test_a_handle_gives_back_only_what_it_holds(tiny, adapters):
    with ExpertEngine(tiny) as engine:
        (first,), (second,) = engine.attach_experts([adapters[0]], pin=True), engine.attach_experts([adapters[0]])
        engine.unpin([second])
        resident = engine._source.resident
        assert resident._held[first.digest].pins == 1
        engine.release([second])
        with pytest.raises(UsageError) as caught:
            engine.release([second])
        assert caught.value.code == "released_twice"
        assert resident.references == 1
        engine.unpin([first])
        engine.unpin([first])
        engine.release([first])
        assert (resident.references, resident._held[first.digest].pins) == (0, 0)


def test_rows_are_failed_also_behind_one_whose_references_cannot_be_dropped(tiny):
    with ExpertEngine(tiny) as engine:
        streams = [engine.stream("a story", None, max_new_tokens=50, seed=seed) for seed in (1, 2)]
        for stream in streams:
            next(stream)
        running = engine._scheduler._running

        def refuse() -> None:
            raise UsageError("no", code="released_twice")

        running[0].held.callback(refuse)
        with pytest.raises(UsageError):
            engine._scheduler._abandon(ExpertKitError("broken"))
        ended = threading.Thread(target=suppressed, args=(streams[1],))
        ended.start()
        ended.join(timeout=20)
        assert not ended.is_alive()


def test_nothing_is_loaded_while_the_weights_hold_others(tiny, adapters):
    with ExpertEngine(tiny) as engine, engine.merged(adapters[0]):
        with pytest.raises(NotComposableError) as caught:
            engine.attach_experts([adapters[1]])
        assert caught.value.code == "base_merged"
        with pytest.raises(NotComposableError):
            engine.prefetch([adapters[1]]).result(timeout=20)


def test_a_merge_that_breaks_off_leaves_the_weights(tiny, adapters, monkeypatch):
    from expert_kit.composition import into_base

    calls, changed = [], into_base._changed

    def fails(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise MemoryError
        return changed(*args, **options)

    monkeypatch.setattr(into_base, "_changed", fails)
    with ExpertEngine(tiny) as engine:
        before = {name: one.clone() for name, one in tiny.model.state_dict().items()}
        with pytest.raises(MemoryError), engine.merged(adapters[0]):
            pass
        assert engine.generate("short", None, max_new_tokens=2).text
    after = tiny.model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())


def test_a_long_row_that_left_does_not_cost_those_that_follow():
    cache = BatchCache()

    def step(first, end, tokens):
        cache.aim(first, end, tokens, torch.device("cpu"))
        states = torch.ones(end - first, 2, tokens, 4)
        return cache.update(states, states, 0)

    cache.add_row()
    step(0, 1, 1000)
    cache.add_row()
    step(1, 2, 10)
    cache.remove_row(0)
    assert cache.lengths == [10]
    assert cache.nbytes == 2 * 64 * 2 * 4 * 4
    keys, _ = step(0, 1, 1)
    assert keys.shape == (1, 2, 11, 4)
    assert (keys == 1).all()


def test_what_a_row_leaves_is_zero():
    cache = BatchCache()
    for row, tokens in enumerate((30, 20)):
        cache.add_row()
        cache.aim(row, row + 1, tokens, torch.device("cpu"))
        states = torch.full((1, 2, tokens, 4), float("nan") if row == 0 else 1.0)
        cache.update(states, states, 0)
    cache.remove_row(0)
    assert not any(one.isnan().any() for store in cache._stores for one in store)
    assert (cache._stores[0][0][0, :20] == 1).all()


@pytest.mark.parametrize("limits", [{"rows": 0}, {"cache_bytes": 0}, {"prefix_bytes": -1}], ids=str)
def test_limits_under_which_nothing_runs_are_refused(limits):
    with pytest.raises(UsageError) as caught:
        BatchLimits(**limits)
    assert caught.value.code == "batch_limits"


def test_a_prompt_longer_than_the_window_is_told_to_be_shorter(tiny):
    with ExpertEngine(tiny) as engine, pytest.raises(CapacityError) as caught:
        engine.generate("word " * 5000, None, max_new_tokens=1)
    assert caught.value.hint == "shorten the prompt"


def test_int8_rows_say_the_same_alone_and_in_company(tiny_folder, tiny_record, monkeypatch):
    monkeypatch.setattr("expert_kit.adapters.quantization._INTEGER_PRODUCTS", True)
    monkeypatch.setattr("expert_kit.adapters.quantization._MATRIX_UNITS", False)
    base = load_base(tiny_folder, tiny_record, device="cpu", dtype="float32", quantization="int8")
    options = {"max_new_tokens": 8, "temperature": 1.0, "seed": 7, "logprobs": True}
    with ExpertEngine(base, limits=BatchLimits(prefix_bytes=0)) as engine:
        prompts = [f"prompt {at}" for at in range(6)]
        together = engine.generate(prompts, [None] * 6, **options)
        for prompt, one in zip(prompts, together, strict=True):
            alone = engine.generate(prompt, None, **{**options, "seed": one.seed})
            assert alone.text == one.text
            assert [place.logprob for place in alone.logprobs] == pytest.approx([place.logprob for place in one.logprobs], abs=1e-5)
