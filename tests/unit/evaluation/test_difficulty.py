from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from expert_kit.adapters import answer_ids, chat_ids
from expert_kit.curation import DataRow
from expert_kit.errors import DataError
from expert_kit.evaluation import Difficulty, row_difficulties
from expert_kit.evaluation.chart import draw_difficulties
from expert_kit.inference import ExpertEngine
from tests.support.kinds import peft_logits
from tests.support.tiny_model import write_adapter

TEXTS = [("What is two?", "2"), ("A longer question about a number, please", "twenty"), ("Two again?", "2"), ("x", "no <|im_end|> here")]
ROWS = [DataRow(line, "", *pair) for line, pair in enumerate(TEXTS, start=3)]


@pytest.fixture
def engine(tiny) -> ExpertEngine:
    return ExpertEngine(tiny)


def tokens(tiny, prompt: str, completion: str) -> tuple[torch.Tensor, int]:
    ids = answer_ids(tiny.tokenizer, completion)
    return torch.tensor([chat_ids(tiny.tokenizer, [{"role": "user", "content": prompt}]) + ids]), len(ids)


def loss_of(logits: torch.Tensor, ids: torch.Tensor, scored: int) -> float:
    return float(torch.nn.functional.cross_entropy(logits[0, -scored - 1 : -1], ids[0, -scored:]))


@torch.inference_mode()
def test_losses_are_those_of_transformers_behind_the_prompt_and_behind_an_empty_one(engine, tiny, tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    calls: list[tuple[int, int]] = []
    found = row_difficulties(engine, ROWS, batch_size=3, report=lambda done, total: calls.append((done, total)))
    for row, one in zip(ROWS, found, strict=True):
        (behind, scored), (alone, _) = tokens(tiny, row.prompt, row.completion), tokens(tiny, "", row.completion)
        assert (one.line, one.tokens) == (row.line, scored)
        assert one.loss == pytest.approx(loss_of(model(behind).logits, behind, scored), rel=1e-5)
        assert one.alone == pytest.approx(loss_of(model(alone).logits, alone, scored), rel=1e-5)
        assert one.score == pytest.approx(one.loss / one.alone)
    # Two rows share a completion, which is read once without them.
    assert calls[-1] == (7, 7)


def test_an_expert_has_its_own_difficulties(engine, tiny, tiny_folder, tmp_path: Path):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    one = row_difficulties(engine, ROWS[:1], adapter)[0]
    ids, scored = tokens(tiny, *TEXTS[0])
    assert one.loss == pytest.approx(loss_of(peft_logits(tiny_folder, adapter, ids=ids), ids, scored), rel=1e-4)
    assert one.loss != pytest.approx(row_difficulties(engine, ROWS[:1])[0].loss, rel=1e-4)


def test_a_base_without_a_chat_template_is_measured_too(engine, tiny, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tiny.tokenizer, "chat_template", None)
    assert row_difficulties(engine, ROWS[:1])[0].alone > 0


def test_a_row_that_the_model_cannot_see_whole_is_named(engine):
    rows = [*ROWS, DataRow(99, "", "long " * engine.window, "x")]
    with pytest.raises(DataError, match="line 99") as caught:
        row_difficulties(engine, rows)
    assert caught.value.code == "row_too_long"


def test_a_completion_that_is_certain_has_a_score_and_the_histogram_is_a_picture(tmp_path: Path):
    certain = Difficulty(1, 1, 0.0, 0.0)
    assert certain.score == 0
    draw_difficulties([certain, Difficulty(2, 3, 2.0, 1.0)], tmp_path / "hard.png")
    assert (tmp_path / "hard.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
