"""IA3 and soft prompts as packed files: configuration, manifest, weights and importing. No torch."""

import json
from typing import Any

import pytest
import rfc8785

from expert_kit.archive import (
    ArchiveReader,
    check_adapter,
    check_config,
    config_of_spec,
    expected_tensors,
    spec_of_config,
    validate,
    write_header,
)
from expert_kit.archive.importer.adapter import derive_spec
from expert_kit.bases import AdapterSpec, attention_of
from expert_kit.errors import ManifestError, UnsupportedMemberError
from expert_kit.manifest import Manifest
from tests.support.builders import build_expert, lora_weights, tiny_base, tiny_linears

IA3 = AdapterSpec.ia3(("down_proj", "k_proj", "v_proj"), ("down_proj",))
PROMPT = AdapterSpec.soft_prompt("PROMPT_TUNING", 5)
PREFIX = AdapterSpec.soft_prompt("PREFIX_TUNING", 3, "BF16")
KINDS = {"ia3": IA3, "prompt": PROMPT, "prefix": PREFIX}

# As PEFT 0.21 saves them.
PEFT_IA3: dict[str, Any] = {
    "auto_mapping": None, "base_model_name_or_path": "/home/x", "exclude_modules": None, "fan_in_fan_out": False,
    "feedforward_modules": ["down_proj"], "inference_mode": True, "init_ia3_weights": True, "modules_to_save": None, "peft_type": "IA3",
    "peft_version": "0.21.2", "revision": None, "target_modules": ["v_proj", "k_proj", "down_proj"], "task_type": "CAUSAL_LM",
}  # fmt: skip
PEFT_PROMPT: dict[str, Any] = {
    "auto_mapping": None, "base_model_name_or_path": "/home/x", "inference_mode": True, "modules_to_save": None,
    "num_attention_heads": 4, "num_layers": 2, "num_transformer_submodules": 1, "num_virtual_tokens": 5, "peft_type": "PROMPT_TUNING",
    "peft_version": "0.21.2", "prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": None, "revision": None,
    "task_type": "CAUSAL_LM", "token_dim": 64, "tokenizer_kwargs": None, "tokenizer_name_or_path": None,
}  # fmt: skip
PEFT_PREFIX = {
    **{name: value for name, value in PEFT_PROMPT.items() if "tuning_init" not in name and "tokenizer" not in name},
    "peft_type": "PREFIX_TUNING", "num_virtual_tokens": 3, "prefix_projection": True, "encoder_hidden_size": 8, "init_weights": None,
}  # fmt: skip
SAVED = {"ia3": PEFT_IA3, "prompt": PEFT_PROMPT, "prefix": PEFT_PREFIX}


def test_expected_tensors_are_those_of_peft():
    assert expected_tensors(IA3, tiny_base(linears=tiny_linears(layers=1))) == {
        "base_model.model.model.layers.0.mlp.down_proj.ia3_l": (1, 16),
        "base_model.model.model.layers.0.self_attn.k_proj.ia3_l": (4, 1),
        "base_model.model.model.layers.0.self_attn.v_proj.ia3_l": (4, 1),
    }
    assert expected_tensors(PROMPT, tiny_base()) == {"prompt_embeddings": (5, 8)}
    assert expected_tensors(PREFIX, tiny_base()) == {"prompt_embeddings": (3, 2 * 2 * 4)}


def test_the_sizes_of_attention_are_read_off_the_layers_that_make_keys():
    assert attention_of(tiny_linears()) == (2, 8, 4)
    assert attention_of((("h.0.attn.c_attn", 24, 8), ("h.0.attn.c_proj", 8, 8))) == (1, 8, 8)
    assert attention_of((("h.0.k_proj", 4, 8), ("h.1.k_proj", 8, 8))) is None
    assert attention_of((("h.0.attn.Wqkv", 24, 8),)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_packed_validates_and_says_its_kind(tmp_path, kind):
    spec = KINDS[kind]
    archive = build_expert(tmp_path, spec=spec)
    assert validate(archive, [tiny_base()]) == []
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
        assert manifest.adapter_spec(manifest.bases[0]) == spec
        assert manifest.adapter.peft_type == spec.peft_type
        assert Manifest.parse(manifest.to_bytes()) == manifest
        assert spec_of_config(reader.read("adapter_config.json"), spec.dtype) == spec


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_of_peft_is_read_and_ours_reads_back(kind):
    spec = KINDS[kind]
    assert spec_of_config(json.dumps(SAVED[kind]).encode(), spec.dtype) == spec
    assert check_config(config_of_spec(spec), spec) == []
    others = [other for other in KINDS.values() if other is not spec]
    assert all(check_config(config_of_spec(spec), other)[0].code == "adapter_config_disagrees" for other in others)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("ia3", {"target_modules": "all-linear"}),
        ("ia3", {"target_modules": []}),
        ("ia3", {"feedforward_modules": ["up_proj"]}),
        ("ia3", {"feedforward_modules": ".*down_proj"}),
        ("ia3", {"fan_in_fan_out": True}),
        ("ia3", {"modules_to_save": ["lm_head"]}),
        ("ia3", {"exclude_modules": ["x"]}),
        ("ia3", {"r": 4}),
        ("prompt", {"num_virtual_tokens": 0}),
        ("prompt", {"num_virtual_tokens": 1025}),
        ("prompt", {"num_virtual_tokens": "5"}),
        ("prompt", {"num_transformer_submodules": 2}),
        ("prompt", {"task_type": "SEQ_CLS"}),
        ("prompt", {"modules_to_save": ["embed_tokens"]}),
        ("prompt", {"target_modules": ["q_proj"]}),
        ("prefix", {"use_dora": True}),
        ("prefix", {"a_field_of_next_year": 1}),
    ],
)
def test_every_other_field_and_value_is_refused(kind, changes):
    with pytest.raises(UnsupportedMemberError) as caught:
        spec_of_config(json.dumps(SAVED[kind] | changes).encode(), "F32")
    assert caught.value.code == "adapter_config_refused"
    assert next(iter(changes)) in caught.value.message


@pytest.mark.parametrize("field", ["tokenizer_name_or_path", "prompt_tuning_init_text", "tokenizer_kwargs"])
def test_an_archive_names_no_file_for_a_trainer_to_open(field):
    config = json.dumps(PEFT_PROMPT | {field: {"x": 1} if field.endswith("kwargs") else "somewhere"}).encode()
    assert spec_of_config(config, "F32") == PROMPT
    assert [(problem.code, field in problem.message) for problem in check_config(config, PROMPT)] == [("adapter_config_refused", True)]


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_scales_that_are_all_one_do_nothing(dtype):
    spec = AdapterSpec.ia3(("down_proj", "k_proj"), ("down_proj",), dtype)
    one = {"F32": b"\x00\x00\x80\x3f", "F16": b"\x00\x3c", "BF16": b"\x80\x3f"}[dtype]
    shapes = expected_tensors(spec, tiny_base())
    count = sum(rows * columns for rows, columns in shapes.values())
    ones = write_header({name: (dtype, shape) for name, shape in shapes.items()}) + one * count
    assert [problem.code for problem in check_adapter(spec, ones, tiny_base())] == ["adapter_no_effect"]
    assert check_adapter(spec, ones[: -len(one)] + bytes(len(one)), tiny_base()) == []


def test_a_soft_prompt_may_be_zero_and_still_counts():
    weights = lora_weights(PROMPT)
    zeros = weights[: len(weights) - 5 * 8 * 4] + bytes(5 * 8 * 4)
    assert check_adapter(PROMPT, zeros, tiny_base()) == []


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("ia3", AdapterSpec.ia3(("down_proj", "k_proj", "v_proj"), ())),
        ("ia3", AdapterSpec.ia3(("down_proj", "k_proj"), ("down_proj",))),
        ("ia3", AdapterSpec.ia3(("down_proj", "k_proj", "proj", "v_proj"), ("down_proj",))),
        ("prompt", AdapterSpec.soft_prompt("PROMPT_TUNING", 6)),
        ("prompt", AdapterSpec.soft_prompt("PREFIX_TUNING", 5)),
        ("prompt", IA3),
    ],
)
def test_tensors_of_another_configuration_are_refused(kind, wrong):
    codes = {problem.code for problem in check_adapter(wrong, lora_weights(KINDS[kind]), tiny_base())}
    assert codes & {"tensor_shape", "tensor_set_mismatch", "adapter_target_unknown"}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ia3", {"feedforward_modules": ["up_proj"]}),
        ("ia3", {"target_modules": ["v_proj", "k_proj"]}),
        ("ia3", {"r": 2}),
        ("ia3", {"peft_type": "PROMPT_TUNING"}),
        ("prompt", {"num_virtual_tokens": 0}),
        ("prompt", {"num_virtual_tokens": 1025}),
        ("prompt", {"peft_type": "P_TUNING"}),
        ("prefix", {"token_dim": 8}),
    ],
)
def test_the_block_of_each_kind_is_closed(tmp_path, kind, change):
    with ArchiveReader.open(build_expert(tmp_path, spec=KINDS[kind])) as reader:
        value = json.loads(reader.manifest_bytes)
    value["adapter"] |= change
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(rfc8785.dumps(value))
    assert caught.value.code == "manifest_invalid"


def test_a_variant_has_rank_and_alpha_with_lora_only(tmp_path):
    with ArchiveReader.open(build_expert(tmp_path, spec=PROMPT)) as reader:
        value = json.loads(reader.manifest_bytes)
    digest = value["bases"][0]["config_sha256"]
    entry = {"path": "v/w.safetensors", "size": 1, "sha256": digest, "role": "weights", "media_type": "application/vnd.safetensors"}
    value["files"] = sorted([*value["files"], entry], key=lambda one: one["path"])
    variant = {"weights": "v/w.safetensors", "targets_sha256": digest}
    value["bases"].append({**value["bases"][0], "id": "other", "variant": variant})
    manifest = Manifest.parse(rfc8785.dumps(value))
    assert manifest.adapter_spec(manifest.bases[1]) == PROMPT
    variant |= {"rank": 2, "alpha": 2}
    with pytest.raises(ManifestError, match="rank and alpha"):
        Manifest.parse(rfc8785.dumps(value))


def test_a_foreign_adapter_is_what_its_tensors_are():
    linears = tiny_linears()
    selected = PEFT_IA3 | {"target_modules": ".*", "feedforward_modules": "down.*"}
    assert derive_spec(json.dumps(selected).encode(), lora_weights(IA3), linears) == IA3
    # Both sides of one kind of module: whole paths tell them apart.
    names = ("model.layers.0.self_attn.o_proj", "model.layers.1.self_attn.o_proj")
    odd = AdapterSpec.ia3(names, names[:1])
    assert derive_spec(json.dumps(PEFT_IA3).encode(), lora_weights(odd), linears) == odd
    assert derive_spec(json.dumps(PEFT_PROMPT | {"tokenizer_name_or_path": "x"}).encode(), lora_weights(PROMPT), linears) == PROMPT


def test_a_configuration_in_words():
    assert IA3.describe() == "IA3, F32, on down_proj, k_proj, v_proj"
    assert PREFIX.describe() == "prefix tuning, 3 virtual tokens, BF16"
    assert AdapterSpec(2, 4, ("q_proj",)).describe() == "LoRA, rank 2, alpha 4, F32, on q_proj"
