from __future__ import annotations

from pathlib import Path

import pytest

from expert_kit.signing import new_key


@pytest.fixture
def model(home: Path, tmp_path: Path) -> Path:
    new_key(home / "keys", "interop", "p256")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w")
    return tmp_path / "model"


def test_a_folder_is_signed_and_verified(run, model, home):
    done = run("oms", "sign", model, "--key", "interop")
    signature = model.with_name("model.sig")
    assert (done.code, done.out) == (0, f"{signature}\n")
    words = ["oms", "verify", model, "--signature", signature, "--public-key"]
    assert run(*words, "interop").out == "model\n"
    told = run(*words, home / "keys" / "interop.pub.pem", "--json").json
    assert (told["model"], list(told["files"])) == ("model", ["weights"])
    (model / "weights").write_bytes(b"W")
    refused = run(*words, "interop", "--json")
    assert (refused.code, refused.error["code"]) == (4, "oms_mismatch")


def test_what_is_ignored_is_not_signed(run, model, tmp_path):
    (model / "README.md").write_text("x")
    out = tmp_path / "elsewhere.sig"
    assert run("oms", "sign", model, "--key", "interop", "--ignore", "README.md", "--out", out, "--json").json["signature"] == str(out)
    (model / "README.md").write_text("y")
    assert run("oms", "verify", model, "--signature", out, "--public-key", "interop").code == 0


def test_the_folder_that_one_is_in_is_signed_beside_it(run, model, monkeypatch):
    monkeypatch.chdir(model)
    done = run("oms", "sign", ".", "--key", "interop")
    assert (done.code, done.out) == (0, f"{model.with_name('model.sig')}\n"), done.err
    assert run("oms", "verify", ".", "--signature", "../model.sig", "--public-key", "interop").out == "model\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sign", "", "--key", "interop"], "usage_error"),
        (["sign", "/", "--key", "interop"], "oms_out"),
        (["sign", "model", "--key", "interop", "--ignore", "x", "--out", ""], "usage_error"),
        (["sign", "model", "--key", "interop", "--ignore", "../x"], "oms_ignore"),
        (["sign", "model", "--key", "interop", "--out", "model/x.sig"], "oms_out"),
        (["sign", "gone", "--key", "interop"], "oms_folder"),
        (["sign", "model", "--key", "nobody"], "signature_key_unknown"),
        (["verify", "model", "--signature", "gone.sig", "--public-key", "interop"], "signature_file"),
        (["verify", "model", "--signature", "model/weights", "--public-key", "interop"], "signature_malformed"),
        (["verify", "model", "--signature", "model/weights", "--public-key", "nobody"], "signature_key_unknown"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(run, model, monkeypatch, words, code):
    monkeypatch.chdir(model.parent)
    before = sorted(model.parent.rglob("*"))
    assert run("oms", *words, "--json").error["code"] == code
    assert sorted(model.parent.rglob("*")) == before
