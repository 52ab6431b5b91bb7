"""What an expert is: the manifest ``expert.json``, its identity, and the statement that a signature covers.

A manifest is RFC 8785 canonical JSON or it is refused, its scalars are strings and integers only, and its schema is
closed. Fields that no command uses yet (``requires``, ``grammar``, ``probe``, ``variant`` ...) are part of ``expert/1``
already, so that using them does not change the format. Pydantic is for making and checking; nothing here touches files.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, NoReturn, Self

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema, model_validator

from expert_kit.bases import ADAPTER_KINDS, LORA, AdapterSpec, BaseFingerprint
from expert_kit.errors import ExpertKitError, ManifestError
from expert_kit.names import (
    DIGEST_PATTERN,
    NAME_PATTERN,
    Digest,
    ExpertRef,
    check_member_path,
    parse_version,
    printable,
    sha256_digest,
)

MANIFEST_NAME = "expert.json"
WEIGHTS_NAME = "adapter_model.safetensors"
MAX_MANIFEST_SIZE = 1 << 20
MAX_DEPTH = 8
MAX_VALUES = 1 << 15
"""Of one JSON text, about: its commas. The largest legal manifest has some 8,000."""
MAX_INTEGER = (1 << 53) - 1
MAX_RANK = 512
MAX_VIRTUAL_TOKENS = 1024
"""Places that a soft prompt takes."""
MAX_NAME_LENGTH = 200
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"

DOTTED_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
"""A plain module name. PEFT compiles such names as regular expressions, so nothing else may get through."""

_SPDX = re.compile(r"\(*[A-Za-z0-9][A-Za-z0-9.+:-]*\)*( (AND|OR|WITH) \(*[A-Za-z0-9][A-Za-z0-9.+:-]*\)*)*")
_RANGE = r"[0-9A-Za-z.*^~<>=| +-]{1,128}"
_BASE_ID = r"[a-z0-9][a-z0-9._-]{0,63}"
# Also matches a string without end, so that the scan stays linear on any input.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)

# role -> (exact names and extensions, media type)
ROLES: dict[str, tuple[re.Pattern[str], str]] = {
    "weights": (re.compile(r"(.*/)?[^/]+\.safetensors"), "application/vnd.safetensors"),
    "config": (re.compile(r"(.*/)?adapter_config\.json"), "application/json"),
    "probe": (re.compile(r"probe/[^/]+\.json"), "application/json"),
    "routing": (re.compile(r"routing/examples\.jsonl"), "application/jsonl"),
    "grammar": (re.compile(r"grammar/[^/]+\.(ebnf|gbnf|lark|txt)"), "text/plain"),
    "tokenizer": (re.compile(r"(tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json"), "application/json"),
    "template": (re.compile(r"chat_template\.jinja"), "text/plain"),
    "card": (re.compile(r"README\.md"), "text/markdown"),
    "license": (re.compile(r"LICENSE|NOTICE"), "text/plain"),
}


def role_of(path: str) -> str | None:
    """Role of a member by its exact name or extension; None: no member may have this name."""
    return next((role for role, (names, _) in ROLES.items() if names.fullmatch(path)), None)


def _dotted_name(value: str) -> str:
    if len(value) > MAX_NAME_LENGTH or not DOTTED_NAME.fullmatch(value):
        raise ValueError("not a plain dotted name")
    return value


def _spdx(value: str) -> str:
    if not _SPDX.fullmatch(value) or value.count("(") != value.count(")"):
        raise ValueError("not an SPDX licence expression, such as Apache-2.0")
    return value


def _member_path(value: str) -> str:
    try:
        return check_member_path(value)
    except ExpertKitError as error:
        raise ValueError("unsafe member name") from error


def _version(value: str) -> str:
    try:
        return parse_version(value)
    except ExpertKitError as error:
        raise ValueError("not a SemVer 2.0 version") from error


def _full_name(value: str) -> str:
    try:
        ref = ExpertRef.parse(value)
    except ExpertKitError as error:
        raise ValueError("not namespace/name") from error
    if ref.version is not None:
        raise ValueError("a version does not belong into the name")
    return value


def _published(kind: str) -> WithJsonSchema:
    """The kind of a string in the published JSON Schema; ``scripts/refresh_schema.py`` says what matches it."""
    return WithJsonSchema({"type": "string", "format": kind})


BaseId = Annotated[str, StringConstraints(pattern=f"^{_BASE_ID}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
_Path = Annotated[str, AfterValidator(_member_path), _published("path")]
SemVer = Annotated[str, AfterValidator(_version), _published("version")]
Namespace = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN}$")]
LicenseExpression = Annotated[str, StringConstraints(max_length=200), AfterValidator(_spdx), _published("licence")]
_Sha256 = Annotated[Digest, StringConstraints(pattern=f"^{DIGEST_PATTERN}$")]
_ModuleName = Annotated[str, AfterValidator(_dotted_name), _published("module")]
FullName = Annotated[str, AfterValidator(_full_name), _published("full-name")]
VersionRange = Annotated[str, StringConstraints(pattern=f"^{_RANGE}$")]
_Flag = Literal[0, 1]
_Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Positive = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
_Integer = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
_Rank = Annotated[int, Field(ge=1, le=MAX_RANK)]
_Alpha = Annotated[int, Field(ge=1, le=1 << 20)]
_Dtype = Literal["F32", "F16", "BF16"]
_WholeLayer = Literal["embed_tokens", "lm_head", "wte"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FileEntry(_Closed):
    """One member of the archive: every one but ``expert.json`` and ``META/``."""

    path: _Path
    size: Annotated[int, Field(ge=0, lt=1 << 32)]
    sha256: _Sha256
    role: str
    media_type: str

    @model_validator(mode="after")
    def _role_fits_name(self) -> Self:
        names, media_type = ROLES.get(self.role, (None, ""))
        if names is None or not names.fullmatch(self.path):
            raise ValueError(f"{self.path!r} is no name for the role {self.role!r}")
        if self.media_type != media_type:
            raise ValueError(f"the media type of {self.role!r} is {media_type!r}")
        return self


class HfSource(_Closed):
    """Where the base model came from; a label only."""

    repo: Label
    revision: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40})?$")]


class Variant(_Closed):
    """Weights of their own for one base, where several bases do not share one adapter."""

    weights: _Path
    rank: _Rank | None = None
    """With ``alpha``: of LoRA, and of LoRA only."""
    alpha: _Alpha | None = None
    targets_sha256: _Sha256


class BaseEntry(_Closed):
    """A base model that the expert was made for; the fields of ``BaseFingerprint``, and what is stored for it."""

    id: BaseId
    arch: Label
    config_sha256: _Sha256
    structure_sha256: _Sha256
    weights_root_sha256: _Sha256
    tokenizer_sha256: _Sha256
    chat_template_sha256: _Sha256
    vocab_size: Positive
    hidden_size: Positive
    layers: Positive
    dtype_policy: Slug | None = None
    hf: HfSource | None = None
    probe: _Path | None = None
    variant: Variant | None = None

    @property
    def fingerprint(self) -> BaseFingerprint:
        """The same as plain data."""
        labels: dict[str, Any] = {"hf_repo": self.hf.repo, "hf_revision": self.hf.revision} if self.hf else {}
        return BaseFingerprint(**self.model_dump(exclude={"dtype_policy", "hf", "probe", "variant"}), **labels)

    @classmethod
    def of(cls, fingerprint: BaseFingerprint) -> Self:
        """The entry of this base model, without probe and variant."""
        fields = {name: value for name, value in vars(fingerprint).items() if not name.startswith("hf_")}
        hf = HfSource(repo=fingerprint.hf_repo, revision=fingerprint.hf_revision) if fingerprint.hf_repo else None
        return cls(**fields, hf=hf)


class AdapterBlock(_Closed):
    """Normalised LoRA configuration. ``lora_alpha`` is an integer, flags are 0 or 1."""

    peft_type: Literal["LORA"]
    r: _Rank
    lora_alpha: _Alpha
    target_modules: Annotated[tuple[_ModuleName, ...], Field(min_length=1, max_length=1024)]
    rank_pattern: Annotated[dict[_ModuleName, _Rank], Field(max_length=1024)]
    alpha_pattern: Annotated[dict[_ModuleName, _Alpha], Field(max_length=1024)]
    use_rslora: _Flag
    use_dora: _Flag
    dtype: _Dtype
    modules_to_save: Annotated[tuple[_WholeLayer, ...], Field(min_length=1, max_length=2)] | None = None
    """Whole layers of its own: keys of ``WHOLE_LAYERS``."""

    @model_validator(mode="after")
    def _sorted_names(self) -> Self:
        _check_sorted("target_modules", self.target_modules)
        _check_sorted("modules_to_save", self.modules_to_save or ())
        return self

    @property
    def spec(self) -> AdapterSpec:
        """The same as plain data."""
        flags = {"use_rslora": bool(self.use_rslora), "use_dora": bool(self.use_dora)}
        return AdapterSpec(**(self.model_dump(exclude_none=True) | flags))


class Ia3Block(_Closed):
    """Normalised IA3 configuration."""

    peft_type: Literal["IA3"]
    target_modules: Annotated[tuple[_ModuleName, ...], Field(min_length=1, max_length=1024)]
    feedforward_modules: Annotated[tuple[_ModuleName, ...], Field(max_length=1024)]
    dtype: _Dtype

    @model_validator(mode="after")
    def _sorted_targets(self) -> Self:
        _check_sorted("target_modules", self.target_modules)
        _check_sorted("feedforward_modules", self.feedforward_modules)
        if not set(self.feedforward_modules) <= set(self.target_modules):
            raise ValueError("feedforward_modules names what is not in target_modules")
        return self

    @property
    def spec(self) -> AdapterSpec:
        """The same as plain data."""
        return AdapterSpec.ia3(self.target_modules, self.feedforward_modules, self.dtype)


class SoftPromptBlock(_Closed):
    """Normalised configuration of prompt tuning or prefix tuning."""

    peft_type: Literal["PROMPT_TUNING", "PREFIX_TUNING"]
    num_virtual_tokens: Annotated[int, Field(ge=1, le=MAX_VIRTUAL_TOKENS)]
    dtype: _Dtype

    @property
    def spec(self) -> AdapterSpec:
        """The same as plain data."""
        return AdapterSpec.soft_prompt(self.peft_type, self.num_virtual_tokens, self.dtype)


AnyAdapterBlock = Annotated[AdapterBlock | Ia3Block | SoftPromptBlock, Field(discriminator="peft_type")]


def _check_sorted(field: str, names: tuple[str, ...]) -> None:
    if list(names) != sorted(set(names)):
        raise ValueError(f"{field} is not sorted and unique")


class Routing(_Closed):
    """What the router may use: example prompts (text), and integer parameters."""

    examples: _Path | None = None
    parameters: Annotated[dict[Slug, _Integer], Field(max_length=32)] | None = None


class Grammar(_Closed):
    """Grammar of the answers: a text file, and integer parameters."""

    path: _Path
    kind: Slug
    parameters: Annotated[dict[Slug, _Integer], Field(max_length=32)] | None = None


class Requires(_Closed):
    """Version ranges, npm style, of expert-kit and of other experts."""

    expert_kit: VersionRange | None = Field(default=None, alias="expert-kit")
    experts: Annotated[dict[FullName, VersionRange], Field(min_length=1, max_length=64)] | None = None


GENERAL_SUITE = "general-text"
GENERAL_METRIC = "perplexity"
"""Suite and metric of the row that says what an expert does to ordinary text; ``n`` is its tokens."""


class EvalResult(_Closed):
    """A measured value in millionths (ppm of 1), and that of the base model alone, over the same ``n`` rows."""

    suite: Label
    metric: Slug
    n: Positive
    value_ppm: _Integer
    base_ppm: _Integer | None = None
    base: BaseId | None = None
    split: Slug | None = None
    data_sha256: _Sha256 | None = None


class Parent(_Closed):
    """An expert that another was merged from; one that was only a folder has no name."""

    identity: _Sha256
    """Digest of its ``expert.json``; of configuration and weights for a folder."""
    weight_ppm: _Integer
    name: FullName | None = None
    version: SemVer | None = None


class Lineage(_Closed):
    """How an expert was merged from others."""

    method: Slug
    parents: Annotated[tuple[Parent, ...], Field(min_length=2, max_length=64)]
    rank: Annotated[int, Field(ge=1, le=MAX_RANK)]
    residual_ppm: Annotated[int, Field(ge=0, le=1_000_000)]
    """Largest share of a module's delta that was lost by cutting it to the rank."""
    density_ppm: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    tool: Label


class Manifest(_Closed):
    """The content of ``expert.json``. Made by :meth:`parse` from bytes, or field by field by the packer."""

    schema_: Literal["expert/1"] = Field(alias="schema")
    name: FullName
    version: SemVer
    publisher: Namespace
    license: LicenseExpression
    summary: Text
    tags: Annotated[tuple[Slug, ...], Field(max_length=32)]
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=255)]
    bases: Annotated[tuple[BaseEntry, ...], Field(min_length=1, max_length=64)]
    adapter: AnyAdapterBlock
    routing: Routing | None = None
    grammar: Grammar | None = None
    card: _Path | None = None
    requires: Requires | None = None
    conflicts: Annotated[dict[FullName, VersionRange], Field(min_length=1, max_length=64)] | None = None
    capabilities: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=64)] | None = None
    eval: Annotated[tuple[EvalResult, ...], Field(min_length=1, max_length=256)] | None = None
    lineage: Lineage | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._list_problems(), *self._reference_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _list_problems(self) -> Iterator[str]:
        if self.publisher != self.name.split("/")[0]:
            yield "publisher is not the namespace of the name, by which trust is given"
        for label, values in (("tags", self.tags), ("capabilities", self.capabilities or ())):
            if list(values) != sorted(set(values)):
                yield f"{label} is not sorted and unique"
        paths = [entry.path for entry in self.files]
        if paths != sorted(paths):
            yield "files is not sorted by path"
        yield from path_clashes([MANIFEST_NAME, *paths])
        if any(path.split("/")[0].casefold() == "meta" for path in paths):
            yield "META/ is not part of files"
        if len({base.id for base in self.bases}) != len(self.bases):
            yield "two bases of one id"
        has_rank = self.adapter.peft_type == LORA
        if any((one.rank is None) is has_rank or (one.alpha is None) is has_rank for base in self.bases if (one := base.variant)):
            yield "a variant has rank and alpha if the adapter is LoRA, and only then"

    def _reference_problems(self) -> Iterator[str]:
        roles = {entry.path: entry.role for entry in self.files}
        wanted = [("weights", self._weights_path(base)) for base in self.bases]
        wanted += [("probe", base.probe) for base in self.bases if base.probe is not None]
        if self.routing is not None and self.routing.examples is not None:
            wanted.append(("routing", self.routing.examples))
        if self.grammar is not None:
            wanted.append(("grammar", self.grammar.path))
        if self.card is not None:
            wanted.append(("card", self.card))
        for role, path in wanted:
            if roles.get(path) != role:
                yield f"files has no {path!r} with the role {role!r}"
        # A configuration is about the weights beside it.
        folders = (self._weights_path(base).rpartition("/")[0] for base in self.bases)
        used = {path for _, path in wanted} | {f"{folder}/adapter_config.json".lstrip("/") for folder in folders}
        for path, role in roles.items():
            if role in {"weights", "config", "probe", "routing", "grammar", "card"} and path not in used:
                yield f"nothing refers to {path!r}"

    @staticmethod
    def _weights_path(base: BaseEntry) -> str:
        return base.variant.weights if base.variant else WEIGHTS_NAME

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take the bytes of ``expert.json``: canonical, or refused.

        Raises:
            ManifestError: ``manifest_too_large``, ``manifest_too_deep``, ``manifest_not_json``, ``manifest_duplicate_key``,
                ``manifest_not_canonical``, ``manifest_scalar``, ``manifest_schema_unknown`` or ``manifest_invalid``.
        """
        value = parse_canonical(data)
        schema = value.get("schema") if isinstance(value, dict) else None
        if isinstance(schema, str) and schema != "expert/1":
            raise ManifestError(
                f"manifest schema {printable(schema[:40])!r} is not known, expected 'expert/1'",
                hint="install a newer expert-kit",
                code="manifest_schema_unknown",
            )
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            raise ManifestError(f"{MANIFEST_NAME}: {_describe(error)}", hint="ask the publisher for a new archive") from error
        if manifest.to_bytes() != data:  # pragma: no cover - no field of today; keeps identity a function of the bytes
            raise ManifestError(f"{MANIFEST_NAME}: says something that the schema does not", code="manifest_not_canonical")
        return manifest

    def to_bytes(self) -> bytes:
        """The canonical bytes; ``Manifest.parse`` of them gives an equal manifest."""
        return rfc8785.dumps(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    @cached_property
    def identity(self) -> Digest:
        """Digest of the canonical bytes: the identity of the expert, whatever container and signatures it has."""
        return sha256_digest(self.to_bytes())

    @property
    def ref(self) -> ExpertRef:
        """Name and version."""
        return ExpertRef.parse(f"{self.name}@{self.version}")

    def file(self, path: str) -> FileEntry:
        """The entry of this path.

        Raises:
            KeyError: there is none.
        """
        for entry in self.files:
            if entry.path == path:
                return entry
        raise KeyError(path)

    def weights_of(self, base: BaseEntry) -> FileEntry:
        """The weights for this base: its variant's, or the ones that all bases share."""
        return self.file(self._weights_path(base))

    def adapter_spec(self, base: BaseEntry) -> AdapterSpec:
        """The adapter's configuration on this base, as plain data."""
        spec, variant = self.adapter.spec, base.variant
        return replace(spec, r=variant.rank, lora_alpha=variant.alpha) if variant and variant.rank and variant.alpha else spec


def path_clashes(paths: list[str]) -> Iterator[str]:
    """Say which paths are not distinct as files: equal after casefold, or a file where another needs a folder."""
    folded = [path.casefold() for path in paths]
    seen: set[str] = set()
    for path, low in zip(paths, folded, strict=True):
        if low in seen:
            yield f"two members named {path!r}"
        seen.add(low)
    folders = {low.rsplit("/", depth)[0] for low in folded for depth in range(1, low.count("/") + 1)}
    yield from (f"{path!r} is both a file and a folder" for path, low in zip(paths, folded, strict=True) if low in folders)


def parse_canonical(data: bytes) -> Any:
    """JSON value of RFC 8785 canonical bytes with strings and integers only.

    Raises:
        ManifestError: see :meth:`Manifest.parse`.
    """
    _check_limits(data)
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_float=_refuse_number, parse_constant=_refuse_number
        )
        canonical = rfc8785.dumps(value)
    except ValueError as error:
        raise _not_json(error) from error
    if canonical != data:
        raise ManifestError("not in canonical form (RFC 8785)", hint="let expert-kit write the manifest", code="manifest_not_canonical")
    _check_scalars(value)
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """JSON object of a file that is not canonical, under the same limits; no duplicate keys, NaN or infinities.

    Raises:
        ManifestError: ``manifest_too_large``, ``manifest_too_deep``, ``manifest_duplicate_key`` or ``manifest_not_json``.
    """
    _check_limits(data)
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_refuse_number)
    except ValueError as error:
        raise _not_json(error) from error
    if not isinstance(value, dict):
        raise ManifestError("not a JSON object", code="manifest_not_json")
    return value


def _not_json(error: ValueError) -> ManifestError:
    return ManifestError(f"not valid JSON: {printable(str(error)[:200])}", code="manifest_not_json")


def _check_limits(data: bytes) -> None:
    if len(data) > MAX_MANIFEST_SIZE:
        raise ManifestError(f"{len(data)} bytes of JSON, at most {MAX_MANIFEST_SIZE} are allowed", code="manifest_too_large")
    structure, depth = _STRINGS.sub(b"", data), 0
    if structure.count(b",") > MAX_VALUES:
        raise ManifestError(f"more than {MAX_VALUES} values in one JSON text", code="manifest_too_large")
    for bracket in re.findall(rb"[\[\]{}]", structure):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ManifestError(f"nested deeper than {MAX_DEPTH} levels", code="manifest_too_deep")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ManifestError("a key stands twice in one JSON object", code="manifest_duplicate_key")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ManifestError(f"the number {printable(text[:40])} is not an integer", code="manifest_scalar")


def _check_scalars(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_scalars(key)
            _check_scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_scalars(inner)
    elif isinstance(value, str):
        if not value.isprintable() or not unicodedata.is_normalized("NFC", value):
            raise ManifestError(f"text is not printable or not NFC: {printable(value[:80])!r}", code="manifest_scalar")
    elif type(value) is not int:
        raise ManifestError("true, false and null are not used: flags are 0 or 1", code="manifest_scalar")


def _describe(error: ValidationError) -> str:
    """All problems of a validation in one line, with where and what, and without the rejected input."""
    return printable("; ".join(describe_problems(error))[:4000])


def describe_problems(error: ValidationError) -> list[str]:
    """One line per problem of a validation: where and what, without the rejected input."""
    items = error.errors(include_input=False, include_url=False)
    # The kind of an adapter is a choice of the schema, and no field.
    places = ([str(part) for part in item["loc"] if part not in ADAPTER_KINDS] for item in items)
    lines = (f"{'.'.join(place)}: {item['msg']}" for place, item in zip(places, items, strict=True))
    return [line.removeprefix(": ").replace("Value error, ", "") for line in lines]


def statement_bytes(manifest: Manifest) -> bytes:
    """The in-toto statement that a signature covers, RFC 8785: a pure function of the manifest.

    It lists the digests of ``expert.json`` and of every file, sorted by name; the subject's digest is SHA-256 over the
    concatenated raw digests in that order.

    Source: OpenSSF Model Signing v1.0; in-toto Statement v1.
    """
    digests = {MANIFEST_NAME: manifest.identity, **{entry.path: entry.sha256 for entry in manifest.files}}
    resources = [
        {"name": name, "digest": digest.removeprefix("sha256:"), "algorithm": "sha256"} for name, digest in sorted(digests.items())
    ]
    root = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    return rfc8785.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": manifest.ref.file_stem, "digest": {"sha256": root}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
                "resources": resources,
            },
        }
    )
