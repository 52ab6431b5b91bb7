"""The loads of bench_registry.py, in new processes: from an installed expert, and from a tar.gz, to tensors.

Prints a JSON list of six medians in milliseconds: ours and the tar.gz's with their imports, without them, and again in one
process. Arguments: the folder of a registry, a tar.gz of the same adapter, the number of runs.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_report import alternate, timed_ms

NAME, WEIGHTS = "expert-kit/joined", "adapter_model.safetensors"


def main(folder: Path, tarball: Path, runs: int) -> None:
    """Fork before anything was loaded: each child is a new process with the imports that this one has made so far."""
    import torch

    torch.set_num_threads(1)
    early = {name for name in sys.modules if name.partition(".")[0] in ("expert_kit", "safetensors", "sqlite3")}
    if early:
        raise SystemExit(f"imported too early: {sorted(early)}")
    started = in_turn(lambda: start_installed(folder), lambda: load_tarball(tarball), runs)

    import safetensors.torch  # noqa: F401

    import expert_kit.adapters
    import expert_kit.registry  # noqa: F401

    works = (lambda: load_installed(folder), lambda: load_tarball(tarball))
    cold = in_turn(*works, runs)
    hot = [sorted(in_child(work, runs + 1)[1:])[runs // 2] for work in works]
    print(json.dumps([*started, *cold, *hot]))


def load_installed(folder: Path) -> None:
    """What an engine does with an expert's bytes before it copies them into its slots."""
    from expert_kit.adapters import read_tensors

    registry, expert = installed(folder)
    check(read_tensors(registry.read_weights(expert)))


def start_installed(folder: Path) -> None:
    """The same without the engine's rooms, whose import is that of transformers."""
    from safetensors.torch import load

    registry, expert = installed(folder)
    check(load(registry.read(expert.weights.sha256)))


def installed(folder: Path) -> tuple[Any, Any]:
    """The registry and the row of the expert, which is not revoked; its weights are verified by whoever reads them."""
    from expert_kit.registry import Registry

    registry = Registry(folder / "registry", trust_home=folder)
    expert = registry.get(NAME)
    registry.check_revoked(expert)
    return registry, expert


def load_tarball(tarball: Path) -> None:
    """The usual way: unpack into a new folder, load from there."""
    import tarfile  # noqa: TID251 - the peer, on an archive made here
    import tempfile

    from safetensors.torch import load_file

    with tempfile.TemporaryDirectory(dir=tarball.parent) as folder:
        with tarfile.open(tarball) as tar:
            tar.extractall(folder, filter="data")
        check(load_file(Path(folder, "joined", WEIGHTS)))


def check(tensors: dict[str, Any]) -> None:
    """Touch every tensor, so that none is a promise."""
    if len(tensors) != 420 or any(tensor.dtype.itemsize != 2 or tensor.view(-1)[-1] is None for tensor in tensors.values()):
        raise ValueError("not the expert of this benchmark")


def in_turn(ours: Callable[[], None], theirs: Callable[[], None], runs: int) -> list[float]:
    """Median milliseconds of both, each time in a new child, after one pair that is not counted."""
    return alternate(runs, lambda: in_child(ours, 1)[0], lambda: in_child(theirs, 1)[0])


def in_child(work: Callable[[], None], times: int) -> list[float]:
    """Milliseconds of each of several calls, in a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps([timed_ms(work) for _ in range(times)]).encode())
        except BaseException:  # noqa: BLE001 - whatever it was, a child must not go on with its parent's work
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"a child that was to be measured ended with {os.waitstatus_to_exitcode(status)}; what it says stands above")
    times_ms: list[float] = json.loads(data)
    return times_ms


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
