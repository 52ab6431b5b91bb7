"""Whether torch.compile pays for one stream: transformers' own step on a static cache, compiled and not; seconds until it can be used.

Run alone on an idle machine: python scripts/bench_compile.py [--json]. Needs the base model (expert-kit base pull smollm2-135m) and a
C++ compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from bench_report import Case, Machine, alternate, arguments, show, timed_ms
from transformers import StaticCache

STEPS = 40
PROMPT = list(range(100, 140))

Step = Callable[..., Any]


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__.splitlines()[0]).parse_args()
    machine, model = Machine(), loaded()
    compiled = torch.compile(model.forward, dynamic=False, fullgraph=True)
    first_ms = timed_ms(lambda: rate(model, compiled, 2))
    ours, peer = alternate(options.runs, lambda: rate(model, compiled), lambda: rate(model, model.forward))
    cases = [
        Case("compiled_step", "tokens/s", ours, peer, "the same, not compiled", ours / peer),
        Case("compiled_first_s", "s", first_ms / 1000),
    ]
    show(cases, machine, as_json=options.json)


def loaded() -> Any:
    """The base in float32, as transformers runs it."""
    from expert_kit.adapters import load_base
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir

    entry = BaseStore(bases_dir()).get("smollm2-135m")
    return load_base(entry.folder, entry.record, device="cpu", dtype="float32").model


@torch.inference_mode()
def rate(model: Any, step: Step, steps: int = STEPS) -> float:
    """Tokens per second of steps after the prompt, which is never compiled: its length differs from call to call."""
    cache = StaticCache(config=model.config, max_cache_len=128)
    logits = model(torch.tensor([PROMPT]), past_key_values=cache).logits
    last = logits[:, -1:].argmax(-1)

    def run() -> None:
        nonlocal last
        for at in range(steps):
            positions = torch.tensor([[len(PROMPT) + at]])
            last = step(last, past_key_values=cache, position_ids=positions).logits[:, -1:].argmax(-1)

    return steps / timed_ms(run) * 1000


if __name__ == "__main__":
    main()
