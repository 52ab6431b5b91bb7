"""Fitted routers on disk: one safetensors file a fit, named by what it was fitted on."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from expert_kit.routing.corpus import Corpus
from expert_kit.routing.coverage import CoverageModel, CoverageRule
from expert_kit.routing.fitted import Fitted, Report
from expert_kit.routing.fusion import Fusion
from expert_kit.routing.scorers import ROUTERS
from expert_kit.whole_file import replace_whole

_LOG = logging.getLogger(__name__)
KEPT: Final = 4
"""Fits that stay on disk, the newest ones: one a base model, and the last one, so that taking a change back costs nothing."""

_COVERAGE: Final = ("whiten", "means", "centroids", "background")


class StateFolder:
    """Fits by their key. The folder belongs to the user; a file that cannot be read is fitted again, never trusted halfway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str, corpus: Corpus) -> Fitted | None:
        """The fit with this key; None if there is none, or it is damaged.

        Args:
            key: from ``fit_key``, so that a fit on anything else is never found.
            corpus: what the key was made of.
        """
        path = self._path(key)
        try:
            with safe_open(path, framework="np") as file:
                facts = json.loads(file.metadata()["fit"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return _unpack(key, corpus, arrays, facts)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            _LOG.warning("the fitted router %s is damaged and will be fitted again: %s", path, error)
            return None

    def save(self, fitted: Fitted) -> None:
        """Write it whole or not at all, and drop the oldest ones. A folder that cannot be written is a warning."""
        arrays = {f"{name}/{part}": array for name, router in fitted.routers.items() for part, array in router.arrays().items()}
        arrays |= {f"coverage/{name}": getattr(fitted.coverage, name) for name in _COVERAGE}
        facts = {
            "fusion": fitted.fusion._asdict(),
            "rule": asdict(fitted.rule),
            "quantile": fitted.quantile,
            "report": asdict(fitted.report),
        }
        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"fit": json.dumps(facts)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_whole(self._path(fitted.key), data)
            for old in sorted(self.folder.glob("*.safetensors"), key=lambda path: -path.stat().st_mtime)[KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("the fitted router is not kept for the next time: %s", error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def _unpack(key: str, corpus: Corpus, arrays: dict[str, Any], facts: dict[str, Any]) -> Fitted:
    fusion, report = Fusion(**facts["fusion"]), Report(**facts["report"])
    routers = {}
    for name in fusion.weights:
        own = {full.partition("/")[2]: array for full, array in arrays.items() if full.startswith(f"{name}/")}
        routers[name] = ROUTERS[name].load(own, corpus)
    coverage = CoverageModel(corpus, *(arrays[f"coverage/{name}"] for name in _COVERAGE))
    return Fitted(key, corpus, routers, fusion, coverage, CoverageRule(**facts["rule"]), facts["quantile"], report)
