from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [{"prompt": f"question number {n} about a thing of its own", "completion": f"{n}", "kind": n % 2} for n in range(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    return path


def test_findings_are_listed_with_their_lines_and_bad_ones_fail(run, rows: Path):
    fine = run("dataset", "check", rows)
    assert (fine.code, fine.out) == (0, f"{rows}:41: repeated: is line 1 again\n"), fine.err
    assert run("dataset", "check", rows, "--strict").code == 6
    rows.write_text(rows.read_text() + "{\n")
    bad = run("dataset", "check", rows, "--syntax", "json", "--json")
    assert (bad.code, bad.error["code"]) == (6, "dataset_findings")
    assert [(one["line"], one["code"]) for one in bad.json] == [(41, "repeated"), (42, "malformed")]


def test_a_prompt_of_the_test_file_is_a_leak(run, rows: Path, tmp_path: Path):
    held = tmp_path / "test.jsonl"
    held.write_text(json.dumps({"prompt": "question number 7 about a thing of its own", "completion": "7"}) + "\n")
    done = run("dataset", "check", rows, "--against", held)
    assert done.code == 6
    assert f"{rows}:8: leak: is a prompt of the held-out file (line 1 of {held})" in done.out


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "dataset_empty", "has no rows"),
        ('{"question": "q", "answer": "a"}\n', "table_malformed", "test.jsonl:1: no text under 'prompt' and 'completion'"),
        ("prompt,completion\nq,a\n", "table_malformed", "test.jsonl:1: not JSON"),
    ],
)
def test_a_held_out_file_that_cannot_be_compared_with_is_refused(run, rows: Path, tmp_path: Path, text: str, code: str, said: str):
    held = tmp_path / "test.jsonl"
    held.write_text(text)
    done = run("dataset", "check", rows, "--against", held, "--json")
    assert (done.code, done.out, done.error["code"]) == (6, "", code)
    assert said in done.error["message"]


def test_prose_is_no_sql_and_is_shown_escaped(run, tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    completions = ["SELECT 1", "hello world", "EXPLAIN SELECT '\x1b[2J'"]
    path.write_text("".join(json.dumps({"prompt": f"number {n}", "completion": text}) + "\n" for n, text in enumerate(completions)))
    done = run("dataset", "check", path, "--syntax", "sql")
    assert [line.split(":")[1:3] for line in done.out.splitlines()] == [["2", " syntax"], ["3", " control_character"]]
    assert "EXPLAIN" not in done.out + done.err


def test_figures_and_their_picture(run, rows: Path, tmp_path: Path):
    done = run("dataset", "stats", rows, "--plot", tmp_path / "lengths.png", "--json")
    assert done.code == 0, done.err
    assert done.json["rows"] == 41
    assert (tmp_path / "lengths.png").stat().st_size > 1000
    assert "distinct 2" in run("dataset", "stats", rows).out
    assert run("dataset", "stats", rows, "--plot", tmp_path / "none" / "x.png", "--json").error["code"] == "output_unwritable"
    assert run("dataset", "stats", rows, "--plot", tmp_path / "lengths.foo").code == 0


def test_repeated_rows_are_taken_out_and_said(run, rows: Path, tmp_path: Path):
    done = run("dataset", "dedup", rows, "--out", tmp_path / "clean.jsonl")
    assert (done.code, done.out) == (0, f"{tmp_path / 'clean.jsonl'}\n")
    assert "taken out: line 41 is line 1 again" in done.err
    assert (tmp_path / "clean.jsonl").read_text().splitlines() == rows.read_text().splitlines()[:40]


def test_without_near_no_prompts_are_compared(run, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    words = [f"w{at}" for at in range(60)]
    steps = [" ".join([*words[:30], *(["x"] * at), *words[30 + at :]]) for at in (0, 4, 8)]
    rows.write_text("".join(json.dumps({"prompt": prompt, "completion": "same"}) + "\n" for prompt in steps))
    done = run("dataset", "dedup", rows, "--out", tmp_path / "clean.jsonl", "--near", "--json")
    assert [one["line"] for one in done.json["taken_out"]] == [2]
    monkeypatch.setattr("expert_kit.curation.findings.near_pairs", None)
    assert run("dataset", "dedup", rows, "--out", tmp_path / "clean.jsonl", "--json").json["kept"] == 3


def test_half_a_split_is_never_left(run, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []

    def full(path: Path, *data: object, **options: object) -> None:
        written.append(path.name)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        path.write_text("some")

    monkeypatch.setattr("expert_kit.cli.dataset.replace_whole", full)
    out = tmp_path / "parts"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    done = run("dataset", "split", rows, "--out", out, "--json")
    assert (done.error["code"], len(written)) == ("output_unwritable", 2)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    monkeypatch.undo()
    assert run("dataset", "split", rows, "--out", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == ["mine.txt", "test.jsonl", "train.jsonl", "validation.jsonl"]


def test_parts_hold_all_rows_and_are_not_written_over(run, rows: Path, tmp_path: Path):
    words = ("dataset", "split", rows, "--out", tmp_path / "parts", "--stratify", "kind", "--json")
    done = run(*words)
    assert done.code == 0, done.err
    assert sum(done.json[name] for name in ("train", "validation", "test")) == 41
    lines = [line for name in ("train", "validation", "test") for line in (tmp_path / "parts" / f"{name}.jsonl").read_text().splitlines()]
    assert sorted(lines) == sorted(rows.read_text().splitlines())
    assert run(*words).error["code"] == "folder_exists"


def test_malformed_rows_stop_what_writes(run, rows: Path, tmp_path: Path):
    rows.write_text(rows.read_text() + "{\n")
    for command in (("dedup", "--out", tmp_path / "x.jsonl"), ("split", "--out", tmp_path / "x")):
        done = run("dataset", command[0], rows, *command[1:], "--json")
        assert (done.code, done.error["code"]) == (6, "table_malformed")
        assert not any(path.name.startswith("x") for path in tmp_path.iterdir())


def test_an_unknown_syntax_is_refused(run, rows: Path):
    assert run("dataset", "check", rows, "--syntax", "cobol", "--json").error["code"] == "syntax_unknown"


def test_the_hardest_rows_are_listed_and_every_row_gets_its_figures(run, rows: Path, tmp_path: Path, model_here: str):
    asked = ("dataset", "difficulty", rows, "--base", model_here, "--dtype", "float32", "--device", "cpu", "--limit", "20")
    done = run(*asked, "--hardest", "3", "--out", tmp_path / "scored.jsonl", "--plot", tmp_path / "hard.png")
    assert done.code == 0, done.err
    table = done.out.splitlines()
    assert table[0].split() == ["line", "difficulty", "loss", "without", "prompt", "tokens", "prompt"]
    assert (len(table), table[-1]) == (5, str(tmp_path / "scored.jsonl"))
    assert "20 rows: median" in done.err
    scored = [json.loads(line) for line in (tmp_path / "scored.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in scored] == [json.loads(line)["prompt"] for line in rows.read_text().splitlines()[:20]]
    shown = [float(line.split()[1]) for line in table[1:4]]
    assert shown == sorted((round(row["difficulty"], 2) for row in scored), reverse=True)[:3]
    assert (tmp_path / "hard.png").stat().st_size > 1000
    figures = run(*asked, "--json", "--out", tmp_path / "again.jsonl").json
    assert figures["out"] == str(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "scored.jsonl").read_text()
    assert "out" not in run(*asked, "--json", "--limit", "1").json
    assert (figures["rows"], len(figures["hardest"])) == (20, 10)
    assert figures["hardest"][0]["score"] == pytest.approx(scored[figures["hardest"][0]["line"] - 1]["difficulty"], abs=1e-3)


def test_difficulty_refuses_what_it_cannot_score_before_a_model_is_loaded(run, rows: Path, tmp_path: Path):
    assert run("dataset", "difficulty", rows, "--expert", "auto", "--json").error["code"] == "difficulty_auto"
    (tmp_path / "empty.jsonl").write_text("\n")
    assert run("dataset", "difficulty", tmp_path / "empty.jsonl", "--json").error["code"] == "dataset_empty"
    rows.write_text('{"prompt": "a", "completion": "b", "note": "\\ud800"}\n')
    assert "surrogate" in run("dataset", "difficulty", rows, "--json").error["message"]
    rows.write_text("{\n")
    bad = run("dataset", "difficulty", rows, "--json")
    assert (bad.code, bad.error["code"]) == (6, "table_malformed")
    assert f"{rows}:1:" in bad.error["message"]
