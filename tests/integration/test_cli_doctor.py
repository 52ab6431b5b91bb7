from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from expert_kit.registry import Registry


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


def _everything():
    from expert_kit.registry import Query

    return Query("tiny", tags=("sql",))
