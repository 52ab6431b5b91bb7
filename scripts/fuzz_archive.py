"""Coverage-guided fuzzing of everything that reads hostile bytes, with atheris (pip install "expert-kit[fuzz]").

python scripts/fuzz_archive.py --seconds 600 spends that time on all targets in turn; --target NAME on one alone. An input
that breaks a promise of tests/hostile/targets.py is written to tests/hostile/regressions, where a test replays it from
then on. Exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

INPUT_SECONDS, MEMORY_MB = 2, 768
"""Of the processor, for one input; of the whole process."""
NAMES = (
    "container", "manifest", "bundle", "attestation", "safetensors", "routing", "grammar", "config", "probe", "tar", "lock", "root",
    "revocation",
)  # fmt: skip
FOUND = re.compile(r"Test unit written to (\S+)")
STATISTIC = re.compile(r"stat::number_of_executed_units: *(\d+)")
COVERAGE = re.compile(r"cov: (\d+)")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]{2,40}")


def main() -> int:
    """Fuzz each target in a process of its own, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", choices=["all", *NAMES], default="all")
    parser.add_argument("--corpus", type=Path, help="keep inputs that reach new code here, and start from them the next time")
    parser.add_argument("--crashes", type=Path, default=ROOT / "tests" / "hostile" / "regressions", help="where findings go")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        fuzz(options.target, options.seconds, options.corpus)
    names = NAMES if options.target == "all" else (options.target,)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = options.corpus or Path(scratch)
        each = max(1, options.seconds // len(names))  # 0 is no limit to libFuzzer
        found = [path for name in names for path in run(name, each, corpus, options.crashes)]
    return 1 if found else 0


def run(name: str, seconds: int, corpus: Path, crashes: Path) -> list[Path]:
    """Fuzz one target; returns the findings, renamed to their target and digest."""
    (corpus / name).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--in-process", "--target", name, "--seconds", str(seconds), "--corpus", str(corpus)]
    with tempfile.TemporaryDirectory() as scratch:
        log = subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace").stdout
        kept = [keep(Path(scratch, path), name, crashes) for path in FOUND.findall(log)]
    runs, coverage = _last(STATISTIC, log), _last(COVERAGE, log)
    print(f"{name:<12} {runs:>9} inputs  {coverage:>6} edges  {len(kept)} findings", flush=True)
    if kept:
        print(log[-4000:])
    elif runs == "0":
        raise SystemExit(f"{name} did not run:\n{log[-4000:]}")
    return kept


def keep(path: Path, name: str, folder: Path) -> Path:
    """Move a finding to where the test looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    data = path.read_bytes()
    kept = folder / f"{name}-{sha256(data).hexdigest()[:12]}.bin"
    kept.write_bytes(data)
    return kept


def _last(pattern: re.Pattern[str], log: str) -> str:
    return next(iter(reversed(pattern.findall(log))), "0")


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    # What parses, and nothing of what it stands on: pydantic and cryptography are not what is tested here.
    with atheris.instrument_imports(include=["expert_kit", "rfc8785", "json"]):
        from tests.hostile.targets import TARGETS

    target = TARGETS[name]
    seeds = target.seeds()
    for seed in seeds:
        target.check(seed)  # imports what is imported late
        (corpus / name / sha256(seed).hexdigest()).write_bytes(seed)
    words = Path("words")
    words.write_text("".join(f'"{word.decode()}"\n' for word in sorted(set(_WORD.findall(b" ".join(seeds))))))
    flags = [f"-max_total_time={seconds}", "-timeout=60", f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"]
    flags += [f"-max_len={2 * max(map(len, seeds))}", "-dict=words"]

    def check(data: bytes) -> None:
        started = time.process_time()
        target.check(data)
        if time.process_time() - started > INPUT_SECONDS:
            raise AssertionError(f"took more than {INPUT_SECONDS} s")

    def mutator(data: bytes, size: int, seed: int) -> bytes:
        source = random.Random(seed)
        changed = mutate(name, data, source) if source.random() < 0.5 else None
        return changed if changed is not None and len(changed) <= size else bytes(atheris.Mutate(data, size))

    atheris.Setup([sys.argv[0], *flags, str(corpus / name)], check, custom_mutator=mutator)
    atheris.Fuzz()


def mutate(name: str, data: bytes, source: random.Random) -> bytes | None:
    """A change that knows the form of the target's inputs; None if these bytes do not have it."""
    if name == "container":
        return _mutate_container(source)
    if name == "safetensors":
        return _mutate_header(data, source)
    if name == "tar":
        return _mutate_tar(data, source)
    changed = _mutate_text(data, source)
    if changed is not None:
        return changed + b"\n" if data.endswith(b"\n") else changed
    lines = data.split(b"\n")
    at = source.randrange(len(lines))
    line = _mutate_text(lines[at], source)
    return None if line is None else b"\n".join([*lines[:at], line, *lines[at + 1 :]])


def _mutate_text(text: bytes, source: random.Random) -> bytes | None:
    with suppress(ValueError, RecursionError):
        return _spell(_mutate_value(json.loads(text), source))
    return None


def _mutate_value(value: Any, source: random.Random) -> Any:
    from tests.hostile.mutations import mutate_json

    for _ in range(source.randrange(1, 4)):
        value = mutate_json(value, source)
    return value


def _spell(value: Any) -> bytes:
    """Canonical where there is such a spelling."""
    import rfc8785

    with suppress(ValueError):
        return rfc8785.dumps(value)
    return json.dumps(value, separators=(",", ":")).encode()


def _mutate_header(data: bytes, source: random.Random) -> bytes | None:
    end = 8 + int.from_bytes(data[:8], "little")
    header = _mutate_text(data[8:end], source) if end <= len(data) else None
    if header is None:
        return None
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _mutate_tar(data: bytes, source: random.Random) -> bytes | None:
    """Other bytes in one of the headers, under a right check sum."""
    starts = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not starts:
        return None
    at = source.choice(starts)
    header = bytearray(data[at : at + 512])
    for _ in range(source.randrange(1, 4)):
        place = source.choice((source.randrange(100), source.randrange(124, 136), 156, source.randrange(512)))
        header[place] = source.choice((0, ord("0"), ord("7"), ord(" "), ord("/"), ord("."), ord("x"), source.randrange(256)))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\x00 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]


def _mutate_container(source: random.Random) -> bytes:
    from tests.hostile.forge import frame
    from tests.hostile.mutations import mutate_members
    from tests.hostile.targets import sound_parts

    parts = sound_parts().copy()
    if source.random() < 0.5:
        parts.raw_manifest = _spell(_mutate_value(parts.value, source))
        return frame(parts.members())
    return frame(mutate_members(parts, source))


if __name__ == "__main__":
    sys.exit(main())
