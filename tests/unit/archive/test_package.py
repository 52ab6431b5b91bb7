import json
from pathlib import Path

import pytest

from expert_kit.archive import (
    ArchiveReader,
    Severity,
    build_manifest,
    config_of_spec,
    load_source,
    package,
    replace_meta,
    validate,
    write_archive,
    write_header,
)
from expert_kit.bases import BaseRecord
from expert_kit.errors import ArchiveError, BaseModelError, ExpertKitError, IncompatibleAdapterError, ManifestError, UnsupportedMemberError
from expert_kit.manifest import Manifest
from expert_kit.names import sha256_digest
from tests.support.builders import build_expert, lora_weights, tamper, tiny_base, tiny_linears, tiny_spec, write_source


def findings(path: Path, *bases: BaseRecord) -> list[tuple[str, str]]:
    return [(problem.code, problem.severity.value) for problem in validate(path, bases)]


def repack(archive: Path, changes: dict[str, bytes]) -> Path:
    """A sound archive whose manifest lists the changed members: only their content is wrong."""
    with ArchiveReader.open(archive) as reader:
        members = {entry.path: reader.read(entry.path) for entry in reader.files} | changes
        value = json.loads(reader.manifest_bytes)
    for entry in value["files"]:
        entry["size"], entry["sha256"] = len(members[entry["path"]]), sha256_digest(members[entry["path"]])
    return write_archive(archive, Manifest.model_validate_json(json.dumps(value)), members)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dtype": "BF16"},
        {"dtype": "F16", "use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"v_proj": 3}, "alpha_pattern": {"q_proj": 1}},
    ],
)
def test_what_is_packed_validates(tmp_path, changes):
    spec = tiny_spec(**changes)
    archive = build_expert(tmp_path, spec=spec)
    assert archive.name == "expert-kit.tiny-1.0.0.expert"
    assert validate(archive, [tiny_base()]) == []
    with ArchiveReader.open(archive) as reader:
        assert reader.manifest.adapter_spec(reader.manifest.bases[0]) == spec
        assert reader.read("adapter_model.safetensors") == lora_weights(spec)
        assert reader.read("adapter_config.json") == config_of_spec(spec)


def test_paths_of_the_trainer_do_not_get_in(tmp_path):
    source = write_source(tmp_path)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_bytes())
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/home/somebody/base"}))
    assert b"somebody" not in package(source, tmp_path / "out.expert", [tiny_base()]).read_bytes()


def test_one_adapter_for_two_bases(tmp_path):
    other = tiny_base("other", weights_root_sha256=sha256_digest(b"other"))
    source = write_source(tmp_path, base="[tiny, other]")
    archive = package(source, tmp_path / "out.expert", [other, tiny_base()])
    assert validate(archive, [other, tiny_base()]) == []
    with ArchiveReader.open(archive) as reader:
        assert [base.id for base in reader.manifest.bases] == ["tiny", "other"]


def test_an_unknown_base_is_refused(tmp_path):
    with pytest.raises(BaseModelError, match="other") as caught:
        package(write_source(tmp_path, base="[tiny, other]"), tmp_path / "out.expert", [tiny_base()])
    assert "other" in caught.value.hint


def refusal(source: Path, out: Path) -> ExpertKitError:
    with pytest.raises(ExpertKitError) as caught:
        package(source, out, [tiny_base()])
    assert not list(out.parent.glob("*.expert*"))
    return caught.value


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"weights": lora_weights(tiny_spec(r=3))}, "tensor_shape"),
        ({"weights": lora_weights(tiny_spec(), tiny_linears(layers=1))}, "tensor_set_mismatch"),
        ({"spec": tiny_spec(target_modules=("lm_head",)), "weights": lora_weights(tiny_spec())}, "adapter_target_unknown"),
    ],
)
def test_adapters_that_do_not_fit_are_not_packed(tmp_path, changes, code):
    error = refusal(write_source(tmp_path / "source", **changes), tmp_path / "out.expert")
    assert isinstance(error, IncompatibleAdapterError)
    assert error.code == code
    assert error.hint


def test_damaged_weights_and_examples_are_not_packed(tmp_path):
    out = tmp_path / "out.expert"
    assert refusal(write_source(tmp_path / "a", weights=b"\x80\x04pickle"), out).code == "tensor_header"
    assert refusal(write_source(tmp_path / "b", examples=b"{}\n"), out).code == "routing_examples_invalid"


def test_a_pickle_beside_no_safetensors_gets_a_hint(tmp_path):
    source = write_source(tmp_path / "source")
    weights = tmp_path / "source/adapter/adapter_model.safetensors"
    weights.rename(weights.with_name("adapter_model.bin"))
    error = refusal(source, tmp_path / "out.expert")
    assert isinstance(error, UnsupportedMemberError)
    assert "safetensors" in error.hint


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_missing_files_and_links_are_typed_errors(tmp_path, name):
    source = write_source(tmp_path / "source")
    file = tmp_path / "source/adapter" / name
    file.rename(tmp_path / "elsewhere")
    error = refusal(source, tmp_path / "out.expert")
    assert isinstance(error, ManifestError)
    assert name in error.message
    file.symlink_to(tmp_path / "elsewhere")
    assert "link" in refusal(source, tmp_path / "out.expert").message


def test_an_unknown_base_leaves_the_tensor_set_unchecked(tmp_path):
    archive = build_expert(tmp_path)
    assert findings(archive) == [("check_unavailable", "unchecked")]
    assert findings(archive, tiny_base("other", linears=tiny_linears(layers=1))) == [("check_unavailable", "unchecked")]
    wrong = tiny_base(linears=tiny_linears(layers=1))
    assert findings(archive, wrong) == [("base_mismatch", "warning"), ("check_unavailable", "unchecked")]


def test_a_base_of_the_same_family_is_a_warning(tmp_path):
    archive = build_expert(tmp_path)
    family = tiny_base("copy", weights_root_sha256=sha256_digest(b"dequantised"))
    assert findings(archive, family) == [("base_family", "warning")]
    assert findings(archive, family, tiny_base()) == []


def test_a_damaged_body_is_one_problem_among_others(tmp_path):
    archive = build_expert(tmp_path)
    tamper(archive, "README.md")
    tamper(archive, "routing/examples.jsonl")
    problems = validate(archive, [tiny_base()])
    assert [(problem.code, problem.where) for problem in problems] == [
        ("archive_digest_mismatch", "README.md"),
        ("archive_digest_mismatch", "routing/examples.jsonl"),
    ]


def test_a_file_that_is_no_archive_is_one_problem(tmp_path):
    path = tmp_path / "x\x1b.expert"
    path.write_bytes(b"x" * 100)
    (problem,) = validate(path)
    assert (problem.code, problem.severity, problem.where) == ("archive_no_end_record", Severity.REFUSED, "x\\u{1b}.expert")


@pytest.mark.parametrize(
    ("member", "content", "code"),
    [
        ("README.md", b"PK\x03\x04zip", "member_content_refused"),
        ("README.md", b"\x7fELF", "member_content_refused"),
        ("README.md", b"MZ program", "member_content_refused"),
        ("README.md", b"#!/bin/sh\n", "member_content_refused"),
        ("README.md", b"\x80\x04\x95", "member_content_refused"),
        ("README.md", b"a\x00b", "member_content_refused"),
        ("LICENSE", b"\xff\xfe", "member_content_refused"),
        ("routing/examples.jsonl", b"{}\n", "routing_examples_invalid"),
        ("adapter_config.json", b"{}", "adapter_config_refused"),
        ("adapter_config.json", config_of_spec(tiny_spec(r=3)), "adapter_config_disagrees"),
        ("adapter_model.safetensors", b"cos\nsystem\n", "tensor_header"),
        ("adapter_model.safetensors", lora_weights(tiny_spec(r=3)), "tensor_shape"),
    ],
)
def test_bad_content_in_a_sound_archive_is_found(tmp_path, member, content, code):
    archive = repack(build_expert(tmp_path), {member: content})
    found = findings(archive, tiny_base())
    assert set(found) == {(code, "refused")}


def test_a_header_length_that_looks_like_a_pickle_is_fine(tmp_path):
    # 640 = 0x0280: the file starts with the bytes of a pickle of protocol 2.
    spec = tiny_spec(target_modules=("q_proj",))
    candidates = (((f"model.{'x' * length}.q_proj", 8, 8),) for length in range(1, 400))
    linears = next(linears for linears in candidates if lora_weights(spec, linears).startswith(b"\x80\x02"))
    weights = lora_weights(spec, linears)
    record = tiny_base(linears=linears)
    assert validate(build_expert(tmp_path, record=record, spec=spec, weights=weights), [record]) == []


def test_weights_of_two_dtypes_are_not_packed(tmp_path):
    header = write_header({"a": ("F32", (1,)), "b": ("F16", (1,))})
    error = refusal(write_source(tmp_path / "source", weights=header + bytes(6)), tmp_path / "out.expert")
    assert error.code == "tensor_dtype"


def test_examples_card_and_licence_may_be_left_out(tmp_path):
    source = write_source(tmp_path)
    text = source.read_text().replace("routing: {examples: routing/examples.jsonl}\n", "").replace("card: README.md\n", "")
    source.write_text(text)
    (tmp_path / "LICENSE").unlink()
    archive = package(source, tmp_path / "out.expert", [tiny_base()])
    assert validate(archive, [tiny_base()]) == []
    with ArchiveReader.open(archive) as reader:
        assert [entry.path for entry in reader.files] == ["adapter_config.json", "adapter_model.safetensors"]
        assert reader.manifest.routing is None


def test_a_base_that_no_manifest_can_name_is_refused(tmp_path):
    record = tiny_base(arch="Llama For Causal LM")
    with pytest.raises(ManifestError, match="arch"):
        package(write_source(tmp_path), tmp_path / "out.expert", [record])


def test_the_same_base_twice_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="tiny stands twice"):
        package(write_source(tmp_path, base="[tiny, tiny]"), tmp_path / "out.expert", [tiny_base()])


def test_members_have_the_names_of_their_roles(tmp_path):
    members = {"adapter_model.safetensors": b"", "setup.py": b""}
    with pytest.raises(ArchiveError) as caught:
        build_manifest(load_source(write_source(tmp_path)), tiny_spec(), members, [tiny_base()])
    assert caught.value.code == "archive_member_refused"


def test_a_damaged_configuration_or_weights_do_not_hide_the_rest(tmp_path):
    archive = build_expert(tmp_path)
    tamper(archive, "adapter_model.safetensors")
    tamper(archive, "adapter_config.json")
    assert findings(archive, tiny_base()) == [("archive_digest_mismatch", "refused")] * 2


def test_signing_does_not_change_the_findings(tmp_path):
    archive = build_expert(tmp_path)
    replace_meta(archive, archive, {"META/signatures.jsonl": b"{}\n"})
    assert validate(archive, [tiny_base()]) == []


def test_a_variant_says_which_modules_it_changes(tmp_path):
    archive = build_expert(tmp_path)
    with ArchiveReader.open(archive) as reader:
        members = {entry.path: reader.read(entry.path) for entry in reader.files}
        value = json.loads(reader.manifest_bytes)
    variant = {"weights": "adapter_model.safetensors", "rank": 2, "alpha": 4, "targets_sha256": sha256_digest(b"others")}
    value["bases"][0]["variant"] = variant
    write_archive(archive, Manifest.model_validate_json(json.dumps(value)), members)
    assert findings(archive, tiny_base()) == [("adapter_variant_targets", "refused")]


def test_roles_that_this_version_cannot_check_are_said_so(tmp_path):
    archive = build_expert(tmp_path)
    with ArchiveReader.open(archive) as reader:
        members = {entry.path: reader.read(entry.path) for entry in reader.files}
        value = json.loads(reader.manifest_bytes)
    members["tokenizer.json"] = b"{}"
    entry = {"path": "tokenizer.json", "size": 2, "sha256": sha256_digest(b"{}"), "role": "tokenizer", "media_type": "application/json"}
    value["files"] = sorted([*value["files"], entry], key=lambda item: item["path"])
    write_archive(archive, Manifest.model_validate_json(json.dumps(value)), members)
    assert findings(archive, tiny_base()) == [("check_unavailable", "unchecked")]


def test_an_archive_error_of_packing_is_one_too(tmp_path):
    source = write_source(tmp_path / "source")
    (tmp_path / "source/README.md").write_bytes(b"#!/bin/sh\n")
    assert isinstance(refusal(source, tmp_path / "out.expert"), ArchiveError)


def two_bases(tmp_path: Path, **changes: object) -> tuple[Path, list[BaseRecord]]:
    """A source with one adapter for tiny and another one for a wider base."""
    wide = tiny_base("wide", linears=tiny_linears(hidden=16), hidden_size=16)
    source = write_source(tmp_path / "source", base="[tiny, {id: wide, adapter: wide}]")
    spec = tiny_spec(**changes)
    (source.parent / "wide").mkdir()
    (source.parent / "wide/adapter_config.json").write_bytes(config_of_spec(spec))
    (source.parent / "wide/adapter_model.safetensors").write_bytes(lora_weights(spec, wide.linears))
    return source, [tiny_base(), wide]


def test_a_base_may_have_weights_rank_and_alpha_of_its_own(tmp_path):
    source, records = two_bases(tmp_path, r=3, lora_alpha=9)
    archive = package(source, tmp_path / "out.expert", records)
    assert validate(archive, records) == []
    with ArchiveReader.open(archive) as reader:
        first, second = reader.manifest.bases
        assert reader.manifest.adapter_spec(first) == tiny_spec()
        assert reader.manifest.adapter_spec(second) == tiny_spec(r=3, lora_alpha=9)
        assert reader.manifest.weights_of(second).path == "variants/wide/adapter_model.safetensors"
    # Each base is judged by itself.
    assert findings(archive, records[0]) == [("check_unavailable", "unchecked")]
    assert [one.where for one in validate(archive, [records[1]])] == ["adapter_model.safetensors"]


def test_all_bases_may_have_weights_of_their_own(tmp_path):
    source, records = two_bases(tmp_path)
    text = source.read_text().replace("adapter: adapter/\nbase: [tiny,", "base: [{id: tiny, adapter: adapter},")
    source.write_text(text)
    archive = package(source, tmp_path / "out.expert", records)
    assert validate(archive, records) == []
    with ArchiveReader.open(archive) as reader:
        assert [base.variant is not None for base in reader.manifest.bases] == [True, True]


@pytest.mark.parametrize(
    "changes", [{"target_modules": ("q_proj",)}, {"use_rslora": True}, {"dtype": "F16"}, {"alpha_pattern": {"q_proj": 1}}]
)
def test_variants_that_differ_in_more_are_refused(tmp_path, changes):
    source, records = two_bases(tmp_path, **changes)
    with pytest.raises(IncompatibleAdapterError) as caught:
        package(source, tmp_path / "out.expert", records)
    assert caught.value.code == "adapter_variant_disagrees"


@pytest.mark.parametrize(
    ("field", "code"), [("tokenizer_sha256", "base_tokenizer"), ("chat_template_sha256", "base_chat_template"), ("config_sha256", None)]
)
def test_another_tokenizer_or_chat_template_has_a_finding_of_its_own(tmp_path, field, code):
    archive = build_expert(tmp_path)
    here = tiny_base(**{field: sha256_digest(b"another")})
    found = [name for name, severity in findings(archive, here) if severity == "warning"]
    assert code is None or code in found
    assert ("base_mismatch" if field == "tokenizer_sha256" else "base_family") in found
    assert len(found) == (1 if code is None else 2)
