import itertools
import threading
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from expert_kit.adapters import LoraWeights, SlotTable, group_linears, install_slots, read_lora
from expert_kit.archive import spec_of_config
from expert_kit.errors import CapacityError, ExpertKitError, NotComposableError
from expert_kit.inference import SamplingOptions
from expert_kit.inference.request import Request
from expert_kit.inference.sampling import Sampler
from expert_kit.inference.scheduler import PREFILL_TOKENS, BatchLimits, Scheduler
from tests.support.tiny_model import write_adapter

ROW_BYTES = 2 * 2 * 2 * 16 * 4  # keys and values, layers, heads, head size, float32


@pytest.fixture
def base(tiny):
    install_slots(tiny.model, tiny.record.linears)
    return tiny


@pytest.fixture
def factors(base, tiny_folder, tmp_path):
    loaded = []
    for seed in range(3):
        folder = write_adapter(tmp_path / f"adapter-{seed}", tiny_folder, seed=seed)
        spec = spec_of_config((folder / "adapter_config.json").read_bytes(), "F32")
        data = (folder / "adapter_model.safetensors").read_bytes()
        loaded.append(read_lora(data, spec, base.record.linears, device=torch.device("cpu"), dtype=torch.float32))
    return loaded


@pytest.fixture
def table(base):
    return SlotTable(group_linears(base.record.linears), torch.device("cpu"), torch.float32)


@pytest.fixture
def slots(table, factors):
    return [((table.put(one), 1.0),) for one in factors]


def ask(base, prompt, slots=(), mix=None, **options):
    options = {"max_new_tokens": 8} | options
    ends = frozenset() if "stop" not in options else frozenset({2})
    return Request([5 + ord(c) % 90 for c in prompt], Sampler(SamplingOptions(**options)), base.tokenizer, ends, slots=slots, mix=mix)


def alone(base, *args, **options):
    scheduler, request = Scheduler(base), ask(base, *args, **options)
    scheduler.submit(request)
    scheduler.finish([request])
    return request.picked


def take(scheduler, request, count):
    """Move the batch on until the request has some tokens more."""
    wanted = len(request.picked) + count
    while len(request.picked) < wanted:
        scheduler._advance(request)
        request.pieces.clear()


def test_requests_join_and_leave_a_running_batch_and_answer_as_if_alone(base, slots):
    scheduler = Scheduler(base)
    first = ask(base, "the first prompt", slots[0], "a", max_new_tokens=14)
    second = ask(base, "another", slots[1], "b", max_new_tokens=3)
    third = ask(base, "a third and much longer prompt than the others", max_new_tokens=9)
    scheduler.submit(first)
    take(scheduler, first, 4)
    scheduler.submit(second)
    take(scheduler, first, 1)
    assert second.picked
    assert not second.finished
    take(scheduler, first, 3)
    assert second.finished
    scheduler.submit(third)
    scheduler.finish([first, second, third])
    assert first.picked == alone(base, "the first prompt", slots[0], max_new_tokens=14)
    assert second.picked == alone(base, "another", slots[1], max_new_tokens=3)
    assert third.picked == alone(base, "a third and much longer prompt than the others", max_new_tokens=9)
    assert scheduler._cache.lengths == []
    assert scheduler._cache.nbytes == 0


def test_more_requests_than_rows_wait_their_turn(base, slots, monkeypatch):
    scheduler = Scheduler(base, BatchLimits(rows=2))
    seen = []
    forward = scheduler._forward
    monkeypatch.setattr(scheduler, "_forward", lambda ids, *rest: seen.append(len(scheduler._running)) or forward(ids, *rest))
    requests = [ask(base, f"prompt {at}", slots[at % 3], at % 3, max_new_tokens=2 + at) for at in range(5)]
    for request in requests:
        scheduler.submit(request)
    scheduler.finish(requests)
    assert max(seen) == 2
    assert [one.picked for one in requests] == [alone(base, f"prompt {at}", slots[at % 3], max_new_tokens=2 + at) for at in range(5)]


def test_the_memory_of_keys_and_values_is_a_limit_too(base):
    scheduler = Scheduler(base, BatchLimits(cache_bytes=40 * ROW_BYTES))
    long, short = ask(base, "x" * 20, max_new_tokens=10), ask(base, "y" * 5, max_new_tokens=5)
    scheduler.submit(long)
    scheduler.submit(short)
    take(scheduler, long, 1)
    assert not short.picked
    scheduler.finish([long, short])
    assert short.picked == alone(base, "y" * 5, max_new_tokens=5)
    with pytest.raises(CapacityError, match="memory for 40 tokens") as caught:
        scheduler.submit(ask(base, "z" * 35, max_new_tokens=6))
    assert caught.value.code == "batch_memory"
    assert "at most 5" in caught.value.hint


def test_a_stream_that_nobody_reads_any_more_leaves_the_batch(base):
    scheduler = Scheduler(base)
    request, other = ask(base, "one", max_new_tokens=50), ask(base, "two", max_new_tokens=6)
    scheduler.submit(request)
    pieces = scheduler.pieces(request)
    next(pieces)
    pieces.close()
    assert request.cancelled
    assert scheduler._running == []
    waiting = ask(base, "three")
    scheduler.submit(waiting)
    waiting.cancel()
    scheduler.submit(other)
    scheduler.finish([other])
    assert waiting.picked == []
    assert len(request.picked) < 50


def test_scores_that_are_no_numbers_end_their_own_row_only(base, factors, table, slots):
    broken = ((table.put({name: LoraWeights(one.a, one.b * float("nan")) for name, one in factors[0].items()}), 1.0),)
    scheduler = Scheduler(base)
    good, bad = ask(base, "good", slots[1], "b", max_new_tokens=6), ask(base, "bad", broken, "c")
    scheduler.submit(good)
    take(scheduler, good, 2)
    scheduler.submit(bad)
    with pytest.raises(NotComposableError, match="not finite"):
        list(scheduler.pieces(bad))
    scheduler.finish([good])
    assert good.picked == alone(base, "good", slots[1], max_new_tokens=6)
    assert scheduler.prefixes.find("c", bad.tokens) is None


def test_when_a_step_breaks_every_request_in_it_ends_with_an_error_and_the_next_one_works(base, monkeypatch):
    scheduler = Scheduler(base)
    first, second = ask(base, "one"), ask(base, "two")
    scheduler.submit(first)
    scheduler.submit(second)
    take(scheduler, first, 1)

    def broken(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "_decode", broken)
        with pytest.raises(KeyboardInterrupt):
            scheduler._advance(first)
    with pytest.raises(ExpertKitError, match="broken off"):
        list(scheduler.pieces(second))
    again = ask(base, "one")
    scheduler.submit(again)
    scheduler.finish([again])
    assert again.picked == alone(base, "one")


def test_out_of_memory_is_a_capacity_error_for_all(base, monkeypatch):
    scheduler = Scheduler(base)
    requests = [ask(base, "one"), ask(base, "two")]
    for request in requests:
        scheduler.submit(request)

    def full(*args):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(scheduler, "_decode", full)
    with pytest.raises(CapacityError, match="out of memory while generating for 2 prompts"):
        scheduler.finish(requests)


def test_a_prompt_longer_than_one_pass_is_read_in_several(base, monkeypatch):
    expected = alone(base, "long " * 20)
    monkeypatch.setattr("expert_kit.inference.scheduler.PREFILL_TOKENS", 7)
    assert alone(base, "long " * 20) == expected
    assert PREFILL_TOKENS == 512


def test_the_next_turn_computes_only_what_is_new_and_says_the_same(base, slots):
    scheduler = Scheduler(base)
    turn = ask(base, "first turn of a conversation", slots[0], "a", max_new_tokens=6)
    scheduler.submit(turn)
    scheduler.finish([turn])

    def follow(slots, mix, **options):
        request = Request([*turn.tokens, 40, 41, 42], Sampler(SamplingOptions(max_new_tokens=6, **options)), base.tokenizer, frozenset(),
                          slots=slots, mix=mix)  # fmt: skip
        scheduler.submit(request)
        scheduler.finish([request])
        return request

    reused = follow(slots[0], "a")
    assert reused.reused == len(turn.tokens) - 1
    other_mix, seeded = follow(slots[1], "b"), follow(slots[0], "a", seed=1)
    assert (other_mix.reused, seeded.reused) == (0, 0)
    assert seeded.picked == reused.picked
    assert scheduler.prefixes.hits == 1
    scheduler.prefixes.clear()
    assert follow(slots[0], "a").picked == reused.picked


def test_threads_share_one_batch_and_get_their_own_answers(base, slots):
    scheduler = Scheduler(base, BatchLimits(rows=3))
    expected = {at: alone(base, f"prompt of thread {at}", slots[at % 3], max_new_tokens=10) for at in range(6)}
    got = {}

    def work(at):
        for _ in range(3):
            request = ask(base, f"prompt of thread {at}", slots[at % 3], at % 3, max_new_tokens=10)
            scheduler.submit(request)
            scheduler.finish([request])
            got.setdefault(at, []).append(request.picked)

    threads = [threading.Thread(target=work, args=(at,)) for at in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert got == {at: [tokens] * 3 for at, tokens in expected.items()}


SMALL = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.3}  # fmt: skip
ARCHITECTURES = {
    "llama": SMALL,
    "qwen3": SMALL,
    "gemma3_text": SMALL | {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt2": {"vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.3},
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_answers_as_transformers_generate(tiny, architecture, attention):
    torch.manual_seed(1)
    config = AutoConfig.for_model(architecture, **ARCHITECTURES[architecture])
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    scheduler = Scheduler(SimpleNamespace(model=model, tokenizer=tiny.tokenizer, device=model.device))
    requests = [ask(tiny, "a prompt of some length", max_new_tokens=12), ask(tiny, "short", max_new_tokens=12)]
    scheduler.submit(requests[0])
    take(scheduler, requests[0], 3)
    scheduler.submit(requests[1])
    scheduler.finish(requests)
    for request in requests:
        prompt = torch.tensor([request.tokens[: request.prompt_length]])
        expected = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        assert request.tokens == expected[0].tolist()


def test_logprobs_are_the_models_own(base):
    scheduler = Scheduler(base)
    request = ask(base, "prompt", max_new_tokens=4, logprobs=True, top_logprobs=3, temperature=0.7, seed=1)
    scheduler.submit(request)
    scheduler.finish([request])
    with torch.no_grad():
        scores = base.model(torch.tensor([request.tokens[:-1]])).logits[0].log_softmax(-1)
    for at, (one, token) in enumerate(zip(request.logprobs, request.picked, strict=True)):
        place = scores[request.prompt_length - 1 + at]
        assert one.id == token
        assert one.logprob == pytest.approx(place[token].item(), abs=1e-4)
        assert [other for other, _, _ in one.top] == place.topk(3).indices.tolist()


def test_no_run_of_tokens_comes_twice(base):
    tokens = [5, 6, 7, *alone(base, "aaaa", max_new_tokens=30, no_repeat_ngram_size=2)]
    pairs = list(itertools.pairwise(tokens[3:]))
    assert len(pairs) == len(set(pairs))
