"""Time and size of packing, checking, installing and loading a rank-16 expert, beside tar.gz; and of a registry of very many.

Run alone on an idle machine: python scripts/bench_registry.py [--json]. Needs the base model's record (expert-kit base pull
smollm2-135m). The expert is made of `sql` and `calculus` of experts/, whose ranks of 8 are joined to 16.

``cold_load_ms`` is the first load in a new process that has imported torch and the modules of the side that is measured; its
peer unpacks a tar.gz of the same files into a new folder and loads them. ``cold_start_load_ms`` counts those imports too,
torch excepted. The ``list``, ``search`` and ``info`` cases are whole commands, from the start of the interpreter to its end.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tarfile  # noqa: TID251 - the peer, on an archive made here
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_report import Case, Machine, arguments, show, timed_ms

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NAME, BASE = "expert-kit/joined", "smollm2-135m"
WEIGHTS = "adapter_model.safetensors"
COUNTS = (50, 1_000, 10_000)
LIMIT_MS = 200


@dataclass(frozen=True)
class Bench:
    """Where everything is."""

    folder: Path
    source: Path
    plain: Path
    """The archive's members as plain files."""
    record: Any
    key: Any

    @property
    def archive(self) -> Path:
        """The signed archive."""
        return self.folder / "expert-kit.joined-1.0.0.expert"

    @property
    def tarball(self) -> Path:
        """The same files the usual way."""
        return self.folder / "joined.tar.gz"


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="experts in the registry")
    options = parser.parse_args()
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(Path(folder))
        cases = [*archive_cases(bench, options.runs), *load_cases(bench, max(options.runs, 20))]
        for count in options.counts:
            cases += registry_cases(Path(folder, f"home-{count}"), count, options.runs)
        show(cases, machine, as_json=options.json)


def prepare(folder: Path) -> Bench:
    """The source of the expert, and a key."""
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir
    from expert_kit.signing import KEY_TYPES
    from tests.support.builders import write_source

    record = BaseStore(bases_dir()).get(BASE).record
    spec, weights = joined([ROOT / "experts" / name / "adapter" for name in ("sql", "calculus")])
    examples = (ROOT / "experts" / "sql" / "routing" / "examples.jsonl").read_bytes()
    source = write_source(folder / "source", name=NAME, base=BASE, spec=spec, weights=weights, examples=examples)
    return Bench(folder, source, folder / "plain", record, KEY_TYPES["ed25519"]())


def joined(folders: list[Path]) -> tuple[Any, bytes]:
    """The two adapters along their rank: trained values in as many bytes as rank 16 takes."""
    from dataclasses import replace

    import numpy as np

    from expert_kit.archive import parse_header, spec_of_config, write_header

    bodies = [(folder / WEIGHTS).read_bytes() for folder in folders]
    headers = [parse_header(body) for body in bodies]
    spec = spec_of_config((folders[0] / "adapter_config.json").read_bytes(), "BF16")
    parts = {}
    for name in headers[0]:
        pair = [
            np.frombuffer(body[header[name].begin : header[name].end], np.uint16).reshape(header[name].shape)
            for body, header in zip(bodies, headers, strict=True)
        ]
        parts[name] = np.concatenate(pair, axis=0 if "lora_A" in name else 1)
    header = write_header({name: ("BF16", part.shape) for name, part in parts.items()})
    return replace(spec, r=2 * spec.r, lora_alpha=2 * spec.lora_alpha), header + b"".join(parts[name].tobytes() for name in sorted(parts))


def archive_cases(bench: Bench, runs: int) -> list[Case]:
    """Package and sign, verify, install; size."""
    from expert_kit.archive import ArchiveReader, package
    from expert_kit.manifest import statement_bytes
    from expert_kit.registry import Registry
    from expert_kit.registry.archives import sign_archive
    from expert_kit.signing import TrustStore, key_id, verified_signers

    def pack() -> None:
        sign_archive(package(bench.source, bench.folder, [bench.record]), bench.key)

    def pack_tarball() -> None:
        with tarfile.open(bench.tarball, "w:gz", compresslevel=6) as tar:
            tar.add(bench.plain, "joined")

    def verify() -> None:
        with ArchiveReader.open(bench.archive) as reader:
            reader.check_bodies()
            verified_signers(reader.signatures_bytes, statement_bytes(reader.manifest))

    pack()
    with ArchiveReader.open(bench.archive) as reader:
        for entry in reader.files:
            path = bench.plain / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(reader.read(entry.path))
    registry = Registry(bench.folder / "registry", trust_home=bench.folder)
    TrustStore(bench.folder).trust("expert-kit/*", key_id(bench.key.public_key()))

    def install() -> None:
        registry.install(bench.archive, bases=[bench.record])

    def unpack() -> None:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder, tarfile.open(bench.tarball) as tar:
            tar.extractall(folder, filter="data")

    packed, tarred = paired(pack, pack_tarball, runs)
    installed, unpacked = paired(install, unpack, runs, before=lambda: registry.uninstall(NAME), undo_first=True)
    verified = statistics.median(timed_ms(verify) for _ in range(runs + 1))
    size, tar_size = bench.archive.stat().st_size, bench.tarball.stat().st_size
    return [
        Case("package_ms", "ms", packed, tarred, "tar.gz", tarred / packed),
        under("verify_ms", verified, 50),
        Case("install_ms", "ms", installed, unpacked, "tar.gz extract", unpacked / installed),
        Case("size_vs_targz", "MB", size / 1e6, tar_size / 1e6, "tar.gz, same dtype", tar_size / size),
    ]


def paired(
    ours: Callable[[], Any], theirs: Callable[[], Any], runs: int, before: Callable[[], Any] = lambda: None, undo_first: bool = False
) -> tuple[float, float]:
    """Medians of two calls that alternate, after one of each that is not counted; ``before`` undoes ours, and is not counted."""
    times: list[tuple[float, float]] = []
    for number in range(runs + 1):
        if number or not undo_first:
            before()
        times.append((timed_ms(ours), timed_ms(theirs)))
    mine, peers = zip(*times[1:], strict=True)
    return statistics.median(mine), statistics.median(peers)


def load_cases(bench: Bench, runs: int) -> list[Case]:
    """From an installed expert, and from a tar.gz, to tensors: in new processes, and again in a process that has done it before."""
    command = [sys.executable, str(Path(__file__).with_name("bench_cold_load.py")), str(bench.folder), str(bench.tarball), str(runs)]
    environment = {**with_bytecode(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    start, start_peer, cold, cold_peer, hot, hot_peer = json.loads(done.stdout)
    ratio = cold_peer / cold
    return [
        under("cold_load_ms", cold, 50),
        Case("cold_load_vs_targz", "ms", cold, cold_peer, "tar.gz extract + load", ratio, ">= 5 times", ratio >= 5),
        Case("cold_start_load_ms", "ms", start, start_peer, "tar.gz extract + load", start_peer / start),
        Case("hot_load_ms", "ms", hot, hot_peer, "tar.gz extract + load", hot_peer / hot),
    ]


def registry_cases(home: Path, count: int, runs: int) -> list[Case]:
    """Whole commands over a registry of ``count`` experts, in turn."""
    fill_home(home, count)
    commands = {
        "list": ["list"],
        "search": ["search", "chemistry questions"],
        "info": ["info", f"bulk-{(count - 2) % 10}/{last_name(count)}"],
    }
    environment = {**with_bytecode(), "EXPERT_KIT_HOME": str(home), "PYTHONHASHSEED": "0"}
    program = Path(sys.executable).with_name("expert-kit")
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, words in commands.items():
            times[name].append(command_ms([str(program), *words], environment, count if name == "list" else None))
    return [under(f"{name}_{count}_ms", statistics.median(column[1:]), LIMIT_MS) for name, column in times.items()]


def with_bytecode() -> dict[str, str]:
    """The environment of a process that keeps compiled modules, as an installed package has them, whatever this one does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def fill_home(home: Path, count: int) -> None:
    """One small expert is installed from its archive; the others are copies of its rows under other names."""
    from expert_kit.registry import Registry
    from tests.support.builders import build_expert, tiny_base
    from tests.support.filled import fill

    home.mkdir(parents=True)
    registry = Registry(home / "registry", trust_home=home)
    archive = build_expert(home)
    model = registry.install(archive, bases=[tiny_base()], unsafe_allow_unsigned=True)
    fill(registry, model, count - 1)


def last_name(count: int) -> str:
    """The name of the expert that was added last."""
    from tests.support.filled import TOPICS

    return f"{TOPICS[(count - 2) % len(TOPICS)]}-{count - 2}"


def command_ms(command: list[str], environment: dict[str, str], lines: int | None) -> float:
    """Milliseconds of a command; ``lines`` is how many lines of data it has to write under its title."""
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    elapsed = (time.perf_counter() - started) * 1000
    if done.returncode or not done.stdout or (lines is not None and done.stdout.count(b"\n") != lines + 1):
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode()[-500:]}")
    return elapsed


def under(name: str, value: float, limit: int) -> Case:
    """A case with a limit in milliseconds."""
    return Case(name, "ms", value, target=f"< {limit} ms", met=value < limit)


if __name__ == "__main__":
    main()
