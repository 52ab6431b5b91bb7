"""``expert-kit train --package``: from the finished run to an archive, signed if a key was named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expert_kit.cli.output import emit_path, note
from expert_kit.cli.package import check_gate, check_ranges
from expert_kit.errors import ManifestError, UsageError
from expert_kit.names import printable

if TYPE_CHECKING:
    from expert_kit.signing import PrivateKey
    from expert_kit.training import TrainingResult

WHOLE = "expert"
"""Folder of a run with all that was packed."""


def check_run(source: Path, run: Path) -> None:
    """Refuse a run's folder in which packing would write over what no run wrote.

    Raises:
        UsageError: ``output_taken``.
    """
    from expert_kit.training import RUN_FILE

    whole = run / WHOLE
    if whole.resolve() == source.resolve():
        problem = "is the recipe's own folder"
    elif whole.exists() and not (run / RUN_FILE).is_file():
        problem = f"holds a folder {WHOLE} that no run wrote"
    else:
        return
    message = f"--output {printable(str(run))} {problem}, and --package puts the trained expert there"
    raise UsageError(message, hint="name another folder with --output", code="output_taken")


def check_source(recipe_folder: Path) -> Path:
    """The folder from which the run's expert will be packed; what packing would refuse about it is refused now.

    Raises:
        UsageError: ``recipe_without_expert``. ManifestError, ArchiveError, BaseModelError: as ``archive.package``.
    """
    from tempfile import TemporaryDirectory

    from expert_kit.archive import check_without_adapter, load_source
    from expert_kit.base_models import BaseStore
    from expert_kit.registry import bases_dir

    source = recipe_folder / "expert"
    if not (source / "expert.yaml").is_file():
        message = f"{printable(str(recipe_folder))} has no expert/expert.yaml to package with"
        raise UsageError(message, hint="write one; `expert-kit recipe new` shows how", code="recipe_without_expert")
    with TemporaryDirectory() as temporary:
        whole = Path(temporary) / "expert"
        shutil.copytree(source, whole)
        # What the run will bring.
        (whole / "adapter").mkdir(exist_ok=True)
        (whole / "eval.yaml").write_text("results: []\n", encoding="utf-8")
        loaded = load_source(whole)
        check_ranges(loaded)
        check_without_adapter(loaded, BaseStore(bases_dir()).records())
    return source


def pack_run(
    source: Path, result: TrainingResult, run: Path, out: Path, key: PrivateKey | None, *, allow_worse: bool = False
) -> dict[str, Any]:
    """Put adapter and scores beside the recipe's ``expert/`` in the run's folder, pack all into ``out``, and sign it.

    Raises:
        ManifestError: ``expert_not_better``, and as ``archive.package``.
    """
    from expert_kit.archive import load_source, pack
    from expert_kit.base_models import BaseStore
    from expert_kit.cli.probing import Probing
    from expert_kit.registry import bases_dir
    from expert_kit.registry.archives import sign_archive

    whole = run / WHOLE
    shutil.rmtree(whole, ignore_errors=True)
    shutil.copytree(source, whole)
    shutil.copytree(result.adapter, whole / "adapter", dirs_exist_ok=True)
    shutil.copyfile(run / "eval.json", whole / "eval.yaml")
    loaded = load_source(whole)
    try:
        gate = check_gate(loaded, allow_worse=allow_worse)
    except ManifestError:
        note(f"what was trained is in {printable(str(whole))}; expert-kit package packs it without training again")
        raise
    archive = pack(loaded, out, BaseStore(bases_dir()).records(), probes=Probing(), results=gate)
    signers = sign_archive(archive, key, None).signers if key is not None else ()
    return {"archive": str(archive), "signers": list(signers)}


def show_packed(packed: dict[str, Any]) -> None:
    """The archive, and what comes next."""
    emit_path(Path(packed["archive"]))
    path = printable(packed["archive"])
    if packed["signers"]:
        note(f"signed by {', '.join(packed['signers'])}; next: expert-kit install {path}")
    else:
        note(f"next: expert-kit sign {path} --key NAME")
