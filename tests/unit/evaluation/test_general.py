from __future__ import annotations

import math

import pytest

from expert_kit.errors import DataError
from expert_kit.evaluation import general_table, read_general_text, run_general
from expert_kit.evaluation.general import GeneralScore, general_row
from expert_kit.inference import ExpertEngine
from expert_kit.manifest import EvalResult


def test_the_bundled_text_is_some_passages_of_prose():
    text = read_general_text()
    assert len(text.passages) == 17
    assert 1500 <= sum(len(passage.split()) for passage in text.passages) <= 1800
    assert all(ord(char) < 128 for passage in text.passages for char in passage)


def test_the_perplexity_is_that_of_all_tokens_together(tiny, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The first passage is here.\r\n\r\nshort\n\nThe second passage is a longer one.\n")
    engine, seen = ExpertEngine(tiny), []
    score = run_general(engine, read_general_text(path), None, "base", report=lambda *now: seen.append(now))
    parts = [engine.likelihood(text) for text in ("The first passage is here.", "The second passage is a longer one.")]
    assert score.tokens == sum(part.tokens for part in parts)
    assert math.log(score.perplexity) == pytest.approx(-sum(part.logprob for part in parts) / score.tokens)
    assert seen == [(1, 2), (2, 2)]
    assert run_general(engine, read_general_text(path), None, "base", limit=1).tokens == parts[0].tokens


@pytest.mark.parametrize("data", [None, b"\xff\xfe\x00", b"", b"too short\n"])
def test_a_file_without_prose_is_an_error(tmp_path, data):
    path = tmp_path / "text.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_general_text(path)
    assert caught.value.code == "general_text_unreadable"


def test_the_row_of_a_report_fits_a_manifest_and_has_the_base_where_it_was_measured():
    base, own = GeneralScore("base", 20.0, 1000, "0" * 64), GeneralScore("a/b", 25.0, 1000, "0" * 64)
    row = general_row([base, own], "a/b")
    assert row == {"suite": "general-text", "metric": "perplexity", "n": 1000, "expert": 25.0, "base": 20.0}
    EvalResult(suite=row["suite"], metric=row["metric"], n=row["n"], value_ppm=round(row["expert"] * 1e6))
    assert "base" not in general_row([own], "a/b")
    assert "base" not in general_row([base], "base")
    assert general_row([base], "a/b") is None
    assert general_table([base, own]).splitlines()[2] == "| perplexity | 1000 | 20.00 | 25.00 (x1.25) |"
