"""Words, numbers and lists of words without pydantic: Typer 0.29 imports it, a tenth of a second, even to take a text as a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
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


class LeanTyper(typer.Typer):
    """Commands behind a common word, each a :class:`LeanCommand`."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **settings: Any) -> Callable[[Any], Any]:
        """See :meth:`typer.Typer.command`."""
        return super().command(name, cls=cls or LeanCommand, **settings)


@dataclass(frozen=True)
class _Simple(RuntimeParam):
    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        info, wanted = self.parameter_info, self.annotation
        if info.parser is None and wanted in (str, int) and type(value) is wanted:
            return value
        if self.descriptor.is_path or wanted == list[Path]:
            if "" in (value if isinstance(value, (list, tuple)) else [value]):
                # pathlib would take it for the folder that one is in; it is a shell variable that is not set.
                raise typer.BadParameter("a path is needed, this word is empty", ctx=ctx, param=param)
        elif info.parser is None:
            if wanted is int and value.isascii() and value.removeprefix("-").isdecimal() and len(value) < 4000:
                return self._in_range(value, param, ctx)
            if wanted == list[str] and all(type(item) is str for item in value):
                return list(value)
        return build_runtime_param(self.descriptor).coerce(value, param, ctx)

    def _in_range(self, digits: str, param: Any, ctx: Any) -> int:
        low, high, number = self.parameter_info.min, self.parameter_info.max, int(digits)
        if (low is None or number >= low) and (high is None or number <= high):
            return number
        wanted = f"from {low} to {high}" if None not in (low, high) else f"of at least {low}" if high is None else f"of at most {high}"
        raise typer.BadParameter(f"a number {wanted} is needed, this is {digits[:20]}", ctx=ctx, param=param)


def _lean(params: Sequence[Any]) -> Sequence[Any]:
    for param in params:
        if isinstance(param, (TyperArgument, TyperOption)) and param._runtime_param is None:
            # The place where Typer itself puts what it has built, when it first needs it.
            descriptor = param.type_descriptor
            param._runtime_param = _Simple(descriptor.parameter_info, descriptor.annotation, descriptor)
    return params
