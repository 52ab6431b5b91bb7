"""Options that several commands share, described once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from expert_kit.errors import ExpertKitError, UsageError
from expert_kit.names import ExpertRef

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only, one a line.")]
Base = Annotated[str, typer.Option("--base", help="Base model: an id of `expert-kit base list`, or what it was pulled from.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Dtype = Annotated[str, typer.Option("--dtype", help="Of weights and activations: bfloat16, float32, float16, or auto: the fastest here.")]
Quantization = Annotated[str, typer.Option("--quantization", help="none, int8, int4, bnb-8bit or bnb-4bit.")]
Policy = Annotated[
    str, typer.Option("--policy", help="Where the choice of experts is close: base lets the base model rank their cards, none does not.")
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File whose first line is the key's passphrase; or EXPERT_KIT_PASSPHRASE.")
]
Signature = Annotated[
    Path | None, typer.Option("--signature", help="A .sig file whose signatures count like those in the archive.", show_default=False)
]
Prompt = Annotated[str | None, typer.Argument(help="The prompt; without it, or with -, it is read from stdin.", show_default=False)]
Experts = Annotated[
    list[str] | None,
    typer.Option(
        "--expert",
        "-e",
        help="An expert, several for a mix of equal parts, mix:ns/a@0.6+ns/b@0.4, an adapter folder, base, or auto (the default: the"
        " router decides).",
        show_default=False,
    ),
]

MOST_SIGNERS: Final = 32
"""As many signatures as an archive may have, ``signing.envelope.MAX_LINES``, which is not imported for a ``--help``."""

Choice = str | Path | list["str | Path"] | None
"""What the engine takes as ``experts``."""


def read_prompt(prompt: str | None) -> str:
    """The prompt of the command line, or all of stdin.

    Raises:
        UsageError: ``prompt_missing``, it is empty, or there is none and stdin is a keyboard; ``prompt_encoding``.
    """
    piped = prompt in (None, "-")
    if piped and sys.stdin.isatty():
        raise UsageError("no prompt", hint='write it behind the command in quotes: expert-kit generate "..."', code="prompt_missing")
    try:
        text = sys.stdin.read() if piped else str(prompt)
    except UnicodeDecodeError as error:
        raise UsageError(f"stdin is no {error.encoding} text", hint="pipe UTF-8 text", code="prompt_encoding") from error
    if not text.strip():
        hint = "see what the command before the pipe printed" if piped else "a shell variable may not be set"
        raise UsageError("the prompt is empty", hint=hint, code="prompt_missing")
    return text


def read_choice(text: str) -> str | Path | None:
    """One written choice: ``None`` for the base, a path for an adapter folder, otherwise the text.

    A name of an expert may be a folder here by accident; it is taken as one only if an adapter lies in it.

    Raises:
        UsageError: it is empty.
    """
    if not text:
        # As a path it would be the folder that one is in; it is a shell variable that is not set.
        raise UsageError("a name or a folder is needed, this word is empty", hint="expert-kit list")
    if text == "base":
        return None
    folder = Path(text).expanduser()
    if text.startswith(("/", "./", "../", "~")) or (folder / "adapter_config.json").is_file():
        return folder
    return folder if folder.is_dir() and not _is_name(text) else text


def read_choices(experts: list[str] | None) -> Choice:
    """All ``--expert`` options of a command.

    Raises:
        UsageError: ``expert_options``, a word that stands for a whole choice beside another one.
    """
    if not experts:
        return "auto"
    if len(experts) == 1:
        return read_choice(experts[0])
    alone = next((text for text in experts if text in ("auto", "base") or text.startswith("mix:")), None)
    if alone is not None:
        raise UsageError(f"--expert {alone} stands alone", hint="leave out the other --expert options", code="expert_options")
    return [choice for text in experts if (choice := read_choice(text)) is not None]


def read_passphrase(path: Path | None) -> str | None:
    """First line of the file, or without one ``EXPERT_KIT_PASSPHRASE``; None if that is not set or empty.

    Raises:
        UsageError: ``passphrase_file``.
    """
    if path is None:
        return os.environ.get("EXPERT_KIT_PASSPHRASE") or None
    try:
        return (path.read_text(encoding="utf-8").splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the passphrase in {path}", hint="name a text file", code="passphrase_file") from error


MAX_SIGNATURES = 4 << 20
"""Bytes of a ``.sig`` file, as inside an archive."""


def read_signature(path: Path | None) -> bytes:
    """Lines of a ``.sig`` file; none without a file.

    Raises:
        UsageError: ``signature_file``.
    """
    if path is None:
        return b""
    from expert_kit.registry.plain_file import read_plain

    try:
        data = read_plain(path, MAX_SIGNATURES)
    except OSError as error:
        raise UsageError(
            f"cannot read the signature in {path}: {error.strerror}", hint="name a .sig file", code="signature_file"
        ) from error
    # A single bundle, as `expert-kit export` writes it, has no line end.
    return data if data.endswith(b"\n") or not data else data + b"\n"


def _is_name(text: str) -> bool:
    if text == "auto" or text.startswith("mix:"):
        return True
    try:
        ExpertRef.parse(text)
    except ExpertKitError:
        return False
    return True
