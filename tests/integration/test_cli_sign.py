from __future__ import annotations

from pathlib import Path

from expert_kit.archive import ArchiveReader, replace_meta
from expert_kit.manifest import statement_bytes
from expert_kit.registry.archives import check_archive
from expert_kit.signing import KEY_TYPES, load_private_key, sign
from expert_kit.signing.envelope import MAX_LINES
from tests.support.builders import tamper


def test_signing_changes_the_signatures_only(run, archive: Path, key):
    with ArchiveReader.open(archive) as reader:
        before = reader.manifest_bytes
    done = run("sign", archive, "--key", "release", "--json")
    assert done.json["signers"] == [key.key_id]
    with ArchiveReader.open(archive) as reader:
        assert reader.manifest_bytes == before
        reader.check_bodies()
    assert check_archive(archive).signers == (key.key_id,)


def test_out_leaves_the_original_alone(run, archive: Path, key, tmp_path: Path):
    before = archive.read_bytes()
    assert run("sign", archive, "--key", "release", "--out", tmp_path / "signed.expert").out == f"{tmp_path / 'signed.expert'}\n"
    assert archive.read_bytes() == before
    assert check_archive(tmp_path / "signed.expert").signers == (key.key_id,)


def test_a_second_key_is_added_and_signing_twice_changes_nothing(run, signed: Path, key):
    once = signed.read_bytes()
    assert run("sign", signed, "--key", "release").code == 0
    assert signed.read_bytes() == once
    other = run("keys", "new", "other").out.strip()
    assert run("sign", signed, "--key", "other", "--json").json["signers"] == [key.key_id, other]


def test_attestations_stay(run, archive: Path, key):
    replace_meta(archive, archive, {"META/attestations/notary.jsonl": b"{}\n"})
    assert run("sign", archive, "--key", "release").code == 0
    with ArchiveReader.open(archive) as reader:
        assert sorted(reader.meta) == ["META/attestations/notary.jsonl", "META/signatures.jsonl"]


def test_a_damaged_archive_is_not_signed_and_not_changed(run, archive: Path, key):
    tamper(archive, "adapter_model.safetensors")
    before = archive.read_bytes()
    done = run("sign", archive, "--key", "release", "--json")
    assert (done.code, done.error["code"]) == (4, "archive_digest_mismatch")
    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.iterdir() if path.is_file()] == [archive.name]


def test_a_signature_of_something_else_is_not_signed_over(run, archive: Path, key):
    line = sign(b"another statement", load_private_key(key.private_path)) + b"\n"
    replace_meta(archive, archive, {"META/signatures.jsonl": line})
    done = run("sign", archive, "--key", "release", "--json")
    assert (done.code, done.error["code"]) == (4, "signature_statement_mismatch")


def test_a_key_with_a_passphrase_needs_it(run, archive: Path, tmp_path: Path):
    (tmp_path / "secret").write_text("open sesame\n")
    run("keys", "new", "locked", "--passphrase-file", tmp_path / "secret")
    done = run("sign", archive, "--key", "locked", "--json")
    assert (done.code, done.error["code"]) == (4, "signature_key_passphrase")
    assert run("sign", archive, "--key", "locked", "--passphrase-file", tmp_path / "secret").code == 0


def test_an_unknown_key_names_the_command_that_makes_one(run, archive: Path):
    for name in ("release", "../release"):
        done = run("sign", archive, "--key", name)
        assert done.code == 4
        assert "expert-kit keys new NAME" in done.err


def test_the_name_of_a_file_cannot_steer_the_terminal(run, archive, key, monkeypatch):
    strange = archive.rename(archive.with_name("a\x1b[2Jb.expert"))
    done = run("sign", strange, "--key", "release")
    assert done.code == 0
    assert "\x1b" not in done.err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "\x1b" not in run("sign", strange, "--key", "release").out


def test_a_detached_signature_lies_beside_the_archive_and_counts(run, archive: Path, key, base_here):
    before = archive.read_bytes()
    done = run("sign", archive, "--key", "release", "--detached")
    signature = archive.with_name(f"{archive.name}.sig")
    assert (done.code, done.out) == (0, f"{signature}\n")
    assert archive.read_bytes() == before
    other = run("keys", "new", "other").out.strip()
    both = run("sign", archive, "--key", "other", "--detached", "--json").json
    assert (both["signature"], both["signers"]) == (str(signature), [key.key_id, other])
    assert check_archive(archive, detached=signature.read_bytes()).signers == (key.key_id, other)
    assert run("validate", archive, "--signature", signature, "--json").json["signers"] == [key.key_id, other]
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    assert run("install", archive).code == 0


def test_a_detached_signature_of_another_archive_is_refused(run, archive: Path, key, base_here, tmp_path: Path):
    from tests.support.builders import build_expert

    other = build_expert(tmp_path / "dist", version="2.0.0")
    run("sign", other, "--key", "release", "--detached", "--out", f"{archive}.sig")
    run("keys", "trust", "release", "--scope", "expert-kit/*")
    assert run("install", archive, "--json").error["code"] == "signature_statement_mismatch"
    assert run("sign", archive, "--key", "release", "--detached", "--json").error["code"] == "signature_statement_mismatch"


def test_one_bundle_without_a_line_end_is_read_too(run, signed: Path, key, tmp_path: Path):
    with ArchiveReader.open(signed) as reader:
        (tmp_path / "one.sig").write_bytes(reader.signatures_bytes.rstrip())
    assert run("validate", signed, "--signature", tmp_path / "one.sig", "--json").json["signers"] == [key.key_id]
    assert run("validate", signed, "--signature", tmp_path / "gone.sig", "--json").error["code"] == "signature_file"


def test_the_passphrase_may_come_from_the_environment(run, archive: Path, monkeypatch, tmp_path):
    monkeypatch.setenv("EXPERT_KIT_PASSPHRASE", "open sesame")
    assert run("keys", "new", "locked", "--json").json["encrypted"] is True
    assert run("sign", archive, "--key", "locked").code == 0
    monkeypatch.setenv("EXPERT_KIT_PASSPHRASE", "wrong")
    assert run("sign", archive, "--key", "locked", "--json").error["code"] == "signature_key_passphrase"


def test_a_folder_is_no_archive_and_the_next_step_is_named(run, key, tmp_path):
    done = run("sign", tmp_path, "--key", "release", "--json")
    assert (done.code, done.error["code"], done.error["next"]) == (4, "archive_not_regular", "give the path of an .expert file")


def test_no_more_signatures_are_added_than_a_reader_takes(run, archive: Path, key):
    with ArchiveReader.open(archive) as reader:
        statement = statement_bytes(reader.manifest)
    lines = b"".join(sign(statement, KEY_TYPES["ed25519"]()) + b"\n" for _ in range(MAX_LINES))
    replace_meta(archive, archive, {"META/signatures.jsonl": lines})
    full = archive.read_bytes()
    done = run("sign", archive, "--key", "release", "--json")
    assert (done.code, done.error["code"]) == (4, "signature_malformed")
    assert archive.read_bytes() == full
    assert len(check_archive(archive).signers) == MAX_LINES
