"""A folder with a base model -> its record: what the model is, by content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import rfc8785

from expert_kit.bases import BaseFingerprint, BaseRecord, Linear, structure_digest
from expert_kit.errors import BaseModelError
from expert_kit.names import Digest, sha256_digest

# Written by whichever library saved the folder last; they say nothing about the model.
_VOLATILE_CONFIG = frozenset({"transformers_version", "_name_or_path", "_model_name_or_path", "torch_dtype", "dtype", "use_cache"})
_VOLATILE_TOKENIZER = frozenset({"truncation", "padding"})
_CHUNK = 1 << 20


def fingerprint_folder(folder: Path, base_id: str, *, hf_repo: str = "", hf_revision: str = "") -> BaseRecord:
    """Measure the model in a folder: ``config.json``, ``*.safetensors``, ``tokenizer.json``, chat template.

    Weights are hashed file by file (name order); the structure comes from the model class on the meta device, so no
    weight is loaded.

    Raises:
        BaseModelError: ``base_incomplete``, a file is missing or unreadable.
    """
    config = _read_json(folder / "config.json")
    linears, dimensions = _structure(folder)
    return BaseRecord(
        fingerprint=BaseFingerprint(
            id=base_id,
            arch=str((config.get("architectures") or ["unknown"])[0]),
            config_sha256=_canonical_digest(folder, {key: value for key, value in config.items() if key not in _VOLATILE_CONFIG}),
            structure_sha256=structure_digest(linears),
            weights_root_sha256=weights_root(folder),
            tokenizer_sha256=_tokenizer_digest(folder),
            chat_template_sha256=sha256_digest(_chat_template(folder).encode()),
            hf_repo=hf_repo,
            hf_revision=hf_revision,
            **dimensions,
        ),
        linears=linears,
    )


def weights_root(folder: Path) -> Digest:
    """SHA-256 over the raw SHA-256 digests of the weight files in name order, as in an OpenSSF model signature.

    Raises:
        BaseModelError: ``base_incomplete``, no safetensors file.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise _incomplete(folder, "no *.safetensors file")
    root = hashlib.sha256()
    for file in files:
        root.update(_hash_file(file))
    return Digest(f"sha256:{root.hexdigest()}")


def _hash_file(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def _structure(folder: Path) -> tuple[tuple[Linear, ...], dict[str, int]]:
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    try:
        # Said aloud: left out, transformers asks on stdin whether to run the code that a folder brings.
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, StrictDataclassError) as error:
        raise _incomplete(folder, _why(folder, error)) from error
    head = model.get_output_embeddings()
    linears = tuple(
        sorted(
            (name, module.out_features, module.in_features)
            if isinstance(module, torch.nn.Linear)
            else (name, *reversed(module.weight.shape))
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
        )
    )
    text = config.get_text_config()
    dimensions = {"vocab_size": text.vocab_size, "hidden_size": text.hidden_size, "layers": text.num_hidden_layers}
    return linears, dimensions


def _why(folder: Path, error: Exception) -> str:
    if "auto_map" in _read_json(folder / "config.json"):
        return "its config.json wants code of its own to run, and expert-kit never runs code of a model"
    return f"transformers knows no causal language model for its config.json: {error}"


def _tokenizer_digest(folder: Path) -> Digest:
    tokenizer = _read_json(folder / "tokenizer.json")
    return _canonical_digest(folder, {key: value for key, value in tokenizer.items() if key not in _VOLATILE_TOKENIZER})


def _chat_template(folder: Path) -> str:
    """The template as text: a file of its own, or a field of the tokenizer configuration; empty if there is none."""
    file = folder / "chat_template.jinja"
    if file.exists():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise _incomplete(folder, f"{file.name}: {error}") from error
    template = _read_json(folder / "tokenizer_config.json").get("chat_template", "")
    return template if isinstance(template, str) else json.dumps(template, sort_keys=True)


def _canonical_digest(folder: Path, value: dict[str, Any]) -> Digest:
    try:
        return sha256_digest(rfc8785.dumps(value))
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise _incomplete(folder, f"a value in its JSON files has no canonical form: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _incomplete(path.parent, f"{path.name}: {error}") from error
    if not isinstance(value, dict):
        raise _incomplete(path.parent, f"{path.name} is not a JSON object")
    return value


def _incomplete(folder: Path, what: str) -> BaseModelError:
    return BaseModelError(
        f"{folder}: not a complete base model: {what}",
        hint="pull it again with: expert-kit base pull NAME --force",
        code="base_incomplete",
    )
