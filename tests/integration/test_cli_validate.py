from __future__ import annotations

import json
from pathlib import Path

from expert_kit.archive import ArchiveReader, replace_meta, write_archive
from expert_kit.manifest import Manifest
from expert_kit.names import sha256_digest
from expert_kit.signing import load_private_key, sign
from tests.support.builders import build_expert, tamper


def test_a_sound_signed_archive_has_no_problems(run, signed: Path, base_here, key):
    done = run("validate", signed, "--json")
    assert done.code == 0
    assert done.json["problems"] == []
    assert (done.json["expert"], done.json["signers"]) == ("expert-kit/tiny@1.0.0", [key.key_id])


def test_an_unsigned_archive_is_sound_but_said_to_be_unsigned(run, archive: Path, base_here):
    done = run("validate", archive)
    assert done.code == 0
    assert done.out.startswith("warning[signature_missing]")
    assert "signed by nobody" in done.err


def test_every_problem_is_listed_and_refusal_is_exit_4(run, archive: Path, base_here):
    tamper(archive, "adapter_model.safetensors")
    tamper(archive, "README.md")
    done = run("validate", archive, "--json")
    assert done.code == 4
    assert done.json["refused"] is True
    places = {one["where"] for one in done.json["problems"] if one["code"] == "archive_digest_mismatch"}
    assert places == {"README.md", "adapter_model.safetensors"}


def test_a_false_signature_is_a_refusal(run, archive: Path, base_here, key):
    line = sign(b"another statement", load_private_key(key.private_path)) + b"\n"
    replace_meta(archive, archive, {"META/signatures.jsonl": line})
    done = run("validate", archive)
    assert done.code == 4
    assert "refused[signature_statement_mismatch]" in done.out


def test_something_that_is_no_archive_is_refused_too(run, tmp_path: Path):
    (tmp_path / "x.expert").write_bytes(b"PK" + bytes(100))
    done = run("validate", tmp_path / "x.expert", "--json")
    assert done.code == 4
    assert done.json["expert"] is None
    assert run("validate", tmp_path / "gone.expert").code == 4


def test_a_file_name_cannot_steer_the_terminal(run, tmp_path: Path):
    (tmp_path / "a\x1b[2J.expert").write_bytes(b"x")
    done = run("validate", tmp_path / "a\x1b[2J.expert")
    assert "\x1b" not in done.out + done.err


def test_the_name_of_a_file_cannot_steer_the_terminal(run, archive):
    strange = archive.rename(archive.with_name("a\x1b[2Jb.expert"))
    strange.write_bytes(b"not an archive")
    done = run("validate", strange)
    assert "\x1b" not in done.out + done.err
    assert "a\\u{1b}[2Jb.expert" in done.out + done.err


def test_a_range_that_no_resolver_can_read_is_a_problem(run, base_here, tmp_path: Path):
    archive = build_expert(tmp_path, extra="requires: {experts: {a/b: latest}}\nconflicts: {a/c: 1.2.3.4}\n")
    problems = run("validate", archive, "--json").json["problems"]
    found = [(problem["code"], problem["where"]) for problem in problems if problem["severity"] == "refused"]
    assert found == [("range_invalid", "requires.a/b"), ("range_invalid", "conflicts.a/c")]


def test_relations_that_cannot_hold_are_listed(run, base_here, tmp_path: Path):
    extra = 'requires: {expert-kit: "^9", experts: {expert-kit/tiny: "^2"}}\nconflicts: {expert-kit/tiny: "^1"}\n'
    done = run("validate", build_expert(tmp_path, extra=extra), "--json")
    found = [(one["code"], one["severity"], one["where"]) for one in done.json["problems"] if one["code"].startswith("resolution")]
    assert found == [
        ("resolution_tool", "warning", "requires.expert-kit"),
        ("resolution_impossible", "refused", "requires.expert-kit/tiny"),
        ("resolution_impossible", "refused", "conflicts.expert-kit/tiny"),
    ]
    assert done.code == 4


def test_an_expert_may_name_versions_of_itself_that_it_is_not(run, base_here, tmp_path: Path):
    archive = build_expert(tmp_path, extra='conflicts: {expert-kit/tiny: "<1.0.0"}\n')
    assert run("validate", archive, "--json").json["refused"] is False


def test_the_name_of_the_archive_is_in_every_error_and_once(run, tmp_path: Path, base_here):
    bad = tmp_path / "bad.expert"
    bad.write_bytes(b"x" * 100)
    refused = run("install", bad, "--unsafe-allow-unsigned", "--json")
    assert refused.code == 4
    assert refused.error["message"].startswith("bad.expert")
    assert run("validate", bad).out.count("bad.expert") == 1


def test_many_problems_are_listed_at_once_each_with_its_own_code(run, base_here, tmp_path: Path):
    archive = build_expert(tmp_path, extra="conflicts: {a/c: 1.2.3.4}\n")
    spoil(archive, {"README.md": b"\x7fELF", "routing/examples.jsonl": b"{}\n", "adapter_config.json": b"{}"})
    codes = {problem["code"] for problem in run("validate", archive, "--json").json["problems"]}
    assert codes == {
        "member_content_refused", "routing_examples_invalid", "adapter_config_refused", "range_invalid", "signature_missing"
    }  # fmt: skip


def spoil(archive: Path, changes: dict[str, bytes]) -> None:
    """Other bodies, soundly packed."""
    with ArchiveReader.open(archive) as reader:
        members = {entry.path: reader.read(entry.path) for entry in reader.files} | changes
        value = json.loads(reader.manifest_bytes)
    for entry in value["files"]:
        entry["size"], entry["sha256"] = len(members[entry["path"]]), sha256_digest(members[entry["path"]])
    write_archive(archive, Manifest.model_validate_json(json.dumps(value)), members)
