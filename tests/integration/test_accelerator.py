import pytest
import torch

from expert_kit.adapters import load_base
from expert_kit.inference import ExpertEngine
from tests.support.encoders import FakeEncoder
from tests.support.tiny_model import write_adapter

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")]


def test_a_cuda_device_gives_the_answers_of_the_cpu(tiny_folder, tiny_record, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", tiny_folder)
    answers = []
    for device in ("cpu", "cuda"):
        engine = ExpertEngine(load_base(tiny_folder, tiny_record, device=device, dtype="float32"), encoder=FakeEncoder())
        answers.append([engine.generate("first prompt", one, max_new_tokens=10).text for one in (None, adapter)])
    assert answers[0] == answers[1]
