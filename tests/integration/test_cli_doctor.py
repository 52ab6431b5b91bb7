from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.registry import Registry
from expert_kit.registry.doctor import examine
from expert_kit.signing import TrustStore


def sql(statement: str) -> Callable[[Registry], None]:
    def run(registry: Registry) -> None:
        connection = sqlite3.connect(registry.root / "registry.sqlite")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.executescript(statement)
        connection.close()

    return run


def relate(kind: str, name: str, text: str) -> Callable[[Registry], None]:
    return sql(f"UPDATE expert SET relations = json_set(relations, '$.{kind}', json('{{\"{name}\": \"{text}\"}}'))")


def spoil_blob(registry: Registry) -> None:
    path = registry.blobs.path(registry.get("expert-kit/tiny").weights.sha256)
    path.chmod(0o644)
    path.write_bytes(b"other bytes")
    path.chmod(0o444)


def lose_blob(registry: Registry) -> None:
    registry.blobs.path(registry.get("expert-kit/tiny").weights.sha256).unlink()


def add_stranger(registry: Registry) -> None:
    (registry.blobs.path(registry.get("expert-kit/tiny").identity).parent / "notes.txt").write_text("x")


def add_orphan(registry: Registry) -> None:
    path = registry.blobs.path("sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")


def leave_stage(registry: Registry) -> None:
    (registry.root / "staging" / "dead").mkdir(parents=True)


def open_folder(registry: Registry) -> None:
    registry.root.chmod(0o777)


def break_trust(registry: Registry) -> None:
    (registry.trust_home / "trust.toml").write_text("scopes = [")


def lose_trust(registry: Registry) -> None:
    (registry.trust_home / "trust.toml").unlink()


def lose_trust_and_log(registry: Registry) -> None:
    lose_trust(registry)
    shutil.rmtree(registry.trust_home / "trust")


def cut_log(registry: Registry) -> None:
    log = registry.trust_home / "trust" / "events.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[1:]))


REPAIRED = [
    ("expert_incomplete", sql("DELETE FROM file WHERE role = 'routing'")),
    ("expert_relations_missing", sql("UPDATE expert SET relations = NULL")),
    ("current_unclear", sql("DELETE FROM current")),
    ("search_out_of_date", sql("DELETE FROM label")),
    ("search_out_of_date", sql("INSERT INTO words (words) VALUES ('delete-all')")),
    ("blob_orphan", add_orphan),
    ("staging_stale", leave_stage),
    ("permissions_open", open_folder),
]
TOLD = [
    ("expert_conflict", relate("conflicts", "expert-kit/tiny", "^1"), "expert-kit uninstall expert-kit/tiny"),
    ("expert_requires_unmet", relate("requires", "acme/gone", "^1"), 'expert-kit install "acme/gone@^1" --index DIR'),
    ("expert_requires_unmet", relate("requires", "expert-kit", ">=99"), "install expert-kit >=99"),
    ("expert_range_invalid", relate("requires", "acme/gone", "newest"), "ask its publisher"),
    ("blob_damaged", spoil_blob, "expert-kit install FILE, with the archive of expert-kit/tiny@1.0.0"),
    ("blob_missing", lose_blob, "expert-kit install FILE, with the archive of expert-kit/tiny@1.0.0"),
    ("stray_file", add_stranger, "rm "),
    ("trust_unreadable", break_trust, ""),
    ("trust_log_damaged", cut_log, "expert-kit trust log"),
    ("trust_lost", lose_trust, "put it back from a backup, or: expert-kit keys trust sha256:"),
    ("trust_lost", lose_trust_and_log, "put it back from a backup, or: expert-kit keys trust sha256:"),
]


def test_a_sound_registry_and_none_at_all_are_sound(run, home: Path):
    done = run("doctor", "--json")
    assert (done.code, done.json) == (0, {"sound": True, "findings": []})
    assert not home.exists()


def test_an_installed_expert_is_sound(run, installed):
    done = run("doctor")
    assert (done.code, done.out, done.err) == (0, "", "the registry is sound\n")


@pytest.mark.parametrize(("code", "spoil"), REPAIRED)
def test_what_follows_from_the_rest_is_found_and_repaired(run, installed, code, spoil):
    registry = Registry.default()
    before = registry.get(installed)
    spoil(registry)
    found = run("doctor", "--json")
    assert found.code == 9
    assert code in [one["code"] for one in found.json["findings"]]
    assert run("doctor", "--repair").code == 0
    assert registry.get(installed) == before
    assert [one.ref for one in registry.find(_everything())] == ["expert-kit/tiny@1.0.0"]


@pytest.mark.parametrize(("code", "spoil", "fix"), TOLD)
def test_what_cannot_be_derived_is_told_with_the_next_step(run, installed, code, spoil, fix):
    spoil(Registry.default())
    found = run("doctor", "--json")
    assert found.code == 9
    (finding,) = [one for one in found.json["findings"] if one["code"] == code]
    assert finding["fix"].startswith(fix)
    assert finding["fix"]
    assert code in run("doctor").out


@pytest.mark.parametrize(
    "where",
    ["x", "folder/deep/x", ".x", "staging/x", "cas/x", "cas/sha256/x", "cas/sha256/xx/y", "cas/sha256/ab/below/x", "cas/other/deep/x"],
)
def test_a_stray_file_is_found_wherever_in_the_store_it_lies(run, installed, home: Path, where):
    path = home / "registry" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    (home / "registry" / "cas" / "sha256" / "00").mkdir(exist_ok=True)  # an empty folder for blobs is none
    (finding,) = run("doctor", "--json").json["findings"]
    assert (finding["code"], path.is_relative_to(finding["where"])) == ("stray_file", True)
    assert run("gc").err == "not made by the registry and left alone: 1; see: expert-kit doctor\n"
    assert run("doctor", "--repair").code == 9
    assert path.read_text() == "x"
    command = finding["fix"].removesuffix(", if it is not yours")
    subprocess.run(shlex.split(command), check=True)
    assert run("doctor").code == 0


def test_the_files_of_trust_are_no_strays_where_they_lie_beside_the_database(tmp_path: Path, key):
    registry = Registry(tmp_path / "registry")
    with registry.database.writing():
        TrustStore(registry.trust_home).trust("acme/*", key.key_id)
    with registry.database.reading():
        assert (tmp_path / "registry" / "registry.sqlite-wal").exists()
        assert examine(registry, []) == []


@pytest.mark.parametrize("spoil", [spoil_blob, lose_blob])
def test_the_fix_for_a_bad_blob_heals_it(run, installed, signed: Path, spoil):
    spoil(Registry.default())
    assert run("install", signed).code == 0
    assert run("doctor").code == 0


def test_a_base_model_that_went_away_is_told(run, installed, home: Path):
    (home / "bases" / "tiny" / "base.json").unlink()
    (finding,) = run("doctor", "--json").json["findings"]
    assert (finding["code"], finding["fix"]) == ("base_missing", "expert-kit base pull tiny")


def test_a_damaged_database_is_told_and_is_no_traceback(run, installed, home: Path):
    (home / "registry" / "registry.sqlite").write_bytes(b"nonsense" * 1000)
    done = run("doctor", "--json")
    assert done.code == 9
    assert [one["code"] for one in done.json["findings"]][-1] == "registry_corrupt"


def test_rows_of_which_nothing_is_left_are_removed_by_repair(run, installed):
    registry = Registry.default()
    registry.blobs.path(registry.get(installed).identity).unlink()
    sql("DELETE FROM file")(registry)
    assert "expert_lost" in [one["code"] for one in run("doctor", "--json").json["findings"]]
    assert run("doctor", "--repair").code == 0
    assert registry.list() == []


@pytest.fixture
def revoked(run, installed, signed: Path, tmp_path: Path) -> Path:
    """The installed expert is revoked here; the list."""
    path = tmp_path / "revoked.jsonl"
    assert run("revoke", signed, "--reason", "leaks", "--key", "release", "--list", path).code == 0
    assert run("trust", "update", path).code == 0
    return path


def test_a_revoked_expert_is_told(run, revoked):
    done = run("doctor", "--json")
    (finding,) = done.json["findings"]
    assert (done.code, finding["code"], finding["where"]) == (9, "expert_revoked", "expert-kit/tiny@1.0.0")
    assert finding["fix"].endswith("expert-kit uninstall expert-kit/tiny@1.0.0")


def test_a_revocation_list_that_went_missing_is_told(run, revoked, home: Path):
    (home / "trust" / "revocations" / "expert-kit.jsonl").unlink()
    (finding,) = run("doctor", "--json").json["findings"]
    assert (finding["code"], finding["fix"][:16]) == ("revocations_lost", "get the newest l")
    assert run("trust", "update", revoked).code == 0
    assert [one["code"] for one in run("doctor", "--json").json["findings"]] == ["expert_revoked"]


def test_an_older_revocation_list_than_was_accepted_is_told(run, revoked, signed: Path, home: Path):
    kept = home / "trust" / "revocations" / "expert-kit.jsonl"
    older = kept.read_bytes()
    assert run("revoke", signed, "--reason", "again", "--key", "release", "--list", revoked).code == 0
    assert run("trust", "update", revoked).code == 0
    kept.write_bytes(older)
    found = [one for one in run("doctor", "--json").json["findings"] if one["code"] == "revocations_lost"]
    assert "version 2" in found[0]["message"]
    assert "version 1, is here" in found[0]["message"]


def test_trust_that_was_taken_back_on_purpose_is_not_lost(run, installed, key):
    assert run("keys", "untrust", key.key_id, "--scope", "expert-kit/*").code == 0
    assert run("doctor").code == 0


def test_a_trust_file_that_others_may_write_is_closed_by_repair_after_a_look(run, installed, home: Path):
    (home / "trust.toml").chmod(0o666)
    (finding,) = [one for one in run("doctor", "--json").json["findings"] if one["code"] == "permissions_open"]
    assert finding["fix"].startswith("look in it for what others may have written, then: expert-kit doctor --repair")
    assert run("verify", "--all", "--json").json[0]["next"].endswith("or: expert-kit doctor --repair")
    assert run("doctor", "--repair").code == 0


def _everything():
    from expert_kit.registry import Query

    return Query("tiny", tags=("sql",))
