"""What rounding an adapter to bfloat16 does to its test results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from expert_kit.cli.engine import open_engine
from expert_kit.cli.quiet import quiet_libraries
from expert_kit.cli.suites import open_tests, run_suites

if TYPE_CHECKING:
    from expert_kit.archive import ManifestSource
    from expert_kit.manifest import EvalResult


def measure_conversion(source: ManifestSource, recipe: Path, limit: int | None) -> list[EvalResult]:
    """Accuracy before and after on every test set of a recipe, in float32, so that nothing but the weights differs.

    Raises:
        UsageError: ``conversion_source``. Errors of the recipe, its data and its base model.
    """
    quiet_libraries()
    from expert_kit.archive import accuracy_change, to_bfloat16

    loaded, suites = open_tests(recipe)
    with (
        tempfile.TemporaryDirectory() as temporary,
        open_engine(loaded.model_name_or_path, device="auto", dtype="float32", quantization="none") as engine,
    ):
        base = engine.base.record.fingerprint.id
        before, after = source.variants.get(base, source.adapter), Path(temporary)
        (after / "adapter_config.json").write_bytes((before / "adapter_config.json").read_bytes())
        (after / "adapter_model.safetensors").write_bytes(to_bfloat16((before / "adapter_model.safetensors").read_bytes()))
        scores = run_suites(engine, suites, {"before": before, "after": after}, limit=limit)
    pairs = zip(scores[: len(suites)], scores[len(suites) :], strict=True)
    return [
        result for old, new in pairs for result in accuracy_change(old.suite, old.total, old.accuracy, new.accuracy, old.file_sha256, base)
    ]
