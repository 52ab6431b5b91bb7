import json

import pytest

from expert_kit.bases import AdapterSpec, BaseMatch, BaseRecord, compare, name_matches, structure_digest
from expert_kit.errors import BaseModelError
from expert_kit.names import sha256_digest
from tests.support.builders import tiny_base, tiny_linears

OTHER = sha256_digest(b"another")


def test_record_reads_back_what_it_writes():
    record = tiny_base()
    assert BaseRecord.from_json(record.to_json()) == record


def test_structure_digest_is_of_the_sorted_canonical_list():
    linears = (("b", 2, 3), ("a", 4, 5))
    assert structure_digest(linears) == sha256_digest(b'[["a",4,5],["b",2,3]]')


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(schema="base-record/2"),
        lambda record: record["linears"].pop(),
        lambda record: record["fingerprint"].pop("arch"),
        lambda record: record["fingerprint"].update(extra=1),
        lambda record: record["fingerprint"].update(layers="2"),
        lambda record: record["fingerprint"].update(config_sha256="sha256:0"),
        lambda record: record.update(linears=[["a", 1]]),
    ],
)
def test_damaged_records_are_refused(change):
    record = json.loads(tiny_base().to_json())
    change(record)
    with pytest.raises(BaseModelError) as caught:
        BaseRecord.from_json(json.dumps(record))
    assert caught.value.code == "base_record_invalid"


def test_text_that_is_not_json_is_refused():
    with pytest.raises(BaseModelError):
        BaseRecord.from_json("[")


def test_labels_do_not_decide_a_match():
    assert compare(tiny_base().fingerprint, tiny_base("copy", hf_repo="", hf_revision="").fingerprint) == (BaseMatch.EXACT, ())


@pytest.mark.parametrize("field", ["weights_root_sha256", "config_sha256", "chat_template_sha256"])
def test_another_copy_of_the_model_is_family(field):
    assert compare(tiny_base().fingerprint, tiny_base(**{field: OTHER}).fingerprint) == (BaseMatch.FAMILY, (field,))


@pytest.mark.parametrize("field", ["structure_sha256", "tokenizer_sha256", "arch", "vocab_size", "hidden_size", "layers"])
def test_another_model_is_incompatible(field):
    value = OTHER if field.endswith("256") else "Other" if field == "arch" else 7
    assert compare(tiny_base().fingerprint, tiny_base(**{field: value}).fingerprint) == (BaseMatch.INCOMPATIBLE, (field,))


def test_names_match_whole_components_only():
    assert name_matches("q_proj", "model.layers.0.self_attn.q_proj")
    assert name_matches("self_attn.q_proj", "model.layers.0.self_attn.q_proj")
    assert name_matches("q_proj", "q_proj")
    assert not name_matches("proj", "model.layers.0.self_attn.q_proj")
    assert not name_matches("layers.0", "model.layers.0.self_attn.q_proj")
    assert not name_matches("0.self_attn.q_proj", "model.layers.10.self_attn.q_proj")
    assert not name_matches(".*", "model.layers.0.self_attn.q_proj")


def test_spec_knows_rank_alpha_and_scaling_per_module():
    spec = AdapterSpec(4, 8, ("q_proj", "v_proj"), {"0.self_attn.q_proj": 2}, {"v_proj": 16})
    assert spec.rank_of("model.layers.0.self_attn.q_proj") == 2
    assert spec.rank_of("model.layers.1.self_attn.q_proj") == 4
    assert spec.scaling_of("model.layers.0.self_attn.q_proj") == 4.0
    assert spec.scaling_of("model.layers.0.self_attn.v_proj") == 4.0
    assert AdapterSpec(4, 8, ("q_proj",), use_rslora=True).scaling_of("q_proj") == 4.0
    assert [module for module, _, _ in spec.targets(tiny_linears(layers=1))] == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.0.self_attn.v_proj",
    ]
    assert hash(spec)
