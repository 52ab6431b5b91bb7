from __future__ import annotations

from pathlib import Path

from expert_kit.archive import ArchiveReader
from tests.support.builders import write_source


def test_a_source_becomes_an_archive_with_the_standard_name(run, base_here, tmp_path: Path):
    write_source(tmp_path / "source")
    done = run("package", tmp_path / "source", "--out", tmp_path / "new" / "dist")
    assert done.code == 0
    path = Path(done.out.strip())
    assert path == tmp_path / "new" / "dist" / "expert-kit.tiny-1.0.0.expert"
    with ArchiveReader.open(path) as reader:
        assert str(reader.manifest.ref) == "expert-kit/tiny@1.0.0"
    assert f"next: expert-kit sign {path} --key NAME" in done.err


def test_json_names_the_archive_and_its_identity(run, base_here, tmp_path: Path):
    source = write_source(tmp_path / "source")
    found = run("package", source, "--out", tmp_path / "x.expert", "--json").json
    with ArchiveReader.open(Path(found["archive"])) as reader:
        assert (found["expert"], found["identity"]) == ("expert-kit/tiny@1.0.0", reader.manifest.identity)


def test_without_the_base_model_the_next_command_pulls_it(run, tmp_path: Path):
    write_source(tmp_path / "source")
    done = run("package", tmp_path / "source", "--out", tmp_path)
    assert (done.code, done.out) == (5, "")
    assert "next: expert-kit base pull tiny" in done.err


def test_a_file_that_is_no_archive_is_never_overwritten(run, base_here, tmp_path: Path):
    write_source(tmp_path / "source")
    (tmp_path / "notes.md").write_text("mine")
    done = run("package", tmp_path / "source", "--out", tmp_path / "notes.md", "--json")
    assert (done.code, done.error["code"]) == (2, "out_invalid")
    assert (tmp_path / "notes.md").read_text() == "mine"


def test_a_bad_source_lists_all_its_problems(run, base_here, tmp_path: Path):
    source = write_source(tmp_path / "source", name="Bad Name", version="1")
    done = run("package", source)
    assert done.code == 6
    assert "name" in done.err
    assert "version" in done.err


def test_the_name_of_the_archive_cannot_steer_the_terminal(run, base_here, tmp_path):
    out = tmp_path / "a\x1b[2Jb"
    done = run("package", write_source(tmp_path / "source"), "--out", out)
    assert done.code == 0, done.err
    assert "\x1b" not in done.err
