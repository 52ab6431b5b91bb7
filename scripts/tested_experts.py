"""The shipped experts beside their recipes' tests, and a home where all of them are installed, for the scripts that measure them."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock
from results_numbers import Domain

from expert_kit.archive import load_source, package
from expert_kit.base_models import BaseStore
from expert_kit.cli.suites import open_tests
from expert_kit.evaluation import Suite
from expert_kit.registry import Registry, bases_dir, registry_dir

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Tested:
    """A domain with what is run."""

    domain: Domain
    suites: Sequence[Suite]
    digests: dict[str, str]
    """Of the suites' files."""
    parts: str
    """Digest of weights and grammar, which decide the answers."""
    routing: str
    """Of its routing examples, which decide who answers."""
    base: str


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """With the options that every measuring of the experts has; ``about`` is the script's docstring."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / ".results", help="where the cells are kept (default: .results)")
    parser.add_argument("--only", type=lambda text: text.split(","), help="run the tests of these domains, comma separated")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch-size", type=int, default=16)
    return parser


def all_tested() -> list[Tested]:
    """Every expert of ``experts/``, by name."""
    return [_tested(name) for name in sorted(path.parent.name for path in ROOT.glob("experts/*/expert.yaml"))]


def _tested(name: str) -> Tested:
    source = load_source(ROOT / "experts" / name) if (ROOT / "experts" / name / "eval.yaml").is_file() else None
    described = yaml.safe_load((ROOT / "experts" / name / "expert.yaml").read_text(encoding="utf-8"))
    recipe, suites = open_tests(ROOT / "recipes" / name)
    digests = {suite.name: hashlib.sha256(suite.path.read_bytes()).hexdigest() for suite in suites}
    adapter = source.adapter if source else ROOT / "experts" / name / described["adapter"]
    files = [adapter / "adapter_config.json", adapter / "adapter_model.safetensors"]
    files += [ROOT / "experts" / name / described["grammar"]] if "grammar" in described else []
    parts = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    routing = hashlib.sha256((ROOT / "experts" / name / described["routing"]["examples"]).read_bytes()).hexdigest()
    return Tested(Domain(name, described["name"]), suites, digests, parts, routing, recipe.model_name_or_path)


def install_all(tested: Sequence[Tested], work: Path) -> None:
    """Pack and install into the work folder's home what is not there as it is now; from then on that is the home."""
    bases = bases_dir().resolve()
    home = work.resolve() / "home"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(work / "home.lock"):
        if not (home / "bases").exists():
            (home / "bases").symlink_to(bases)
        os.environ["EXPERT_KIT_HOME"] = str(home)
        state, now = home / "installed.json", {one.domain.name: one.parts + one.routing for one in tested}
        if state.is_file() and json.loads(state.read_text()) == now:
            return
        shutil.rmtree(registry_dir(), ignore_errors=True)
        records, registry = BaseStore(bases_dir()).records(), Registry(registry_dir())
        for one in tested:
            source = work / "source" / one.domain.name
            shutil.rmtree(source, ignore_errors=True)
            shutil.copytree(ROOT / "experts" / one.domain.name, source)
            # What is measured now does not depend on what was measured before.
            described = yaml.safe_load((source / "expert.yaml").read_text(encoding="utf-8"))
            described.pop("eval", None)
            (source / "expert.yaml").write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), encoding="utf-8")
            registry.install(package(source, work, records), bases=records, unsafe_allow_unsigned=True)
        state.write_text(json.dumps(now))
