from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from expert_kit.routing import VectorCache
from expert_kit.routing.encoder import embed
from tests.support.encoders import FakeEncoder

TEXTS = ("alpha beta", "gamma", "delta epsilon zeta")


def _only_file(folder: Path) -> Path:
    (path,) = folder.rglob("*.safetensors")
    return path


def test_a_restart_embeds_nothing(tmp_path: Path) -> None:
    first, second = FakeEncoder(), FakeEncoder()
    fresh = VectorCache(tmp_path).vectors(first, TEXTS)
    again = VectorCache(tmp_path).vectors(second, TEXTS)
    assert sorted(first.embedded) == sorted(TEXTS)
    assert second.embedded == []
    assert fresh.tobytes() == again.tobytes() == embed(FakeEncoder(), TEXTS).tobytes()


def test_rows_follow_the_order_asked_for_and_repetitions_are_embedded_once(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    rows = VectorCache(tmp_path).vectors(encoder, ("b", "a", "b"))
    assert sorted(encoder.embedded) == ["a", "b"]
    np.testing.assert_array_equal(rows, embed(FakeEncoder(), ("b", "a", "b")))


def test_another_set_embeds_only_what_no_set_holds(tmp_path: Path) -> None:
    VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS)
    encoder = FakeEncoder()
    rows = VectorCache(tmp_path).vectors(encoder, (TEXTS[1], "new", TEXTS[0]))
    assert encoder.embedded == ["new"]
    np.testing.assert_array_equal(rows, embed(FakeEncoder(), (TEXTS[1], "new", TEXTS[0])))


def test_another_encoder_never_sees_these_vectors(tmp_path: Path) -> None:
    VectorCache(tmp_path).vectors(FakeEncoder("one"), TEXTS)
    other = FakeEncoder("two")
    rows = VectorCache(tmp_path).vectors(other, TEXTS)
    assert sorted(other.embedded) == sorted(TEXTS)
    np.testing.assert_array_equal(rows, embed(FakeEncoder("two"), TEXTS))


def test_a_file_moved_to_another_encoders_folder_is_not_trusted(tmp_path: Path) -> None:
    VectorCache(tmp_path).vectors(FakeEncoder("one"), TEXTS)
    path = _only_file(tmp_path)
    other = FakeEncoder("two")
    moved = tmp_path / other.id.removeprefix("sha256:") / path.name
    moved.parent.mkdir()
    path.rename(moved)
    VectorCache(tmp_path).vectors(other, TEXTS)
    assert sorted(other.embedded) == sorted(TEXTS)


@pytest.mark.parametrize("cut", [0, 7, 40, -1])
def test_a_file_cut_short_is_rebuilt(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS)
    path = _only_file(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[:cut])
    encoder = FakeEncoder()
    with caplog.at_level(logging.WARNING):
        rows = VectorCache(tmp_path).vectors(encoder, TEXTS)
    np.testing.assert_array_equal(rows, embed(FakeEncoder(), TEXTS))
    assert sorted(encoder.embedded) == sorted(TEXTS)
    assert path.read_bytes() == good
    assert "rebuilt" in caplog.text


def test_a_flipped_bit_anywhere_never_changes_a_vector(tmp_path: Path) -> None:
    wanted = VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS)
    path = _only_file(tmp_path)
    good = path.read_bytes()
    for position in range(0, len(good), 23):
        path.write_bytes(good[:position] + bytes([good[position] ^ 4]) + good[position + 1 :])
        np.testing.assert_array_equal(VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS), wanted)


def test_swapped_rows_are_found(tmp_path: Path) -> None:
    wanted = VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS)
    path = _only_file(tmp_path)
    tensors = load_file(path)
    save_file({**tensors, "vectors": np.ascontiguousarray(tensors["vectors"][::-1])}, path)
    np.testing.assert_array_equal(VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS), wanted)


def test_a_cache_that_cannot_be_written_still_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        rows = VectorCache(tmp_path / "file").vectors(FakeEncoder(), TEXTS)
    np.testing.assert_array_equal(rows, embed(FakeEncoder(), TEXTS))
    assert "not kept" in caplog.text


def test_nothing_is_left_beside_the_finished_file(tmp_path: Path) -> None:
    VectorCache(tmp_path).vectors(FakeEncoder(), TEXTS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [_only_file(tmp_path)]


def test_no_texts_are_no_vectors_and_no_file(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    assert VectorCache(tmp_path).vectors(encoder, ()).shape == (0, 0)
    assert encoder.embedded == []
    assert list(tmp_path.iterdir()) == []
