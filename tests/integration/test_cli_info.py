from __future__ import annotations


def test_everything_about_an_expert(run, installed, key):
    out = run("info", installed).out
    assert "expert: expert-kit/tiny@1.0.0\n" in out
    assert f"trust: signed by {key.key_id}\n" in out
    assert "base: tiny (exact)\n" in out
    assert 'routing: 6 examples, such as "sql question number 0"\n' in out
    assert "file: adapter_model.safetensors" in out


def test_json_has_the_same_and_the_examples(run, installed):
    found = run("info", f"{installed}@1.0.0", "--json").json
    assert found["summary"] == "A tiny expert."
    assert found["adapter"]["r"] == 2
    assert found["examples"][0] == {"text": "sql question number 0", "split": "fit"}


def test_an_unknown_expert_is_exit_3_and_a_bad_name_exit_6(run, installed):
    missing = run("info", "expert-kit/tiny@9.9.9")
    assert missing.code == 3
    assert "installed: expert-kit/tiny@1.0.0" in missing.err
    assert run("info", "no name").code == 6
