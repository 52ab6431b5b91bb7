import json
from typing import Any

import pytest

from expert_kit.archive import Severity, check_adapter, check_config, config_of_spec, expected_tensors, spec_of_config, targets_digest
from expert_kit.errors import UnsupportedMemberError
from expert_kit.names import sha256_digest
from tests.support.builders import lora_weights, tensor_file, tiny_base, tiny_linears, tiny_spec

# As PEFT 0.21 saves a LoRA on q_proj and v_proj.
PEFT_CONFIG: dict[str, Any] = {
    "alora_invocation_tokens": None, "alpha_pattern": {}, "arrow_config": None, "auto_mapping": None,
    "base_model_name_or_path": "/home/somebody/models/base", "bias": "none", "corda_config": None, "ensure_weight_tying": False,
    "eva_config": None, "exclude_modules": None, "fan_in_fan_out": False, "inference_mode": True, "init_lora_weights": True,
    "layer_replication": None, "layers_pattern": None, "layers_to_transform": None, "loftq_config": {}, "lora_alpha": 4,
    "lora_bias": False, "lora_dropout": 0.05, "megatron_config": None, "megatron_core": "megatron.core", "modules_to_save": None,
    "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16, "r": 2, "rank_pattern": {}, "revision": None,
    "target_modules": ["v_proj", "q_proj"], "target_parameters": None, "task_type": "CAUSAL_LM", "trainable_token_indices": None,
    "use_dora": False, "use_qalora": False, "use_rslora": False, "velora_config": None,
}  # fmt: skip


def codes(*args: Any) -> list[str]:
    return [problem.code for problem in check_adapter(*args)]


def test_expected_tensors_are_those_of_peft():
    assert expected_tensors(tiny_spec(target_modules=("v_proj",), use_dora=True), tiny_base(linears=tiny_linears(layers=1))) == {
        "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight": (2, 8),
        "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight": (4, 2),
        "base_model.model.model.layers.0.self_attn.v_proj.lora_magnitude_vector": (4,),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dtype": "F16"},
        {"dtype": "BF16"},
        {"use_dora": True},
        {"rank_pattern": {"0.self_attn.q_proj": 4}, "alpha_pattern": {"v_proj": 3}},
        {"target_modules": ("down_proj", "layers.1.mlp.up_proj")},
    ],
)
def test_adapters_that_fit_have_no_problems(changes):
    spec = tiny_spec(**changes)
    assert check_adapter(spec, lora_weights(spec), tiny_base()) == []


def test_an_unknown_base_is_not_a_refusal():
    problems = check_adapter(tiny_spec(), lora_weights(tiny_spec()))
    assert [(problem.code, problem.severity) for problem in problems] == [("check_unavailable", Severity.UNCHECKED)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"r": 4}, "tensor_shape"),
        ({"target_modules": ("q_proj",)}, "tensor_set_mismatch"),
        ({"target_modules": ("k_proj", "q_proj", "v_proj")}, "tensor_set_mismatch"),
        ({"use_dora": True}, "tensor_set_mismatch"),
        ({"rank_pattern": {"q_proj": 3}}, "tensor_shape"),
        ({"dtype": "F16"}, "tensor_dtype"),
        ({"target_modules": ("proj", "q_proj", "v_proj")}, "adapter_target_unknown"),
        ({"target_modules": ("lm_head", "q_proj", "v_proj")}, "adapter_target_unknown"),
        ({"rank_pattern": {"k_proj": 2}}, "adapter_pattern_unused"),
        ({"alpha_pattern": {"q_proj": 2, "0.self_attn.q_proj": 3}}, "adapter_pattern_ambiguous"),
    ],
)
def test_each_disagreement_has_its_code(changes, code):
    assert code in codes(tiny_spec(**changes), lora_weights(tiny_spec()), tiny_base())


def test_missing_and_extra_tensors_are_both_named():
    shapes = expected_tensors(tiny_spec(), tiny_base())
    first = next(iter(shapes))
    shapes["base_model.model.lm_head.lora_A.weight"] = shapes.pop(first)
    problems = check_adapter(tiny_spec(), tensor_file(shapes), tiny_base())
    assert [problem.code for problem in problems] == ["tensor_set_mismatch"] * 2
    assert first in problems[0].message
    assert "lm_head" in problems[1].message


def test_infinite_values_and_damaged_headers_are_refused():
    weights = bytearray(lora_weights(tiny_spec()))
    weights[-4:] = b"\x00\x00\x80\x7f"
    assert codes(tiny_spec(), weights, tiny_base()) == ["tensor_not_finite"]
    assert codes(tiny_spec(), b"\x80\x04pickle", tiny_base()) == ["tensor_header"]


def test_an_adapter_that_does_nothing_is_refused():
    fresh = lora_weights(tiny_spec())
    header = 8 + int.from_bytes(fresh[:8], "little")
    assert codes(tiny_spec(), fresh[:header] + bytes(len(fresh) - header), tiny_base()) == ["adapter_no_effect"]


def test_targets_digest_is_of_the_sorted_module_paths():
    wanted = b'["model.layers.0.self_attn.q_proj","model.layers.0.self_attn.v_proj"]'
    assert targets_digest(tiny_spec(), tuple(reversed(tiny_linears(layers=1)))) == sha256_digest(wanted)


def test_a_configuration_of_peft_is_read():
    assert spec_of_config(json.dumps(PEFT_CONFIG).encode(), "F32") == tiny_spec()
    floats = PEFT_CONFIG | {"lora_alpha": 4.0, "alpha_pattern": {"q_proj": 8.0}}
    assert spec_of_config(json.dumps(floats).encode(), "F32") == tiny_spec(alpha_pattern={"q_proj": 8})


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "LOHA"},
        {"peft_type": ["LORA"]},
        {"r": 0},
        {"r": 513},
        {"r": 2.0},
        {"r": True},
        {"lora_alpha": 0.5},
        {"lora_alpha": "4"},
        {"target_modules": "all-linear"},
        {"target_modules": ".*_proj"},
        {"target_modules": []},
        {"target_modules": ["q_proj", "(a+)+$"]},
        {"target_modules": ["q_proj\n"]},
        {"rank_pattern": {"^q_proj": 2}},
        {"rank_pattern": {"q_proj": "2"}},
        {"rank_pattern": [["q_proj", 2]]},
        {"alpha_pattern": {"q_proj": 1.5}},
        {"use_dora": "yes"},
        {"bias": "all"},
        {"fan_in_fan_out": "true"},
        {"task_type": "SEQ_CLS"},
        {"modules_to_save": ["lm_head", "model.norm"]},
        {"modules_to_save": ["score"]},
        {"modules_to_save": ["../lm_head"]},
        {"modules_to_save": [".*lm_head"]},
        {"modules_to_save": ["lm_head\n"]},
        {"modules_to_save": [["lm_head"]]},
        {"modules_to_save": "lm_head"},
        {"modules_to_save": {"lm_head": 1}},
        {"modules_to_save": [f"m{at}" for at in range(10_000)]},
        {"auto_mapping": {"base_model_class": "X", "parent_library": "os"}},
        {"megatron_config": {"x": 1}},
        {"megatron_core": "os"},
        {"layers_to_transform": [0]},
        {"layer_replication": [[0, 1]]},
        {"loftq_config": {"bits": 4}},
        {"init_lora_weights": "pissa"},
        {"lora_bias": True},
        {"use_qalora": True},
        {"target_parameters": ["x"]},
        {"trainable_token_indices": [1]},
        {"a_field_of_next_year": 0},
        {"exclude_modules": "x"},
    ],
)
def test_every_other_field_and_value_is_refused(changes):
    with pytest.raises(UnsupportedMemberError) as caught:
        spec_of_config(json.dumps(PEFT_CONFIG | changes).encode(), "F32")
    assert caught.value.code == "adapter_config_refused"
    assert next(iter(changes)) in caught.value.message


def test_all_problems_of_a_configuration_are_listed():
    with pytest.raises(UnsupportedMemberError, match=r"r is 0.*bias.*megatron_core"):
        spec_of_config(json.dumps(PEFT_CONFIG | {"r": 0, "bias": "all", "megatron_core": "os"}).encode(), "F32")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"r": NaN}', b'{"r":1,"r":2}', b"\xff"])
def test_configurations_that_are_not_json_are_refused(data):
    with pytest.raises(UnsupportedMemberError):
        spec_of_config(data, "F32")


def test_the_generated_configuration_reads_back():
    spec = tiny_spec(use_dora=True, use_rslora=True, rank_pattern={"q_proj": 4}, alpha_pattern={"v_proj": 7})
    assert spec_of_config(config_of_spec(spec), "F32") == spec
    assert check_config(config_of_spec(spec), spec) == []
    assert [problem.code for problem in check_config(config_of_spec(spec), tiny_spec())] == ["adapter_config_disagrees"]
    assert [problem.code for problem in check_config(b"{}", spec)] == ["adapter_config_refused"]
