"""What the engine is compared with: PEFT in this process, llama.cpp in another; and the memory of this process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench_report import timed_ms

_LLAMACPP = """
import json, os, sys, time
base, lora, prompt, steps, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), os.cpu_count()
try:
    import llama_cpp
    model = llama_cpp.Llama(model_path=base, lora_path=lora, n_ctx=1024, n_threads=threads, n_threads_batch=threads, verbose=False)
    name, about = "llama-cpp-python " + llama_cpp.__version__, llama_cpp.llama_print_system_info().decode()
    ids = model.tokenize(prompt.encode())
    def rate():
        model.reset()
        model.eval(ids)
        started = time.perf_counter()
        for _ in range(steps):
            model.eval([model.sample(temp=0.0)])
        return steps / (time.perf_counter() - started)
except ImportError:
    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.cpuparams.n_threads = base, 1024, threads
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(lora, 1.0)]
    name, about = "xllamacpp " + xllamacpp.__version__, xllamacpp.get_system_info()
    server = xllamacpp.Server(params)
    def rate():
        wanted = {"prompt": prompt, "n_predict": steps + 1, "temperature": 0.0, "ignore_eos": True, "cache_prompt": False}
        return server.handle_completions(wanted)["timings"]["predicted_per_second"]
print(json.dumps([name, about]), flush=True)
for line in sys.stdin:
    print(json.dumps(rate()), flush=True)
"""


class PeftPeer:
    """transformers and PEFT, one adapter for each row (``adapter_names``), in the number type that the engine picks on this machine."""

    def __init__(self, base: Path, adapters: Sequence[Path]) -> None:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from expert_kit.adapters import pick_dtype

        self.dtype = pick_dtype(device="cpu")
        model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, self.dtype), local_files_only=True, trust_remote_code=False)
        self.names = [f"adapter{at}" for at in range(len(adapters))]
        self.model = PeftModel.from_pretrained(model, adapters[0], adapter_name=self.names[0], autocast_adapter_dtype=False)
        for name, adapter in zip(self.names[1:], adapters[1:], strict=True):
            self.model.load_adapter(adapter, adapter_name=name, autocast_adapter_dtype=False)
        self.model.to(model.dtype)
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
    """llama.cpp in an interpreter of its own, which has llama-cpp-python or xllamacpp, with the same adapter converted."""

    def __init__(self, python: str, base: str, lora: str, prompt: str, steps: int) -> None:
        """Start it; all cores, greedy, and an answer that does not end before ``steps``."""
        command = [python, "-c", _LLAMACPP, base, lora, prompt, str(steps)]
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        self.name, self.about = self._answer()

    def rate(self) -> float:
        """Tokens per second of one stream, the prompt not counted."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        # Some builds write a log there, too.
        for line in self._process.stdout:
            with suppress(ValueError):
                return json.loads(line)
        code = self._process.wait()
        self._errors.seek(0)
        raise RuntimeError(f"llama.cpp has ended with code {code}: {self._errors.read().strip()[-300:]}")


def resident_bytes(*, reset_peak: bool = False) -> int:
    """The largest memory of this process since the peak was reset (Linux)."""
    if reset_peak:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
