from __future__ import annotations

from pathlib import Path

from expert_kit.registry import Registry


def test_an_empty_registry_has_no_garbage_and_stays_absent(run, home: Path):
    done = run("gc", "--json")
    assert (done.code, done.json) == (0, {"blobs": 0, "stages": 0, "size": 0, "dry_run": False})
    assert not (home / "registry").exists()


def test_what_nobody_needs_is_counted_then_removed_and_experts_stay(run, installed, home: Path):
    registry = Registry.default()
    before = set(registry.blobs.digests())
    with registry.blobs.stage() as stage:
        digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of b"x"
        with stage.open(digest, 1) as sink:
            sink.write(b"x")
        stage.link_all()
    dead = home / "registry" / "staging" / "dead"
    dead.mkdir()
    (dead / "rest").write_bytes(b"12345")
    wanted = {"blobs": 1, "stages": 1, "size": 6}
    assert run("gc", "--dry-run", "--json").json == {**wanted, "dry_run": True}
    assert dead.exists()
    done = run("gc")
    assert (done.code, done.out) == (0, "removed 1 blobs and 1 abandoned staging folders, 6 bytes\n")
    assert set(registry.blobs.digests()) == before
    assert not dead.exists()
    assert run("doctor").code == 0


def test_what_a_reader_has_leased_stays(run, installed):
    registry = Registry.default()
    with registry.lease(installed) as (expert,):
        assert run("uninstall", installed, "--yes").code == 0
        assert run("gc", "--json").json["blobs"] == 0
        assert all(registry.read(digest) for digest in expert.digests())
    assert run("gc", "--json").json["blobs"] == len(expert.digests())
