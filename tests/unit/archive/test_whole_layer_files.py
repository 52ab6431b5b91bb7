"""Whole layers of an expert's own as packed files: configuration, manifest, weights and importing. No torch."""

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
    targets_digest,
    validate,
)
from expert_kit.archive.importer.adapter import derive_spec
from expert_kit.archive.weight_norms import check_norms
from expert_kit.bases import WHOLE_LAYERS, AdapterSpec
from expert_kit.errors import IncompatibleAdapterError, ManifestError, UnsupportedMemberError
from expert_kit.manifest import AdapterBlock, Manifest
from expert_kit.names import sha256_digest
from tests.support.builders import build_expert, lora_weights, tensor_file, tiny_base, tiny_linears, tiny_spec

BOTH = ("embed_tokens", "lm_head")
WHOLE = tiny_spec(modules_to_save=BOTH)
EMBEDDING, HEAD = "base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight"


def config(**changes: Any) -> bytes:
    """As PEFT writes it."""
    return json.dumps(json.loads(config_of_spec(tiny_spec())) | {"ensure_weight_tying": False} | changes).encode()


def test_the_manifest_knows_the_same_layers_as_the_table():
    field = AdapterBlock.model_json_schema()["properties"]["modules_to_save"]
    assert field["anyOf"][0]["items"]["enum"] == list(WHOLE_LAYERS)


def test_its_tensors_have_the_size_of_the_vocabulary():
    expected = expected_tensors(WHOLE, tiny_base())
    assert {name: expected[name] for name in (EMBEDDING, HEAD)} == {EMBEDDING: (64, 8), HEAD: (64, 8)}
    assert expected.keys() - {EMBEDDING, HEAD} == expected_tensors(tiny_spec(), tiny_base()).keys()


def test_its_layers_count_among_the_modules_that_it_changes():
    wanted = b'["lm_head","model.layers.0.self_attn.q_proj","model.layers.0.self_attn.v_proj"]'
    assert targets_digest(tiny_spec(modules_to_save=("lm_head",)), tiny_linears(layers=1)) == sha256_digest(wanted)


@pytest.mark.parametrize("layers", [("embed_tokens",), ("lm_head",), BOTH], ids=str)
def test_what_is_packed_validates_and_says_its_layers(tmp_path, layers):
    spec = tiny_spec(modules_to_save=layers, use_dora=layers == BOTH)
    archive = build_expert(tmp_path, spec=spec)
    assert validate(archive, [tiny_base()]) == []
    with ArchiveReader.open(archive) as reader:
        manifest = reader.manifest
        assert manifest.adapter_spec(manifest.bases[0]) == spec
        assert Manifest.parse(manifest.to_bytes()) == manifest
        assert spec_of_config(reader.read("adapter_config.json"), spec.dtype) == spec
    assert " and ".join(layers) + " of its own" in spec.describe()


def test_where_there_are_none_nothing_is_written_about_them(tmp_path):
    with ArchiveReader.open(build_expert(tmp_path)) as reader:
        assert b"modules_to_save" not in reader.manifest_bytes
    assert b"modules_to_save" not in config_of_spec(tiny_spec())


@pytest.mark.parametrize(
    "written",
    [["lm_head", "embed_tokens"], ["model.embed_tokens", "lm_head"], ["embed_tokens", "lm_head", "model.embed_tokens", "lm_head"]],
    ids=str,
)
def test_a_configuration_of_peft_is_read_and_ours_reads_back(written):
    assert spec_of_config(config(modules_to_save=written), "F32") == WHOLE
    assert check_config(config_of_spec(WHOLE), WHOLE) == []
    assert [problem.code for problem in check_config(config_of_spec(WHOLE), tiny_spec())] == ["adapter_config_disagrees"]


@pytest.mark.parametrize("empty", [None, []])
def test_an_empty_list_is_none(empty):
    assert spec_of_config(config(modules_to_save=empty), "F32") == tiny_spec()


def test_what_is_refused_is_said_with_what_is_allowed():
    with pytest.raises(UnsupportedMemberError, match=r"model\.norm.*embed_tokens, lm_head, wte") as caught:
        spec_of_config(config(modules_to_save=["model.norm"]), "F32")
    assert caught.value.code == "adapter_config_refused"
    with pytest.raises(UnsupportedMemberError) as caught:
        spec_of_config(config(modules_to_save=[f"m{at}" for at in range(10_000)]), "F32")
    assert len(caught.value.message) < 400
    with pytest.raises(UnsupportedMemberError, match="only a LoRA adapter"):
        spec_of_config(b'{"peft_type":"PROMPT_TUNING","num_virtual_tokens":3,"modules_to_save":["lm_head"]}', "F32")


@pytest.mark.parametrize(
    "layers",
    [["norm"], ["lm_head", "embed_tokens"], ["lm_head", "lm_head"], [], "lm_head", ["model.embed_tokens"], ["x"] * 10_000],
    ids=lambda layers: str(layers)[:20],
)
def test_a_manifest_with_anything_else_is_refused(tmp_path, layers):
    with ArchiveReader.open(build_expert(tmp_path, spec=WHOLE)) as reader:
        value = json.loads(reader.manifest_bytes)
    value["adapter"]["modules_to_save"] = layers
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(rfc8785.dumps(value))
    assert caught.value.code == "manifest_invalid"


def test_a_whole_layer_is_effect_enough_and_no_outlier():
    weights = lora_weights(WHOLE)
    shapes = expected_tensors(WHOLE, tiny_base())
    fresh = weights[: 8 + int.from_bytes(weights[:8], "little")] + bytes(4 * sum(rows * columns for rows, columns in shapes.values()))
    assert check_adapter(WHOLE, fresh, tiny_base()) == []
    assert [problem.code for problem in check_adapter(WHOLE, fresh[:-4] + b"\0\0\xc0\x7f", tiny_base())] == ["tensor_not_finite"]
    assert check_norms(WHOLE, weights) == []


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        (tiny_spec(), "tensor_set_mismatch", "2 tensors not expected"),
        (tiny_spec(modules_to_save=("lm_head",)), "tensor_set_mismatch", "not expected: base_model.model.model.embed_tokens.weight"),
        (tiny_spec(modules_to_save=("embed_tokens", "lm_head", "wte")), "adapter_target_unknown", "wte is no layer of the base model"),
        (tiny_spec(modules_to_save=BOTH, dtype="BF16"), "tensor_dtype", "BF16"),
    ],
)
def test_tensors_of_another_configuration_are_refused(spec, code, message):
    problems = {problem.code: problem.message for problem in check_adapter(spec, lora_weights(WHOLE), tiny_base())}
    assert message in problems[code]


@pytest.mark.parametrize("rows", [63, 65])
def test_a_resized_vocabulary_is_another_base(rows):
    (problem,) = check_adapter(tiny_spec(modules_to_save=("lm_head",)), tensor_file(resized("lm_head", rows=rows)), tiny_base())
    assert (problem.code, problem.where) == ("tensor_shape", HEAD)
    assert "another base model with another tokenizer; merge the adapter" in problem.message
    assert "expert-kit base pull" in problem.message


def resized(*layers: str, rows: int) -> dict[str, tuple[int, ...]]:
    return expected_tensors(tiny_spec(modules_to_save=layers), tiny_base(vocab_size=rows))


def test_an_adapter_for_another_vocabulary_is_not_packed(tmp_path):
    with pytest.raises(IncompatibleAdapterError, match="another tokenizer") as caught:
        build_expert(tmp_path, spec=WHOLE, weights=tensor_file(resized(*BOTH, rows=70)))
    assert caught.value.code == "tensor_shape"


@pytest.mark.parametrize(
    ("changes", "layers"),
    [
        ({"modules_to_save": ["lm_head"]}, ("lm_head",)),
        ({"modules_to_save": ["model.embed_tokens"], "ensure_weight_tying": True}, BOTH),
        ({"modules_to_save": ["embed_tokens", "model.embed_tokens"], "ensure_weight_tying": True}, BOTH),
        ({"modules_to_save": None}, BOTH),
    ],
    ids=["one", "tied", "tied twice", "saved as embeddings"],
)
def test_a_foreign_adapter_has_the_layers_of_its_tensors(changes, layers):
    weights = lora_weights(tiny_spec(modules_to_save=layers))
    assert derive_spec(config(target_modules=".*", **changes), weights, tiny_linears()) == tiny_spec(modules_to_save=layers)


@pytest.mark.parametrize("listed", [["lm_head", "score"], "lm_head", [["lm_head"]], {"lm_head": 1}], ids=str)
def test_a_foreign_adapter_with_more_of_its_own_is_refused(listed):
    with pytest.raises(UnsupportedMemberError, match="modules_to_save"):
        derive_spec(config(modules_to_save=listed), lora_weights(WHOLE), tiny_linears())


def test_a_layer_that_is_listed_and_not_there_is_missed():
    spec = derive_spec(config(modules_to_save=list(BOTH)), lora_weights(tiny_spec()), tiny_linears())
    assert spec == AdapterSpec(2, 4, ("q_proj", "v_proj"), modules_to_save=BOTH)
    assert [problem.code for problem in check_adapter(spec, lora_weights(tiny_spec()), tiny_base())] == ["tensor_set_mismatch"]
