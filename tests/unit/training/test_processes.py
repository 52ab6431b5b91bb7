"""Several processes train what one does: torchrun on two, with gloo, in processes of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from expert_kit.training import load_recipe, train
from tests.unit.training.test_sft import write_recipe

_SCRIPT = """\
import json, os, sys
from pathlib import Path
import torch
from expert_kit.adapters import load_base
from expert_kit.base_models.fingerprint import fingerprint_folder
from expert_kit.training import load_recipe, train

torch.set_num_threads(1)
model, recipe, out = map(Path, sys.argv[1:])
base = load_base(model, fingerprint_folder(model, "tiny-llama"), device="cpu", dtype="float32")
result = train(load_recipe(recipe), recipe.parent, base, out)
losses = [entry["loss"] for entry in result.history if "loss" in entry]
found = {"world": torch.distributed.get_world_size(), "losses": losses, "eval": result.eval_loss}
(out / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(found))
"""


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_two_processes_have_the_losses_and_the_weights_of_one(tmp_path: Path, tiny, tiny_folder: Path):
    rows = [{"prompt": f"say {word}", "completion": word} for word in ("red", "green", "blue", "white", "black", "violet", "pink", "grey")]
    folders = {}
    for name, batch in (("one", 4), ("two", 2)):
        changes = {"per_device_train_batch_size": batch, "per_device_eval_batch_size": 4, "train_sampling_strategy": "sequential"}
        folders[name] = write_recipe(tmp_path / name, gradient_accumulation_steps=2, **changes)
        for split in ("train", "validation"):
            (tmp_path / name / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    alone = train(load_recipe(folders["one"]), folders["one"].parent, tiny, tmp_path / "run")
    (tmp_path / "script.py").write_text(_SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    done = subprocess.run(
        [*launch, str(tmp_path / "script.py"), str(tiny_folder), str(folders["two"]), str(tmp_path / "both")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = [entry["loss"] for entry in alone.history if "loss" in entry]
    for rank in (0, 1):
        found = json.loads((tmp_path / "both" / f"rank-{rank}.json").read_text())
        assert found["world"] == 2
        assert found["losses"] == pytest.approx(expected, rel=1e-4)
        assert found["eval"] == pytest.approx(alone.eval_loss, rel=1e-4)
    weights, others = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (tmp_path / "run", tmp_path / "both"))
    assert all(value.allclose(others[name], atol=1e-4) for name, value in weights.items())
