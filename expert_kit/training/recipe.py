"""A recipe: one YAML file that says which base, data and settings give an adapter.

Keys are spelled as in transformers ``TrainingArguments``, peft ``LoraConfig`` (with ``lora_``) and TRL (``max_length``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from expert_kit.errors import RecipeError

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$")]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class DatasetConfig(_Closed):
    """Where the rows come from. Paths are relative to the recipe; rows are JSON lines with ``prompt`` and ``completion``."""

    train: Path
    validation: Path
    prepare: Path | None = None
    """Script run as ``python SCRIPT --out FOLDER`` when a data file is missing; it writes the files named here."""


class TestSet(_Closed):
    """Held-out rows and the check that scores an answer."""

    path: Path
    task: str
    """Name of a check in ``expert_kit.evaluation``."""
    max_new_tokens: PositiveInt = 96
    grammar: Path | None = None
    """File beside the recipe, to which the answers of an adapter folder are held. An installed expert has its own, and the base none."""

    @field_validator("grammar")
    @classmethod
    def _inside(cls, value: Path | None) -> Path | None:
        if value is not None and (value.is_absolute() or ".." in value.parts):
            raise ValueError("is not a path inside the recipe's folder")
        return value


class Recipe(_Closed):
    """A checked recipe. Fields that TrainingArguments has keep its meaning."""

    model_name_or_path: str
    method: Literal["sft", "dpo", "distill"] = "sft"
    """Learn the completions; prefer ``chosen`` to ``rejected`` (DPO, arXiv:2305.18290); or learn what a larger model thinks of one's own
    answers (on-policy distillation, arXiv:2306.13649). The latter two run on TRL."""
    dataset: DatasetConfig
    tests: dict[str, TestSet] = Field(default_factory=dict)
    max_length: PositiveInt = 1024
    """Tokens of prompt and completion; longer rows are left out and counted."""

    load_in_4bit: bool = False
    """QLoRA (arXiv:2305.14314): train LoRA over a base whose weights are the 4-bit ones of bitsandbytes. Less memory, more time; the
    adapter is an ordinary one, but knows the rounded base."""

    beta: NonNegativeFloat | None = None
    """As in TRL. ``dpo``: how close to stay to the base, 0.1 if not given. ``distill``: the divergence, from 0 (forward) to 1 (reverse),
    which is what counts if it is not given."""
    teacher: str | None = None
    """``distill``: a base that was pulled, larger than ``model_name_or_path`` and with the same tokens."""
    max_completion_length: PositiveInt = 128
    """``distill``: tokens of the answers that the student learns from."""

    peft_type: Literal["lora", "ia3", "prompt_tuning", "prefix_tuning"] = "lora"
    """Kind of adapter; only the keys of this kind may be given."""
    lora_r: Annotated[int, Field(ge=1, le=512)] = 16
    lora_alpha: PositiveInt = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    lora_target_modules: Literal["all-linear"] | list[_Name] = "all-linear"
    use_rslora: bool = False
    use_dora: bool = False
    """DoRA (arXiv:2402.09353): direction and magnitude apart."""
    ia3_target_modules: list[_Name] | None = None
    """``None`` takes those that PEFT knows for the architecture: keys, values and the second layer of the feed-forward part."""
    ia3_feedforward_modules: list[_Name] | None = None
    """Those of the targets whose input is scaled, not their output."""
    num_virtual_tokens: Annotated[int, Field(ge=1, le=1024)] = 16
    """Of prompt tuning and prefix tuning."""
    init_adapter: Path | None = None
    """Folder of an adapter in PEFT's format, relative to the recipe, whose weights training goes on from; its kind, shape and scale are
    those of the recipe's keys. Steps and learning rate begin anew, unlike with ``--resume``."""
    adapter_dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the saved factors. Training itself keeps them in float32; so are its losses. The recipe's tests run on the saved file."""

    learning_rate: PositiveFloat = 2e-4
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup_steps: NonNegativeFloat = 0.03
    """Steps; below 1 the fraction of all steps."""
    weight_decay: NonNegativeFloat = 0.0
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=True)] = 1.0
    """``.inf`` never clips."""
    num_train_epochs: PositiveFloat = 1.0
    max_steps: Annotated[int, Field(ge=-1)] = -1
    """Instead of ``num_train_epochs``; -1 for none."""
    per_device_train_batch_size: PositiveInt = 8
    per_device_eval_batch_size: PositiveInt = 8
    gradient_accumulation_steps: PositiveInt = 1
    train_sampling_strategy: Literal["random", "sequential", "group_by_length"] = "group_by_length"
    bf16: bool | Literal["auto"] = "auto"
    """Run the base in bfloat16; ``auto`` where the hardware multiplies it faster than float32."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """As large as NumPy takes it."""

    logging_steps: PositiveInt = 10
    eval_strategy: Literal["no", "steps", "epoch"] = "steps"
    eval_steps: PositiveInt = 100
    save_steps: PositiveInt = 100
    save_total_limit: PositiveInt = 2
    early_stopping_patience: NonNegativeInt = 0
    """Evaluations without a better loss before training stops; 0 never stops early."""
    early_stopping_threshold: NonNegativeFloat = 0.0

    @field_validator("eval_strategy", mode="before")
    @classmethod
    def _yaml_reads_no_as_false(cls, value: Any) -> Any:
        return "no" if value is False else value

    @field_validator("max_steps")
    @classmethod
    def _some_steps_or_no_bound(cls, value: int) -> int:
        if value == 0:
            raise ValueError("is at least 1, or -1 for as many as the epochs have")
        return value

    @model_validator(mode="after")
    def _keys_are_of_the_kind(self) -> Recipe:
        others = {key: kinds for key, kinds in _KIND_KEYS.items() if key in self.model_fields_set and self.peft_type not in kinds}
        if others:
            raise ValueError(f"{', '.join(others)} has no meaning with peft_type: {self.peft_type}")
        if self.peft_type not in _ON_TRL and self.method != "sft":
            raise ValueError(f"peft_type: {self.peft_type} is trained with method: sft only")
        if (self.ia3_target_modules is None) is not (self.ia3_feedforward_modules is None):
            raise ValueError("ia3_target_modules and ia3_feedforward_modules are given together, or neither")
        return self

    @model_validator(mode="after")
    def _keys_are_of_the_method(self) -> Recipe:
        others = [key for key, methods in _METHOD_KEYS.items() if key in self.model_fields_set and self.method not in methods]
        if others:
            raise ValueError(f"{', '.join(others)} has no meaning with method: {self.method}")
        if self.load_in_4bit and (self.peft_type != "lora" or self.method != "sft"):
            raise ValueError("load_in_4bit is for peft_type: lora and method: sft")
        if self.init_adapter is not None and self.method != "sft":
            raise ValueError("init_adapter is for method: sft")  # DPO would take the base for its reference, not the adapter
        if (self.method == "distill") is not (self.teacher is not None):
            raise ValueError("method: distill needs a teacher")
        return self

    def described(self) -> dict[str, Any]:
        """All fields as plain data; those that came later only where they are set, so that older runs can be gone on with."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if name not in _LATER_KEYS or getattr(self, name) != fields[name].default
        }

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Recipe:
        if self.early_stopping_patience and self.eval_strategy == "no":
            raise ValueError("early_stopping_patience needs eval_strategy: steps or epoch")
        if self.early_stopping_patience and self.eval_strategy == "steps" and self.save_steps % self.eval_steps:
            raise ValueError("save_steps must be a multiple of eval_steps when early_stopping_patience is set")
        return self


_KIND_KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "use_rslora", "use_dora"), ("lora",)),
    **dict.fromkeys(("ia3_target_modules", "ia3_feedforward_modules"), ("ia3",)),
    "num_virtual_tokens": ("prompt_tuning", "prefix_tuning"),
}
"""Key -> the kinds of adapters that it is for."""
_METHOD_KEYS = {"beta": ("dpo", "distill"), "teacher": ("distill",), "max_completion_length": ("distill",)}
_ON_TRL = ("lora", "ia3")
"""Adapters that TRL's losses see; they go past what stands before the text."""
_LATER_KEYS = frozenset(
    {
        "load_in_4bit",
        "init_adapter",
        "beta",
        "teacher",
        "max_completion_length",
        "peft_type",
        "use_dora",
        "ia3_target_modules",
        "ia3_feedforward_modules",
        "num_virtual_tokens",
    }
)


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, and has one class of errors."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # PyYAML's own, such as of 2024-02-30 or !!bool maybe
            raise yaml.MarkedYAMLError(problem="a value that is none of its kind", problem_mark=node.start_mark) from error


def _unique_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            problem = "a key that is no plain text; a value that begins with { or [ needs quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"key {key!r} is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def parse_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML text as recipes are read, and where its parts stand; None for a text without a value.

    Raises:
        yaml.YAMLError: whatever is wrong with it.
    """
    loader = _StrictLoader(text)
    try:
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
    finally:
        loader.dispose()


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe; ``overrides`` replace top-level keys before checking.

    Raises:
        RecipeError: unreadable, not YAML, or any number of bad keys; the message has one line for each, ``file:line: key: problem``.
    """
    try:
        values, node = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read the recipe {path}: {error.strerror}"
        raise RecipeError(message, hint="check its name and who may read it", code="recipe_unreadable") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = str(error).replace('"<unicode string>"', f'"{path}"')
        raise RecipeError(f"{path}: not a YAML file: {problem}", hint="correct what is named above") from error
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values")
    values.update(overrides or {})
    try:
        recipe = Recipe.model_validate(values)
    except pydantic.ValidationError as error:
        lines = "\n".join(_describe(path, node, problem, overrides or {}) for problem in error.errors())
        raise RecipeError(f"the recipe has {error.error_count()} problem(s):\n{lines}", hint="correct what is named above") from error
    return recipe


def missing_files(recipe: Recipe, folder: Path) -> list[Path]:
    """Data and test files of the recipe that are not there, relative to the recipe's folder."""
    named = [recipe.dataset.train, recipe.dataset.validation, *(test.path for test in recipe.tests.values())]
    return [path for path in named if not (folder / path).is_file()]


def _describe(path: Path, node: yaml.MappingNode, problem: Any, overrides: Mapping[str, Any]) -> str:
    location = tuple(problem["loc"])
    line = _line_of(node, location)
    where = "--set" if location and location[0] in overrides else f"{path}:{line}" if line else str(path)
    key = ".".join(str(part) for part in location) or "recipe"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown key" + _suggest(str(location[-1]), location[:-1])
    return f"  {where}: {key}: {message}"


def _suggest(key: str, parents: tuple[Any, ...]) -> str:
    models: dict[tuple[Any, ...], type[BaseModel]] = {(): Recipe, ("dataset",): DatasetConfig}
    model = models.get(parents, TestSet)
    close = difflib.get_close_matches(key, model.model_fields, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _line_of(node: yaml.Node, location: tuple[Any, ...]) -> int | None:
    """Line of the deepest key of the location that stands in the file, 1-based."""
    line = None
    for part in location:
        child = next((pair for pair in _pairs(node) if pair[0].value == str(part)), None)
        if child is None:
            break
        line, node = child[0].start_mark.line + 1, child[1]
    return line


def _pairs(node: yaml.Node) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value
