"""Words, numbers and lists of words without pydantic: Typer 0.29 imports it, a tenth of a second, even to take a text as a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class LeanCommand(TyperCommand):
    """A command that leaves to Typer only what is hard to convert."""

    def get_params(self, ctx: Any) -> Any:
        """Its parameters and ``--help``."""
        return _lean(super().get_params(ctx))


class LeanGroup(TyperGroup):
    """The same for the options before the command."""

    def get_params(self, ctx: Any) -> Any:
        """Its parameters and ``--help``."""
        return _lean(super().get_params(ctx))


@dataclass(frozen=True)
class _Simple(RuntimeParam):
    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        info, wanted = self.parameter_info, self.annotation
        if value == "" and self.descriptor.is_path:
            # pathlib would take it for the folder that one is in; it is a shell variable that is not set.
            raise typer.BadParameter("a path is needed, this word is empty", ctx=ctx, param=param)
        if info.parser is None and not self.descriptor.is_path:
            if wanted in (str, int) and type(value) is wanted:
                return value
            if (
                wanted is int
                and info.max is None
                and value.isascii()
                and value.isdecimal()
                and len(value) < 4000
                and int(value) >= (info.min or 0)
            ):
                return int(value)
            if wanted == list[str] and all(type(item) is str for item in value):
                return list(value)
        return build_runtime_param(self.descriptor).coerce(value, param, ctx)


def _lean(params: Sequence[Any]) -> Sequence[Any]:
    for param in params:
        if isinstance(param, (TyperArgument, TyperOption)) and param._runtime_param is None:
            # The place where Typer itself puts what it has built, when it first needs it.
            descriptor = param.type_descriptor
            param._runtime_param = _Simple(descriptor.parameter_info, descriptor.annotation, descriptor)
    return params
