from __future__ import annotations

import json


def test_a_local_folder_is_pulled_listed_and_shown(run, tiny_folder):
    pulled = run("base", "pull", tiny_folder, "--json")
    assert pulled.code == 0
    assert pulled.json["id"] == "tiny-llama"
    assert run("base", "list", "-q").out == "tiny-llama\n"
    shown = run("base", "info", "tiny-llama", "--verify", "--json")
    assert shown.json == pulled.json
    assert "linear_layers: 14" in run("base", "info", "tiny-llama").out


def test_pulling_prints_the_id_and_keeps_progress_apart(run, tiny_folder):
    done = run("base", "pull", tiny_folder)
    assert done.out == "tiny-llama\n"
    assert "fingerprint" in done.err


def test_the_list_names_known_bases_that_are_not_here(run, base_here):
    rows = {row["id"]: row for row in run("base", "list", "--json").json}
    assert rows["smollm2-135m"]["folder"] is None
    assert rows["tiny"]["folder"].endswith("tiny")


def test_a_base_that_is_not_here_is_exit_5_with_the_command_that_gets_it(run):
    done = run("base", "info", "smollm2-360m")
    assert (done.code, done.out) == (5, "")
    assert "next: expert-kit base pull smollm2-360m" in done.err


def test_changed_weights_are_found(run, home, tiny_folder):
    run("base", "pull", tiny_folder)
    with (home / "bases" / "tiny-llama" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    done = run("base", "info", "tiny-llama", "--verify", "--json")
    assert done.code == 5
    assert done.out == ""
    assert json.loads(done.err.splitlines()[-1])["error"]["code"] == "base_digest_mismatch"


def test_an_unknown_source_is_a_usage_error(run):
    assert run("base", "pull", "smollm2-135m", "--source", "carrier-pigeon").code == 2
