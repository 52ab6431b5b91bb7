"""What an author writes to have an expert packed: ``experts/<name>/expert.yaml`` and the files that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from expert_kit.archive.licenses import KnownLicense
from expert_kit.errors import ManifestError
from expert_kit.manifest import (
    BaseId,
    EvalResult,
    FullName,
    Label,
    Namespace,
    Positive,
    SemVer,
    Slug,
    Text,
    VersionRange,
    describe_problems,
)
from expert_kit.names import printable

SOURCE_NAME = "expert.yaml"
MAX_SOURCE_SIZE = 1 << 20
_PPM = 1_000_000


def _number_of_json(value: Any) -> Any:
    """A report may be JSON, in which 5e-05 is a number; to YAML 1.1, which wants a point in it, that is text."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]+[eE][-+]?[0-9]+", value) else value


_Fraction = Annotated[float, BeforeValidator(_number_of_json), Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


@dataclass(frozen=True)
class ManifestSource:
    """A checked source. The paths exist, inside the folder of the source."""

    name: str
    version: str
    publisher: str
    license: str
    summary: str
    tags: tuple[str, ...]
    bases: tuple[str, ...]
    """Ids of the base models, one at least."""
    adapter: Path
    """Folder as PEFT saves it: ``adapter_config.json`` and ``adapter_model.safetensors``. For all bases not in ``variants``."""
    folder: Path
    variants: Mapping[str, Path] = field(default_factory=dict)
    """Adapter folder of a base, by its id, that has weights of its own; ``adapter`` is the first of them if all have."""
    examples: Path | None = None
    card: Path | None = None
    grammar: Path | None = None
    """A ``.lark`` file that the expert's answers are held to."""
    eval: tuple[EvalResult, ...] = ()
    routing_parameters: Mapping[str, int] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    requires: Mapping[str, Any] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    """As ``merge`` wrote it; see ``manifest.Lineage``."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Routing(_Strict):
    examples: str | None = None
    parameters: dict[Slug, int] = {}


class _Requires(_Strict):
    expert_kit: VersionRange | None = Field(default=None, alias="expert-kit")
    experts: dict[FullName, VersionRange] | None = None


class _Base(_Strict):
    id: BaseId
    adapter: str | None = None


_Bases = BaseId | _Base | Annotated[list[BaseId | _Base], Field(min_length=1, max_length=64)]


class _Source(_Strict):
    name: FullName
    version: SemVer
    publisher: Namespace | None = None
    license: KnownLicense
    summary: Text
    tags: list[Slug] = []
    base: _Bases
    adapter: str | None = None
    routing: _Routing = _Routing()
    card: str | None = None
    grammar: str | None = None
    eval: str | None = None
    capabilities: list[Slug] = []
    requires: _Requires | None = None
    conflicts: dict[FullName, VersionRange] = {}
    lineage: dict[str, Any] = {}

    @property
    def bases(self) -> list[_Base]:
        """All bases in the order written, each in its long form."""
        listed = self.base if isinstance(self.base, list) else [self.base]
        return [_Base(id=one) if isinstance(one, str) else one for one in listed]


class _Result(BaseModel):
    """One row of an evaluation report; what else a report says (seeds, commands, hardware) stays in the report."""

    model_config = ConfigDict(extra="ignore", strict=True)
    suite: Label
    metric: Slug = "accuracy"
    n: Positive
    expert: _Fraction
    base: _Fraction | None = None


def load_source(path: Path) -> ManifestSource:
    """Read a source and check the files that it names.

    Args:
        path: the YAML file, or the folder with an ``expert.yaml``.

    Raises:
        ManifestError: ``source_invalid``, the message lists all problems; ``source_unreadable``.
    """
    path = path / SOURCE_NAME if path.is_dir() else path
    value = _read_yaml(path)
    try:
        source = _Source.model_validate(value)
    except ValidationError as error:
        raise _invalid(path, describe_problems(error)) from error
    problems = list(_path_problems(path.parent, source))
    results: tuple[EvalResult, ...] = ()
    if source.eval is not None and not any(problem.startswith("eval:") for problem in problems):
        results, found = _load_report(path.parent / source.eval)
        problems += found
    if problems:
        raise _invalid(path, problems)
    return _resolve(path.parent, source, results)


def with_report(source: ManifestSource, report: Path, card: Path | None = None) -> ManifestSource:
    """The source with the results of this report instead of its own, and with this card where it has none.

    Raises:
        ManifestError: ``source_invalid``, ``source_unreadable``.
    """
    results, problems = _load_report(report)
    if problems:
        raise _invalid(report, problems)
    return replace(source, eval=results, card=source.card or card)


def _resolve(folder: Path, source: _Source, results: tuple[EvalResult, ...]) -> ManifestSource:
    variants = {base.id: folder / base.adapter for base in source.bases if base.adapter is not None}
    return ManifestSource(
        name=source.name,
        version=source.version,
        publisher=source.publisher or source.name.split("/")[0],
        license=source.license,
        summary=source.summary,
        tags=tuple(sorted(set(source.tags))),
        bases=tuple(base.id for base in source.bases),
        adapter=folder / source.adapter if source.adapter is not None else next(iter(variants.values())),
        folder=folder,
        variants=variants,
        examples=folder / source.routing.examples if source.routing.examples is not None else None,
        card=folder / source.card if source.card is not None else None,
        grammar=folder / source.grammar if source.grammar is not None else None,
        eval=results,
        routing_parameters=source.routing.parameters,
        capabilities=tuple(sorted(set(source.capabilities))),
        requires=source.requires.model_dump(by_alias=True, exclude_none=True) if source.requires else {},
        conflicts=source.conflicts,
        lineage=source.lineage,
    )


def _path_problems(folder: Path, source: _Source) -> Iterator[str]:
    named = {"adapter": source.adapter, "routing.examples": source.routing.examples, "card": source.card, "eval": source.eval}
    named["grammar"] = source.grammar
    folders = {f"base.{base.id}.adapter": base.adapter for base in source.bases}
    for label, text in {**named, **folders}.items():
        if text is None:
            continue
        wanted, is_folder = folder / text, label.endswith("adapter")
        if not _is_inside(folder, text):
            yield f"{label}: {printable(text)!r} is not a path inside the folder of the source"
        elif is_folder and not wanted.is_dir():
            yield f"{label}: there is no folder {printable(text)!r}"
        elif not is_folder and not wanted.is_file():
            yield f"{label}: there is no file {printable(text)!r}"
    if source.grammar is not None and not source.grammar.endswith(".lark"):
        yield f"grammar: {printable(source.grammar)!r} is no .lark file, and this version applies no others"
    yield from _base_problems(source)


def _base_problems(source: _Source) -> Iterator[str]:
    sharing = [base.id for base in source.bases if base.adapter is None]
    if source.adapter is None and sharing:
        yield f"adapter: there is none for {', '.join(sharing)}"
    if source.adapter is not None and not sharing:
        yield "adapter: every base has an adapter of its own"
    for twice in sorted({base.id for base in source.bases if [other.id for other in source.bases].count(base.id) > 1}):
        yield f"base: {twice} stands twice"


def _is_inside(folder: Path, text: str) -> bool:
    pure = PurePosixPath(text)
    if not text.isprintable() or "\\" in text or pure.is_absolute() or ".." in pure.parts:
        return False
    return (folder / text).resolve().is_relative_to(folder.resolve())


def _load_report(path: Path) -> tuple[tuple[EvalResult, ...], list[str]]:
    """Results of a report: a list of rows, or a mapping with that list under ``results``."""
    value = _read_yaml(path)
    rows = value.get("results") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        return (), ["eval: the report has no list of results"]
    results, problems = [], []
    for number, row in enumerate(rows):
        try:
            results.append(_result(_Result.model_validate(row)))
        except ValidationError as error:
            problems += [f"eval: result {number}: {line}" for line in describe_problems(error)]
    return tuple(results), problems


def _result(row: _Result) -> EvalResult:
    base = None if row.base is None else _ppm(row.base)
    return EvalResult(suite=row.suite, metric=row.metric, n=row.n, value_ppm=_ppm(row.expert), base_ppm=base)


def _ppm(fraction: float) -> int:
    return round(Decimal(repr(fraction)) * _PPM)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key stands once and nothing is written by reference."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not used")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) != len(node.value):
            raise yaml.YAMLError(f"a key stands twice, or is no plain text, near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SOURCE_SIZE + 1)
    except OSError as error:
        message = f"cannot read {printable(str(path))}: {error.strerror}"
        raise ManifestError(message, hint="give the path of an expert.yaml", code="source_unreadable") from error
    if len(data) > MAX_SOURCE_SIZE:
        raise _invalid(path, [f"larger than {MAX_SOURCE_SIZE} bytes"])
    try:
        return yaml.load(data.decode("utf-8"), Loader=_Loader)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:  # PyYAML's own, as of !!bool maybe
        raise _invalid(path, [f"not YAML: {error}"]) from error


def _invalid(path: Path, problems: list[str]) -> ManifestError:
    lines = "; ".join(printable(" ".join(problem.split())) for problem in problems)
    return ManifestError(f"{printable(str(path))}: {lines}", hint="correct the file and run the command again", code="source_invalid")
