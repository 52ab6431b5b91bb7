import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import resource, sys
from pathlib import Path
from expert_kit.adapters import load_base
from expert_kit.base_models import BaseStore
from expert_kit.training import load_recipe, train

entry = BaseStore(Path(sys.argv[1])).get("smollm2-135m")
folder = Path(sys.argv[2])
train(load_recipe(folder / "recipe.yaml"), folder, load_base(entry.folder, entry.record, device="cpu"), folder / "out")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_batch_of_16_rows_of_256_tokens_stays_under_5_gb(real_bases, tmp_path: Path):
    # Every word is about one token; the answer is half of the row, so that labels are many.
    row = {"prompt": "word " * 100, "completion": "answer " * 120}
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text((json.dumps(row) + "\n") * 32)
    (tmp_path / "recipe.yaml").write_text(
        "model_name_or_path: smollm2-135m\ndataset: {train: train.jsonl, validation: validation.jsonl}\nlora_r: 16\nmax_steps: 2\n"
        "per_device_train_batch_size: 16\nper_device_eval_batch_size: 16\neval_steps: 2\nsave_steps: 2\nmax_length: 280\n"
    )
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(real_bases), str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 5e9
