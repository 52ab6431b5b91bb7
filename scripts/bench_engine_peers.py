"""What the engine is compared with: PEFT in this process, llama.cpp in another; and the memory of this process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_report import timed_ms

_LLAMACPP = """
import json, sys, time
from llama_cpp import Llama
base, lora, prompt, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
model = Llama(model_path=base, lora_path=lora, n_ctx=1024, verbose=False, logits_all=False)
ids = model.tokenize(prompt.encode())
for line in sys.stdin:
    model.reset()
    model.eval(ids)
    started = time.perf_counter()
    for _ in range(steps):
        model.eval([model.sample(temp=0.0)])
    print(json.dumps(steps / (time.perf_counter() - started)), flush=True)
"""


class PeftPeer:
    """transformers and PEFT, bfloat16, one adapter for each row (``adapter_names``)."""

    def __init__(self, base: Path, adapters: Sequence[Path]) -> None:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, local_files_only=True, trust_remote_code=False)
        self.names = [f"adapter{at}" for at in range(len(adapters))]
        self.model = PeftModel.from_pretrained(model, adapters[0], adapter_name=self.names[0], autocast_adapter_dtype=False)
        for name, adapter in zip(self.names[1:], adapters[1:], strict=True):
            self.model.load_adapter(adapter, adapter_name=name, autocast_adapter_dtype=False)
        self.model.eval()
        self.tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)

    def rate(self, prompt: str, names: Sequence[str | None], steps: int) -> float:
        """Tokens per second of all rows, the prompt's pass taken off; ``None`` is the base."""
        import torch

        rows = [[{"role": "user", "content": prompt}]] * len(names)
        encoded = self.tokenizer.apply_chat_template(rows, add_generation_prompt=True, return_dict=True, return_tensors="pt")
        options: dict[str, Any] = {} if len(names) == 1 else {"adapter_names": [name or "__base__" for name in names]}

        def generate(count: int) -> float:
            with torch.inference_mode():
                call = lambda: self.model.generate(**encoded, max_new_tokens=count, min_new_tokens=count, do_sample=False, **options)  # noqa: E731
                return timed_ms(call)

        if not any(names):
            with self.model.disable_adapter():
                options.clear()
                return len(names) * steps / (generate(steps + 1) - generate(1)) * 1000
        return len(names) * steps / (generate(steps + 1) - generate(1)) * 1000


class LlamaCpp:
    """llama-cpp-python in an interpreter of its own, with the same adapter converted."""

    def __init__(self, python: str, base: str, lora: str) -> None:
        self._command, self._process = [python, "-c", _LLAMACPP, base, lora], None

    def rate(self, prompt: str, steps: int) -> float:
        """Tokens per second of one stream."""
        if self._process is None:
            self._process = subprocess.Popen([*self._command, prompt, str(steps)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))


def resident_bytes(*, reset_peak: bool = False) -> int:
    """The largest memory of this process since the peak was reset (Linux)."""
    if reset_peak:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
