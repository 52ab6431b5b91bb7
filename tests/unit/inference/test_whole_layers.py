"""An embedding or output head of an expert's own: alone it is PEFT's, beside other rows it is its own, in a mix it is refused."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from expert_kit.adapters import RowPlan, SlotKind, load_base, read_adapter
from expert_kit.adapters.whole_layers import read_whole
from expert_kit.archive import check_adapter, config_of_spec, spec_of_config
from expert_kit.archive.importer.adapter import derive_spec
from expert_kit.base_models.fingerprint import fingerprint_folder
from expert_kit.bases import AdapterSpec
from expert_kit.composition import MergeOptions
from expert_kit.errors import ExclusiveExpertError, IncompatibleAdapterError, UnsupportedMemberError
from expert_kit.inference import ExpertEngine
from expert_kit.inference.merging import MergePlan, merge_experts
from tests.support.kinds import IDS, peft_logits, write_dora, write_ia3, write_prompt, write_relative, write_whole
from tests.support.tiny_model import write_adapter

BOTH = ["embed_tokens", "lm_head"]
GEMMA = {
    "model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 16, "max_position_embeddings": 256,
}  # fmt: skip
GPT2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256}


@pytest.fixture(scope="module")
def untied_folder(tiny_folder, tmp_path_factory) -> Path:
    return write_relative(tmp_path_factory.mktemp("untied") / "untied", tiny_folder, tie_word_embeddings=False, initializer_range=0.3)


@pytest.fixture(scope="module")
def whole(tiny_folder, tmp_path_factory) -> Path:
    """Both layers of its own."""
    return write_whole(tmp_path_factory.mktemp("whole") / "whole", tiny_folder, BOTH)


@pytest.fixture
def engine(tiny):
    return ExpertEngine(tiny)


def loaded(folder: Path, **options):
    return ExpertEngine(load_base(folder, fingerprint_folder(folder, folder.name), device="cpu", **({"dtype": "float32"} | options)))


@torch.inference_mode()
def our_logits(engine, experts, ids=IDS):
    slots = [((engine._source.acquire(one).slot, 1.0),) if one else () for one in experts]
    with RowPlan.of_slots(slots).active():
        return engine.base.model(ids).logits


@torch.inference_mode()
def bare_logits(engine):
    return engine.base.model(IDS).logits


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("layers", [["lm_head"], ["embed_tokens"], BOTH], ids="-".join)
def test_alone_it_gives_the_logits_of_peft(tiny_folder, untied_folder, tmp_path, layers, tied):
    model = tiny_folder if tied else untied_folder
    folder = write_whole(tmp_path / "a", model, layers)
    engine = loaded(model)
    torch.testing.assert_close(our_logits(engine, [folder] * 3), peft_logits(model, folder), atol=2e-4, rtol=1e-4)
    assert engine._source.acquire(folder).slot.kind is SlotKind.WHOLE


def test_an_embedding_that_scales_what_it_gives_scales_the_expert_s_too(tiny_folder, tmp_path):
    model = write_relative(tmp_path / "gemma", tiny_folder, **GEMMA)
    folder, engine = write_whole(tmp_path / "a", model, BOTH), loaded(model)
    assert float(engine.base.model.get_input_embeddings().embed_scale) == 8
    torch.testing.assert_close(our_logits(engine, [folder] * 3), peft_logits(model, folder), atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(our_logits(engine, [None, folder, None])[1], peft_logits(model, folder)[1], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "made", [{"layers": ["wte"]}, {"layers": []}, {"layers": [], "use_dora": True}, {"layers": ["wte"], "use_dora": True}], ids=str
)
def test_adapters_are_peft_s_on_gpt2_too(tiny_folder, tmp_path, made):
    """Its linear layers lie turned, which PEFT notes in ``fan_in_fan_out``; its embedding is called ``wte``."""
    model = write_relative(tmp_path / "gpt2", tiny_folder, **GPT2)
    folder = write_whole(tmp_path / "a", model, **made, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    assert json.loads((folder / "adapter_config.json").read_text())["fan_in_fan_out"]
    engine = loaded(model)
    ours = our_logits(engine, [folder, None, folder])
    torch.testing.assert_close(ours[0], peft_logits(model, folder)[0], atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(ours[1], bare_logits(engine)[1], atol=2e-4, rtol=1e-4)


def test_rows_beside_it_keep_their_numbers_to_the_bit(engine, whole, tiny_folder, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder, r=8)
    other = write_whole(tmp_path / "other", tiny_folder, ["lm_head"], seed=5)
    bare, expected = bare_logits(engine), peft_logits(tiny_folder, whole)
    without = our_logits(engine, [None, lora, None])
    mixed = our_logits(engine, [whole, lora, None])
    torch.testing.assert_close(mixed[0], expected[0], atol=2e-4, rtol=1e-4)
    assert torch.equal(mixed[1], without[1])
    assert torch.equal(mixed[2], bare[2])
    several = our_logits(engine, [other, whole, None])
    torch.testing.assert_close(several[0], peft_logits(tiny_folder, other)[0], atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(several[1], expected[1], atol=2e-4, rtol=1e-4)
    assert torch.equal(several[2], bare[2])
    assert torch.equal(bare_logits(engine), bare)


def test_where_all_rows_have_its_layers_the_base_s_count_for_nothing(engine, whole):
    expected = our_logits(engine, [whole] * 3)
    head = engine.base.model.get_output_embeddings()
    head.weight.data = torch.full_like(head.weight, torch.nan)  # both, since they are tied
    assert torch.equal(our_logits(engine, [whole] * 3), expected)
    assert our_logits(engine, [whole, whole, None])[2].isnan().all()


@pytest.mark.parametrize("config", [{"use_dora": True}, {"use_rslora": True}], ids=str)
def test_dora_and_rslora_may_have_layers_of_their_own(engine, tiny_folder, tmp_path, config):
    folder = write_whole(tmp_path / "a", tiny_folder, BOTH, **config)
    torch.testing.assert_close(our_logits(engine, [folder] * 3), peft_logits(tiny_folder, folder), atol=2e-4, rtol=1e-4)


def test_the_model_stays_what_it_was_for_all_who_look_at_it(engine, whole):
    model = engine.base.model
    modules, names = dict(model.named_modules()), list(model.state_dict())
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    engine.generate("x", whole, max_new_tokens=2)
    assert dict(model.named_modules()) == modules
    assert list(model.state_dict()) == names
    assert (model.get_input_embeddings(), model.get_output_embeddings()) == (embedding, head)
    model.tie_weights()
    assert head.weight is embedding.weight
    twin = copy.deepcopy(model)
    with torch.inference_mode():
        twin.get_output_embeddings().weight.zero_()
        assert not twin(IDS).logits.any()
        assert model(IDS).logits.any()


def test_until_one_is_read_the_layers_of_the_base_are_untouched(engine, whole, tiny_folder, tmp_path):
    engine.generate("x", write_adapter(tmp_path / "lora", tiny_folder), max_new_tokens=1)
    layers = engine.base.model.get_input_embeddings(), engine.base.model.get_output_embeddings()
    assert not any("forward" in vars(layer) for layer in layers)
    for _ in range(2):
        engine.generate("x", whole, max_new_tokens=1)
        engine.close()
    assert [layer.forward.plain for layer in layers] == [type(layer).forward.__get__(layer) for layer in layers]


def test_it_answers_as_peft_beside_others_with_kept_keys_and_streams(engine, whole, tiny_folder, tmp_path):
    lora = write_adapter(tmp_path / "lora", tiny_folder, r=8)
    alone = {one: engine.generate("two words", one, max_new_tokens=12).text for one in (whole, lora, None)}
    assert len(set(alone.values())) == 3
    rows = engine.generate(["two words"] * 3, [whole, lora, None], max_new_tokens=12)
    assert [row.text for row in rows] == [alone[whole], alone[lora], alone[None]]
    assert engine.stats()["prefix_hits"]
    streamed = [event.text for event in engine.stream("two words", whole, max_new_tokens=12)]
    assert "".join(streamed) == alone[whole]
    assert engine.generate("two words", whole, max_new_tokens=12, logprobs=True).logprobs


def test_a_likelihood_is_that_of_peft(engine, whole, tiny_folder):
    text = "a text of some letters"
    ids = torch.tensor([engine.base.tokenizer(text, add_special_tokens=False).input_ids])
    logits = peft_logits(tiny_folder, whole, ids=ids)[0].log_softmax(-1)
    expected = float(logits[:-1].gather(1, ids[0, 1:, None]).sum())
    assert engine.likelihood(text, whole).logprob == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["half", "negative", "lora", "dora", "ia3", "prompt", "two"])
def test_in_a_mix_or_at_another_weight_it_is_refused(engine, whole, tiny_folder, tmp_path, kind):
    other = {
        "lora": write_adapter, "dora": write_dora, "ia3": write_ia3, "prompt": write_prompt,
        "two": lambda folder, model: write_whole(folder, model, ["lm_head"], seed=3),
    }.get(kind)  # fmt: skip
    weight = {"half": 0.5, "negative": -1.0}.get(kind, 1.0)
    mix = {whole: weight} | ({other(tmp_path / "other", tiny_folder): 1.0} if other else {})
    with pytest.raises(ExclusiveExpertError, match="runs alone, at weight 1") as caught:
        engine.generate("x", mix, max_new_tokens=2)
    assert caught.value.code == "expert_exclusive"
    assert caught.value.hint
    assert engine._source.resident.references == 0


@pytest.mark.parametrize("best", ["whole", "lora"])
def test_where_the_router_mixes_it_the_best_answers_alone(engine, whole, tiny_folder, tmp_path, best):
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    asked = {"whole": whole, "lora": lora}
    weights = {name: 0.7 if name == best else 0.3 for name in asked}
    found = SimpleNamespace(abstained=False, experts=tuple((one, one, weights[one]) for one in asked))
    engine._composer._routes = SimpleNamespace(resolve=lambda query: (found, asked))
    answer = engine.generate("x", "auto", max_new_tokens=4)
    assert answer.text == engine.generate("x", asked[best], max_new_tokens=4).text
    assert [(used.name, used.weight) for used in answer.experts] == [(str(asked[best]), 1.0)]
    assert "left out of the mix: an expert with an embedding or output head of its own" in answer.warnings[0]
    assert engine._source.resident.references == 0


def test_it_is_merged_neither_into_the_base_nor_into_a_new_adapter(engine, whole, tiny_record, tiny_folder, tmp_path):
    with pytest.raises(ExclusiveExpertError, match="cannot be merged"), engine.merged(whole):
        pass
    assert engine._source.resident.references == 0
    lora = write_adapter(tmp_path / "lora", tiny_folder)
    plan = MergePlan(((lora, 0.5), (whole, 0.5)), "svd", MergeOptions(), "ek/merged", "1.0.0", "MIT")
    with pytest.raises(ExclusiveExpertError, match="cannot be merged"):
        merge_experts(plan, tiny_record, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_its_layers_count_as_memory_and_come_back_from_where_it_was_parked(engine, whole, tiny_folder, tmp_path):
    expected = engine.generate("x", whole, max_new_tokens=8).text
    resident, own = engine._source.resident, 2 * 259 * 64 * 4
    factors = resident.nbytes - own
    assert 0 < factors < own
    resident.budget = resident.nbytes
    engine.generate("y", write_adapter(tmp_path / "lora", tiny_folder), max_new_tokens=1)
    assert (resident.stats.evictions, resident.nbytes < own, resident.parked_nbytes) == (1, True, own + factors)
    assert engine.generate("x", whole, max_new_tokens=8).text == expected
    assert (resident.stats.unparked, resident.stats.loads) == (1, 2)
    engine.close()
    assert (resident.nbytes, resident.parked_nbytes) == (0, 0)
    assert engine.generate("x", whole, max_new_tokens=8).text == expected
    resident.budget = own - 1
    engine.close()
    with pytest.raises(Exception, match="does not fit") as caught:
        engine.generate("x", whole, max_new_tokens=1)
    assert caught.value.code == "adapters_over_budget"


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_on_a_quantized_base_its_layers_are_not_quantized(tiny_folder, tmp_path, quantization):
    engine = loaded(tiny_folder, quantization=quantization)
    # On the last layer only, so that quantized layers before it are the base's.
    folder = write_whole(tmp_path / "a", tiny_folder, BOTH, target_modules=["down_proj"])
    slot = engine._source.acquire(folder).slot
    assert {type(layer) for layer in slot.layers.values()} == {torch.nn.Embedding, torch.nn.Linear}
    assert {layer.weight.dtype for layer in slot.layers.values()} == {torch.float32}
    similar = torch.nn.functional.cosine_similarity(
        our_logits(engine, [folder] * 3).flatten(), peft_logits(tiny_folder, folder).flatten(), dim=0
    )
    assert similar > (0.99 if quantization == "int8" else 0.9)
    bare = bare_logits(engine)
    assert torch.equal(our_logits(engine, [folder, None, None])[1:], bare[1:])


def test_in_bfloat16_its_layers_are_too(tiny_folder, whole):
    engine = loaded(tiny_folder, dtype="bfloat16")
    ours = our_logits(engine, [whole] * 3)
    assert ours.dtype is torch.bfloat16
    similar = torch.nn.functional.cosine_similarity(ours.float().flatten(), peft_logits(tiny_folder, whole).flatten(), dim=0)
    assert similar > 0.99


def test_factors_may_be_zero_where_a_layer_is_its_own(engine, whole, tmp_path):
    tensors = load_file(whole / "adapter_model.safetensors")
    folder = copied(whole, tmp_path / "zero", {name: torch.zeros_like(one) if "lora_B" in name else one for name, one in tensors.items()})
    assert not torch.equal(our_logits(engine, [folder] * 3), bare_logits(engine))


def test_one_that_was_never_trained_does_nothing_and_is_refused(engine, tiny, tiny_folder, tmp_path):
    tensors = load_file(write_whole(tmp_path / "made", tiny_folder, BOTH) / "adapter_model.safetensors")
    embeddings = tiny.model.get_input_embeddings().weight.detach().clone()
    for name, tensor in tensors.items():
        if "lora_A" not in name:
            tensor.zero_() if "lora_B" in name else tensor.copy_(embeddings)
    with pytest.raises(IncompatibleAdapterError) as caught:
        engine.attach_experts([copied(tmp_path / "made", tmp_path / "untrained", tensors)])
    assert (caught.value.code, caught.value.hint) == ("adapter_no_effect", "train it first")


def copied(adapter: Path, folder: Path, tensors) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    save_file(dict(sorted(tensors.items())), folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


HEAD = "base_model.model.lm_head.weight"


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda tensors: tensors.pop(HEAD), "tensor_set_mismatch", "1 tensors missing"),
        (lambda tensors: tensors.update({"base_model.model.model.norm.weight": torch.ones(64)}), "tensor_set_mismatch", "not expected"),
        (lambda tensors: tensors.update({"base_model.model.lm_head.bias": torch.ones(259)}), "tensor_set_mismatch", "not expected"),
        (lambda tensors: tensors.update({HEAD: torch.ones(260, 64)}), "tensor_shape", "another tokenizer; merge the adapter"),
        (lambda tensors: tensors.update({HEAD: torch.ones(259, 32)}), "tensor_shape", "expected"),
        (lambda tensors: tensors.update({HEAD: torch.full((259, 64), torch.inf)}), "tensor_not_finite", "infinite"),
        (lambda tensors: tensors.update({HEAD: torch.ones(259, 64).half()}), "tensor_dtype", "F16"),
    ],
    ids=["missing", "a norm more", "a bias more", "resized", "narrow", "not finite", "other type"],
)
def test_layers_that_do_not_fit_are_refused(engine, whole, tmp_path, change, code, message):
    tensors = load_file(whole / "adapter_model.safetensors")
    change(tensors)
    folder = copied(whole, tmp_path / "odd", tensors)
    with pytest.raises(IncompatibleAdapterError, match=message) as caught:
        engine.generate("x", folder, max_new_tokens=1)
    assert caught.value.code == code
    data, spec = (folder / "adapter_model.safetensors").read_bytes(), spec_of_config((whole / "adapter_config.json").read_bytes(), "F32")
    if code.startswith("tensor_s"):
        with pytest.raises(IncompatibleAdapterError) as caught:
            read_whole(data, spec, engine.base)
        assert caught.value.code == "tensor_set_mismatch"


def test_a_base_that_has_the_layer_elsewhere_is_refused(engine, whole, monkeypatch):
    data = (whole / "adapter_model.safetensors").read_bytes()
    spec = spec_of_config((whole / "adapter_config.json").read_bytes(), "F32")
    monkeypatch.setattr(engine.base.model, "get_output_embeddings", lambda: None)
    with pytest.raises(UnsupportedMemberError, match="lm_head") as caught:
        read_adapter(data, spec, engine.base)
    assert caught.value.code == "kind_unsupported"


def test_what_peft_saves_is_what_is_expected_and_peft_reads_ours(whole, tiny, tiny_folder, tmp_path):
    spec = spec_of_config((whole / "adapter_config.json").read_bytes(), "F32")
    assert spec == AdapterSpec(4, 8, ("down_proj", "q_proj"), modules_to_save=("embed_tokens", "lm_head"))
    assert check_adapter(spec, (whole / "adapter_model.safetensors").read_bytes(), tiny.record) == []
    ours = copied(whole, tmp_path / "ours", load_file(whole / "adapter_model.safetensors"))
    (ours / "adapter_config.json").write_bytes(config_of_spec(spec))
    assert torch.equal(peft_logits(tiny_folder, ours), peft_logits(tiny_folder, whole))


@pytest.mark.parametrize("how", ["tied", "saved beside"])
def test_what_peft_ties_or_saves_beside_an_adapter_is_its_own_once_converted(engine, tiny, tiny_folder, tmp_path, how):
    if how == "tied":
        folder = write_whole(tmp_path / "a", tiny_folder, ["embed_tokens"], ensure_weight_tying=True)
    else:
        folder, model = write_adapter(tmp_path / "lora", tiny_folder), AutoModelForCausalLM.from_pretrained(tiny_folder)
        with torch.no_grad():
            model.get_input_embeddings().weight.add_(0.2)
        peft_model = PeftModel.from_pretrained(model, folder)
        peft_model.save_pretrained(folder, save_embedding_layers=True)
    config, weights = ((folder / name).read_bytes() for name in ("adapter_config.json", "adapter_model.safetensors"))
    spec = derive_spec(config, weights, tiny.record.linears)
    assert spec.modules_to_save == ("embed_tokens", "lm_head")
    ours = copied(folder, tmp_path / "ours", load_file(folder / "adapter_model.safetensors"))
    (ours / "adapter_config.json").write_bytes(config_of_spec(spec))
    torch.testing.assert_close(our_logits(engine, [ours] * 3), peft_logits(tiny_folder, folder), atol=2e-4, rtol=1e-4)
