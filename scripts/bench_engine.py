"""The engine's cases: mixed batches, one stream, first token, attach, memory; PEFT beside it, llama.cpp if it is there.

Run alone on an idle machine: python scripts/bench_engine.py [--json] [--only CASE ...]. Needs the base model (expert-kit base
pull smollm2-135m). For llama.cpp name an interpreter that has llama-cpp-python or xllamacpp, and the base as GGUF, to which our
adapter is converted: --llamacpp PYTHON BASE.gguf.
"""

from __future__ import annotations

import gc
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench_engine_peers import LlamaCpp, PeftPeer, resident_bytes
from bench_report import Case, Machine, alternate, arguments, median_ms, show, timed_ms
from lora_to_gguf import gguf_tensors, write_gguf

ROOT = Path(__file__).resolve().parent.parent
ROWS, RANK, STEPS = 16, 16, 48
PROMPT = "Explain in a few sentences how a refrigerator keeps food cold."


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=sorted(CASES), help="groups of cases; all without it")
    parser.add_argument("--quantization", default="int8", help="of our base in single_vs_peft; PEFT's is not quantised")
    parser.add_argument("--llamacpp", nargs=2, metavar=("PYTHON", "BASE"), help="measure llama.cpp too")
    options = parser.parse_args()
    machine, cases = Machine(), []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options)
        try:
            for name in options.only or CASES:
                print(f"measuring: {name}", file=sys.stderr)
                cases += CASES[name](bench)
                gc.collect()
        finally:
            # What was measured is shown, also when a later case breaks.
            show(cases, machine, as_json=options.json)


class Bench:
    """The base model's folder, and random adapters that all cases share."""

    def __init__(self, folder: Path, options: Any) -> None:
        from expert_kit.base_models import BaseStore
        from expert_kit.registry import bases_dir

        self.entry, self.options, self.runs, self.folder = BaseStore(bases_dir()).get("smollm2-135m"), options, options.runs, folder
        self.adapters = [write_adapter(folder / f"adapter-{seed}", self.entry.record, seed) for seed in range(ROWS)]

    def engine(self, registry: Any = None, quantization: str = "none", dtype: str = "auto", **options: Any) -> Any:
        """An engine on a base of its own."""
        from expert_kit.adapters import load_base
        from expert_kit.inference import BatchLimits, ExpertEngine

        base = load_base(self.entry.folder, self.entry.record, device="cpu", dtype=dtype, quantization=quantization)
        # No keys and values are kept, so that every run computes its whole prompt.
        return ExpertEngine(base, registry, limits=BatchLimits(prefix_bytes=0), **options)


def write_adapter(folder: Path, record: Any, seed: int) -> Path:
    """A PEFT folder: LoRA on all linear layers, random bfloat16 factors that change little."""
    import torch
    from safetensors.torch import save_file

    from expert_kit.archive import config_of_spec, expected_tensors
    from expert_kit.bases import AdapterSpec

    names = tuple(sorted({module.rsplit(".", 1)[-1] for module, _, _ in record.linears}))
    spec = AdapterSpec(r=RANK, lora_alpha=RANK, target_modules=names, dtype="BF16")
    random = torch.Generator().manual_seed(seed)
    tensors = {name: (torch.randn(shape, generator=random) * 0.01).bfloat16() for name, shape in expected_tensors(spec, record).items()}
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_bytes(config_of_spec(spec))
    return folder


def decode_rate(engine: Any, mixes: Sequence[Any], steps: int = STEPS) -> float:
    """Tokens per second of all rows together, prompts not counted; every row answers to the end."""
    from expert_kit.adapters import chat_ids
    from expert_kit.inference.request import Request
    from expert_kit.inference.sampling import Sampler, SamplingOptions

    scheduler, ids = engine._scheduler, chat_ids(engine.base.tokenizer, [{"role": "user", "content": PROMPT}])
    requests = [
        Request(ids, Sampler(SamplingOptions(max_new_tokens=steps)), engine.base.tokenizer, frozenset(), slots=mix, mix=at)
        for at, mix in enumerate(mixes)
    ]
    for request in requests:
        scheduler.submit(request)
    stream = scheduler.pieces(requests[0])
    next(stream)
    before = scheduler.steps
    spent = timed_ms(lambda: [None for _ in stream])
    scheduler.finish(requests)
    return len(mixes) * (scheduler.steps - before) / spent * 1000


def held_slots(engine: Any, adapters: Sequence[Path]) -> list[Any]:
    """Slots of adapters that stay attached."""
    return [engine._source.acquire(adapter).slot for adapter in adapters]


def mixed_cases(bench: Bench) -> list[Case]:
    """16 rows: the base, one expert each, three each; PEFT with one adapter for each row. Then on the weight-only format."""
    engine, packed = bench.engine(), bench.engine(quantization=bench.options.quantization)
    slots = held_slots(engine, bench.adapters)
    packed_each = [((slot, 1.0),) for slot in held_slots(packed, bench.adapters)]
    each = [((slot, 1.0),) for slot in slots]
    three = [tuple((slots[(row + step * 5) % ROWS], 1 / 3) for step in range(3)) for row in range(ROWS)]
    peer = PeftPeer(bench.entry.folder, bench.adapters)
    base, mixed, triple, theirs, base_theirs, base_packed, mixed_packed = alternate(
        bench.runs,
        lambda: decode_rate(engine, [()] * ROWS),
        lambda: decode_rate(engine, each),
        lambda: decode_rate(engine, three),
        lambda: peer.rate(PROMPT, peer.names, STEPS // 4),
        lambda: peer.rate(PROMPT, [None] * ROWS, STEPS),
        lambda: decode_rate(packed, [()] * ROWS),
        lambda: decode_rate(packed, packed_each),
    )
    form = bench.options.quantization
    return [
        rate("base16_vs_transformers", base, base_theirs, f"transformers, both {peer.dtype}"),
        rate("mixed16_vs_base", mixed, base, "our base only", 0.85),
        rate("mixed16_vs_peft", mixed, theirs, "PEFT adapter_names", 5.0),
        rate("mix3x16_vs_base", triple, base, "our base only", 0.70),
        rate(f"mixed16_vs_base, {form}", mixed_packed, base_packed, f"our base only, both {form}"),
        rate(f"mixed16_vs_peft, {form}", mixed_packed, theirs, f"PEFT, {peer.dtype}; ours {form}"),
    ]


def single_cases(bench: Bench) -> list[Case]:
    """One stream with one expert: in the number type that PEFT has, and on the weight-only format, which is also what llama.cpp meets."""
    wide, packed = bench.engine(), bench.engine(quantization=bench.options.quantization)
    mixes = [((held_slots(engine, bench.adapters[:1])[0], 1.0),) for engine in (wide, packed)]
    peer = PeftPeer(bench.entry.folder, bench.adapters[:1])
    calls = [
        lambda: decode_rate(wide, mixes[:1]),
        lambda: decode_rate(packed, mixes[1:]),
        lambda: decode_rate(packed, [()]),
        lambda: peer.rate(PROMPT, peer.names, STEPS),
    ]
    plain, ours, base, theirs = alternate(bench.runs, *calls)
    cases = [
        rate("single_vs_peft", ours, theirs, f"PEFT, {peer.dtype}; ours {bench.options.quantization}", 3.0),
        rate("single_plain_vs_peft", plain, theirs, f"PEFT, both {peer.dtype}"),
        rate("single_vs_base", ours, base, "our base only"),
    ]
    prompt = prompt_of(wide, 64)
    firsts = [
        median_ms(lambda e=engine: next(e.stream(prompt, bench.adapters[0], max_new_tokens=2)), max(bench.runs, 5))
        for engine in (wide, packed)
    ]
    return [*cases, below("ttft_ms", "ms", firsts[0], 60), below("ttft_quantized_ms", "ms", firsts[1], 60)]


def llamacpp_cases(bench: Bench) -> list[Case]:
    """One stream with one expert beside llama.cpp with the same one."""
    if bench.options.llamacpp is None:
        print("single_vs_llamacpp: skipped, --llamacpp names no interpreter", file=sys.stderr)
        return []
    packed, llama = bench.engine(quantization=bench.options.quantization), llama_of(bench)
    print(f"{llama.name}: {llama.about}", file=sys.stderr)
    mix = ((held_slots(packed, bench.adapters[:1])[0], 1.0),)
    ours, theirs = alternate(bench.runs, lambda: decode_rate(packed, [mix]), llama.rate)
    return [rate("single_vs_llamacpp", ours, theirs, f"{llama.name}; ours {bench.options.quantization}", 1.0)]


def llama_of(bench: Bench) -> LlamaCpp:
    """llama.cpp with our first adapter, in 16 bits as we have it."""
    out = bench.folder / "adapter.gguf"
    config = json.loads((bench.entry.folder / "config.json").read_bytes())
    tensors = gguf_tensors(bench.adapters[0], bench.entry.record, config)
    write_gguf(out, {name: tensor.astype("float16") for name, tensor in tensors.items()})
    python, base = bench.options.llamacpp
    return LlamaCpp(python, base, str(out), PROMPT, STEPS)


def prompt_of(engine: Any, tokens: int) -> str:
    """A message that is so many tokens with the chat template."""
    from expert_kit.adapters import chat_ids

    text = "word"
    while len(chat_ids(engine.base.tokenizer, [{"role": "user", "content": text}])) < tokens:
        text += " word"
    return text


def attach_cases(bench: Bench) -> list[Case]:
    """Attach from the registry: into a slot from memory, with 10 and with 1,000 experts installed, and from disk."""
    sys.path.insert(0, str(ROOT))
    from expert_kit.inference import ExpertEngine
    from expert_kit.registry import Registry, bases_dir
    from tests.support.filled import fill
    from tests.support.shipped import SHIPPED, install_shipped

    few, many = bench.folder / "few", bench.folder / "many"
    few.mkdir()
    (few / "bases").symlink_to(bases_dir())
    install_shipped(few, bench.folder / "archives")
    shutil.copytree(few, many, symlinks=True)
    base, turns = bench.engine().base, max(4 * bench.runs, 20)
    names = [f"expert-kit/{name}" for name in SHIPPED[:2]]

    def engine_of(home: Path, count: int) -> Any:
        registry = Registry(home / "registry")
        fill(registry, registry.list()[0], count - len(registry.list()))
        engine = ExpertEngine(base, registry)
        attach(engine, names[0])
        # Room for one: each attach parks the other.
        engine._source.resident.budget = engine._source.resident.nbytes
        attach(engine, names[1])
        return engine

    def attach(engine: Any, name: str) -> float:
        return timed_ms(lambda: engine.release(engine.attach_experts([name])))

    def warm(engine: Any) -> float:
        return statistics.median(attach(engine, names[at % 2]) for at in range(turns))

    def cold() -> float:
        engines[1].close()
        return attach(engines[1], names[0])

    engines = [engine_of(few, 10), engine_of(many, 1000)]
    at_few, at_many = alternate(bench.runs, lambda: warm(engines[0]), lambda: warm(engines[1]))
    return [
        below("attach_warm_ms", "ms", at_many, 5),
        below("attach_warm_growth", "ratio", at_many / at_few, 1.2),
        below("attach_cold_ms", "ms", statistics.median(cold() for _ in range(turns)), 100),
    ]


def memory_cases(bench: Bench) -> list[Case]:
    """Memory that 16 adapters take while a batch uses them all, over their files in bfloat16; slots are in the base's type."""
    return [
        below("slots_memory_ratio", "ratio", slots_ratio(bench, "auto"), 1.3),
        below("slots_memory_bf16_ratio", "ratio", slots_ratio(bench, "bfloat16"), 1.3),
    ]


def working_set_cases(bench: Bench) -> list[Case]:
    """Answers of 16 tokens by 16 experts in turn: with room for half of them none is there when it is asked for; over room for all."""
    engine = bench.engine()
    resident = engine._source.resident

    def round_trip(budget: int) -> float:
        resident.budget = budget
        return timed_ms(lambda: [engine.generate(PROMPT, adapter, max_new_tokens=16) for adapter in bench.adapters])

    everything = resident.budget
    round_trip(everything)
    half = resident.nbytes // 2
    enough, short = alternate(bench.runs, lambda: round_trip(everything), lambda: round_trip(half))
    return [below("working_set_2x_slowdown", "ratio", short / enough, 3)]


def slots_ratio(bench: Bench, dtype: str) -> float:
    """What the peak of one run is above that of the same run with the base alone, over the adapters' files.

    In a new process: memory that an earlier run gave back would hide it.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measured_slots_ratio, bench, dtype).result()


def measured_slots_ratio(bench: Bench, dtype: str) -> float:
    """:func:`slots_ratio` in this process."""
    engine = bench.engine(dtype=dtype)
    decode_rate(engine, [()] * ROWS, 8)
    gc.collect()
    resident_bytes(reset_peak=True)
    decode_rate(engine, [()] * ROWS, 8)
    before = resident_bytes()
    slots = held_slots(engine, bench.adapters)
    decode_rate(engine, [((slot, 1.0),) for slot in slots], 8)
    own = sum((adapter / "adapter_model.safetensors").stat().st_size for adapter in bench.adapters)
    return (resident_bytes() - before) / own


def rate(name: str, ours: float, peer: float, peer_name: str, target: float | None = None) -> Case:
    """A case in tokens per second, with the smallest ratio wanted."""
    ratio = ours / peer
    return Case(name, "tokens/s", ours, peer, peer_name, ratio, f">= {target}x" if target else None, ratio >= target if target else None)


def below(name: str, unit: str, ours: float, target: float) -> Case:
    """A case of ours alone that should stay under a number."""
    return Case(name, unit, ours, target=f"< {target}", met=ours < target)


CASES: dict[str, Callable[[Bench], list[Case]]] = {
    "memory": memory_cases,
    "mixed": mixed_cases,
    "single": single_cases,
    "llamacpp": llamacpp_cases,
    "attach": attach_cases,
    "working-set": working_set_cases,
}


if __name__ == "__main__":
    sys.exit(main())
