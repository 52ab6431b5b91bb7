"""Prompt tuning and prefix tuning: PEFT's logits and answers, rows with different ones, places, kept keys, lengths, refusals."""

from contextlib import closing

import pytest
import torch
from peft import PromptEncoderConfig

from expert_kit.adapters import SlotKind, chat_ids, probe_logits, read_adapter
from expert_kit.archive import check_adapter, spec_of_config
from expert_kit.bases import AdapterSpec, attention_of
from expert_kit.errors import CapacityError, IncompatibleAdapterError, NotComposableError, UnsupportedMemberError
from expert_kit.inference import ExpertEngine
from expert_kit.inference.scheduler import BatchLimits
from tests.support.kinds import IDS, peft_answer, peft_logits, write_ia3, write_kind, write_prefix, write_prompt
from tests.support.tiny_model import write_adapter

WRITERS = {"prompt": write_prompt, "prefix": write_prefix}


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny)


def adapter_of(folder, base):
    config, weights = ((folder / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors"))
    return read_adapter(weights, spec_of_config(config, "F32"), base)


def answer(engine, prompt, experts, **options):
    return engine.generate(prompt, experts, max_new_tokens=12, **options)


def ids_of(engine, prompt):
    return chat_ids(engine.base.tokenizer, [{"role": "user", "content": prompt}])


def test_it_gives_the_logits_of_peft(tiny, tiny_folder, tmp_path, write):
    folder = write(tmp_path / "a", tiny_folder)
    expected = peft_logits(tiny_folder, folder)
    with torch.inference_mode():
        bare = tiny.model(IDS).logits
    for row, logits in enumerate(probe_logits(tiny, adapter_of(folder, tiny), IDS.tolist())):
        torch.testing.assert_close(logits.adapted, expected[row, -1], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(logits.base, bare[row, -1], atol=1e-4, rtol=1e-4)


def test_the_log_probabilities_of_an_answer_are_those_of_peft(engine, tiny_folder, tmp_path, write):
    """The whole way: slot, scheduler, cache, one row beside others that have other prompts, LoRA, or nothing."""
    folder, other = write(tmp_path / "a", tiny_folder), write_prompt(tmp_path / "b", tiny_folder, tokens=9, seed=2)
    prefix, lora = write_prefix(tmp_path / "c", tiny_folder, tokens=2, seed=3), write_adapter(tmp_path / "lora", tiny_folder)
    rows = [folder, None, other, lora, prefix]
    prompts = [f"question {'x' * (3 * at)}" for at in range(len(rows))]
    results = engine.generate(prompts, rows, max_new_tokens=3, logprobs=True)
    assert results[1].text == engine.generate(prompts[1], None, max_new_tokens=3).text
    for prompt, row, result in zip(prompts, rows, results, strict=True):
        given = ids_of(engine, prompt)
        ids = torch.tensor([[*given, *(one.id for one in result.logprobs)]])
        if row is None:
            continue
        scores = peft_logits(tiny_folder, row, ids=ids)[0].log_softmax(-1)
        expected = [float(scores[len(given) - 1 + at, one.id]) for at, one in enumerate(result.logprobs)]
        assert [one.logprob for one in result.logprobs] == pytest.approx(expected, abs=1e-3)
        assert result.usage.prompt_tokens == len(given)


def test_a_long_answer_is_that_of_peft_without_a_cache(engine, tiny_folder, tmp_path, write):
    folder = write(tmp_path / "a", tiny_folder)
    result = answer(engine, "a question", folder, logprobs=True)
    assert [one.id for one in result.logprobs] == peft_answer(tiny_folder, folder, ids_of(engine, "a question"), 12)


def test_before_a_sum_of_lora_it_is_peft_on_the_merged_model(engine, tiny_folder, tmp_path, write):
    folder, lora = write(tmp_path / "a", tiny_folder), write_adapter(tmp_path / "lora", tiny_folder)
    result = answer(engine, "a question", {folder: 1.0, lora: 1.0}, logprobs=True)
    given = ids_of(engine, "a question")
    scores = peft_logits(tiny_folder, lora, folder, ids=torch.tensor([[*given, *(one.id for one in result.logprobs)]]))[0].log_softmax(-1)
    expected = [float(scores[len(given) - 1 + at, one.id]) for at, one in enumerate(result.logprobs)]
    assert [one.logprob for one in result.logprobs] == pytest.approx(expected, abs=1e-3)
    assert result.text != answer(engine, "a question", lora).text


def test_kept_keys_and_values_are_of_one_soft_prompt_only(engine, tiny_folder, tmp_path, write):
    folder, other = write(tmp_path / "a", tiny_folder), write(tmp_path / "b", tiny_folder, seed=2)
    first = answer(engine, "a question", folder)
    again = answer(engine, "a question", folder)
    assert again.text == first.text
    assert again.usage.reused_tokens == first.usage.prompt_tokens - 1
    longer = answer(engine, "a question, and more of it", folder)
    assert 0 < longer.usage.reused_tokens < longer.usage.prompt_tokens
    assert longer.text == answer(engine, "a question, and more of it", folder, seed=1).text
    for stranger in (other, None):
        assert answer(engine, "a question", stranger).usage.reused_tokens == 0


def test_its_places_count_towards_the_window_and_the_memory(tiny, tiny_folder, tmp_path, write):
    folder = write(tmp_path / "a", tiny_folder, tokens=20)
    engine = ExpertEngine(tiny, limits=BatchLimits(prefix_bytes=0))
    room = 256 - len(ids_of(engine, "x"))
    for experts, most in ((None, room), (folder, room - 20)):
        with closing(engine.stream("x", experts, max_new_tokens=most)) as stream:
            next(stream)
    with pytest.raises(CapacityError, match="with those of its expert") as caught:
        engine.generate("x", folder, max_new_tokens=room - 19)
    assert caught.value.code == "prompt_too_long"
    assert str(room - 20) in caught.value.hint


def test_its_bytes_are_counted_and_it_comes_back_from_where_it_was_parked(engine, tiny_folder, tmp_path, write):
    folder = write(tmp_path / "a", tiny_folder)
    expected = answer(engine, "x", folder).text
    resident = engine._source.resident
    loaded = engine._source.acquire(folder)
    assert loaded.slot.kind is SlotKind.SOFT_PROMPT
    assert resident.nbytes == loaded.slot.prompt.nbytes == (4 * 64 if write is write_prompt else 3 * 2 * 2 * 32) * 4
    resident.release(loaded.digest)
    resident.budget = 70_000
    answer(engine, "x", write_adapter(tmp_path / "lora", tiny_folder))
    answer(engine, "y", write_adapter(tmp_path / "lora-2", tiny_folder, seed=2))
    assert loaded.digest not in resident.digests
    assert answer(engine, "x", folder).text == expected
    assert resident.stats.unparked == 1


def test_two_on_one_row_other_weights_and_other_kinds_are_refused(engine, tiny_folder, tmp_path, write):
    folder, other = write(tmp_path / "a", tiny_folder), write_prompt(tmp_path / "b", tiny_folder, seed=2)
    for mix in ({folder: 1.0, other: 1.0}, {folder: 0.5}):
        with pytest.raises(NotComposableError, match="before the text") as caught:
            answer(engine, "x", mix)
        assert caught.value.code == "soft_prompt_in_mix"
    with pytest.raises(NotComposableError):
        answer(engine, "x", {folder: 1.0, write_ia3(tmp_path / "ia3", tiny_folder): 1.0})
    with pytest.raises(NotComposableError) as caught, engine.merged(folder):
        pass
    assert caught.value.code == "soft_prompt_merged"
    assert engine._source.resident.references == 0


def test_it_has_to_fit_the_base(tiny, tiny_folder, tmp_path, write):
    folder = write(tmp_path / "a", tiny_folder)
    config, weights = ((folder / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors"))
    spec = spec_of_config(config, "F32")
    linears = tiny.record.linears
    assert attention_of(linears) == (2, 64, 32)
    assert check_adapter(spec, weights, tiny.record) == []
    longer = AdapterSpec.soft_prompt(spec.peft_type, spec.num_virtual_tokens + 1)
    assert [problem.code for problem in check_adapter(longer, weights, tiny.record)] == ["tensor_shape"]
    with pytest.raises(IncompatibleAdapterError, match="prompt_embeddings"):
        read_adapter(weights, longer, tiny)
    object.__setattr__(tiny.record, "linears", (*linears, ("model.layers.2.self_attn.k_proj", 16, 64)))
    try:
        assert "adapter_target_unknown" in {problem.code for problem in check_adapter(spec, weights, tiny.record)}
        with pytest.raises(UnsupportedMemberError) as caught:
            read_adapter(weights, spec, tiny)
        assert caught.value.code == "kind_unsupported"
    finally:
        object.__setattr__(tiny.record, "linears", linears)


def test_p_tuning_is_read_as_the_prompt_that_its_encoder_made(tiny, tiny_folder, tmp_path):
    config = PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3, encoder_hidden_size=8)
    folder = write_kind(tmp_path / "p", tiny_folder, config)
    assert spec_of_config((folder / "adapter_config.json").read_bytes(), "F32") == AdapterSpec.soft_prompt("PROMPT_TUNING", 3)
    expected = peft_logits(tiny_folder, folder)[0, -1]
    torch.testing.assert_close(probe_logits(tiny, adapter_of(folder, tiny), IDS.tolist())[0].adapted, expected, atol=1e-4, rtol=1e-4)
