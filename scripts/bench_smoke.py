"""Time of base load, attach, route and generate on the real base with a shipped expert, beside PEFT where it has the same step.

Run alone on an idle machine: python scripts/bench_smoke.py [--json]. Needs the base model (expert-kit base pull smollm2-135m).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_report import Case, Machine, alternate, arguments, median_ms, show, timed_ms

ROOT = Path(__file__).resolve().parent.parent
ADAPTER = ROOT / "experts" / "calculus" / "adapter"
PROMPT = "Find the derivative of f(x) = 3x^2 + 2x - 5"
TOKENS = 32


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    options = parser.parse_args()
    machine = Machine()

    # Imports are not part of any case.
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from expert_kit.adapters import load_base
    from expert_kit.base_models import BaseStore
    from expert_kit.inference import ExpertEngine
    from expert_kit.registry import bases_dir

    entry = BaseStore(bases_dir()).get("smollm2-135m")
    dtype = getattr(torch, options.dtype)

    def peer_base() -> Any:
        return AutoModelForCausalLM.from_pretrained(entry.folder, dtype=dtype, local_files_only=True, trust_remote_code=False)

    base_ms = median_ms(lambda: load_base(entry.folder, entry.record, device="cpu", dtype=options.dtype), options.runs)
    peer_base_ms = median_ms(peer_base, options.runs)

    engine = ExpertEngine(load_base(entry.folder, entry.record, device="cpu", dtype=options.dtype))

    def attach() -> None:
        engine.release(engine.attach_experts([ADAPTER]))
        engine.close()

    peer = PeftModel.from_pretrained(peer_base(), ADAPTER, adapter_name="first")
    counter = iter(range(10_000))
    attach_ms = median_ms(attach, options.runs)
    peer_attach_ms = median_ms(lambda: peer.load_adapter(ADAPTER, adapter_name=f"again-{next(counter)}"), options.runs)

    def greedy(experts: Any) -> None:
        engine.generate(PROMPT, experts, max_new_tokens=TOKENS)

    encoded = engine.base.tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    # Both sides then pick exactly as many tokens.
    length = engine.generate(PROMPT, ADAPTER, max_new_tokens=TOKENS).usage.completion_tokens
    clean = PeftModel.from_pretrained(peer_base(), ADAPTER).eval()

    def peer_greedy() -> None:
        with torch.inference_mode():
            clean.generate(**encoded, max_new_tokens=length, do_sample=False)

    ours_ms, theirs_ms = alternate(options.runs, lambda: timed_ms(lambda: greedy(ADAPTER)), lambda: timed_ms(peer_greedy))
    cases = [
        against("base_load_ms", base_ms, peer_base_ms, "transformers"),
        against("attach_ms", attach_ms, peer_attach_ms, "PEFT load_adapter"),
        against(f"generate_{length}_tokens_ms", ours_ms, theirs_ms, "transformers + PEFT"),
        Case(
            "tokens_per_second", "tokens/s", length / ours_ms * 1000, length / theirs_ms * 1000, "transformers + PEFT", theirs_ms / ours_ms
        ),
        *route_cases(options.runs),
    ]
    show(cases, machine, as_json=options.json)


def against(name: str, ours: float, peer: float, peer_name: str) -> Case:
    """A case where less is better."""
    return Case(name, "ms", ours, peer, peer_name, peer / ours)


def route_cases(runs: int) -> list[Case]:
    """Routing among the shipped experts: the decision with the encoder loaded, and the first one with all it needs."""
    from expert_kit.archive import load_source, parse_examples
    from expert_kit.names import sha256_digest
    from expert_kit.routing import Candidate, EmbeddingRouter, RoutingPolicy, VectorCache, default_encoder

    candidates = []
    for source in sorted(ROOT.glob("experts/*/expert.yaml")):
        expert = load_source(source)
        rows = parse_examples(expert.examples.read_bytes()) if expert.examples else ()
        texts = tuple(row.text for row in rows if row.split == "fit")
        candidates.append(Candidate(sha256_digest(source.read_bytes()), expert.name, texts, expert.summary))
    with tempfile.TemporaryDirectory() as folder:
        cache = VectorCache(Path(folder))
        made: list[RoutingPolicy] = []
        first_ms = timed_ms(lambda: made.append(RoutingPolicy(EmbeddingRouter(candidates, default_encoder(), cache))))
        return [
            Case("router_first_ms", "ms", first_ms + timed_ms(lambda: made[0].decide(PROMPT))),
            Case("route_ms", "ms", median_ms(lambda: made[0].decide(PROMPT), max(runs, 20))),
        ]


if __name__ == "__main__":
    sys.exit(main())
