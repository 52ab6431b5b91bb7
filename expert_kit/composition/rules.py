"""What may stand on one row together: what has one meaning and no other."""

from __future__ import annotations

from collections.abc import Sequence

from expert_kit.adapters import SlotKind
from expert_kit.errors import ExclusiveExpertError, NotComposableError


def check_mix(kinds: Sequence[SlotKind], weights: Sequence[float]) -> None:
    """Refuse a mix whose sum is not defined.

    LoRA and DoRA sum at any weights. IA3 adapters multiply, each at weight 1, and stand beside no other kind. One soft prompt, at
    weight 1, may stand before a sum. An expert with layers of its own stands alone, at weight 1.

    Raises:
        ExclusiveExpertError: one with layers of its own. NotComposableError: ``ia3_in_mix`` or ``soft_prompt_in_mix``.
    """
    for kind, error in ((SlotKind.WHOLE, _exclusive_error), (SlotKind.SCALE, scale_error), (SlotKind.SOFT_PROMPT, _prompt_error)):
        own = [weight for one, weight in zip(kinds, weights, strict=True) if one is kind]
        others = {one for one in kinds if one is not kind}
        if own and (any(weight != 1 for weight in own) or not others <= _BESIDE[kind] or (len(own) > 1 and kind is not SlotKind.SCALE)):
            raise error()


_NONE = frozenset[SlotKind]()
_BESIDE = {SlotKind.WHOLE: _NONE, SlotKind.SCALE: _NONE, SlotKind.SOFT_PROMPT: {SlotKind.SUM, SlotKind.GAIN_AND_SUM}}


def check_in_weights(kinds: Sequence[SlotKind]) -> None:
    """Refuse to put into the weights of a base what is not added to them.

    Raises:
        ExclusiveExpertError: one with layers of its own. NotComposableError: ``soft_prompt_merged``.
    """
    if SlotKind.WHOLE in kinds:
        raise whole_in_weights()
    if SlotKind.SOFT_PROMPT in kinds:
        raise NotComposableError(
            "a soft prompt stands before the text and changes no weights: it cannot be merged into the base",
            hint="select it for each prompt",
            code="soft_prompt_merged",
        )


def whole_in_weights() -> ExclusiveExpertError:
    """What an expert with layers of its own gets that is to be merged."""
    return ExclusiveExpertError(
        "an expert with an embedding or output head of its own is no change to add to others: it cannot be merged",
        hint="select it alone, for each prompt",
    )


def _exclusive_error() -> ExclusiveExpertError:
    return ExclusiveExpertError(
        "an expert with an embedding or output head of its own runs alone, at weight 1",
        hint="leave the other experts out of the mix, and its weight at 1",
    )


def scale_error() -> NotComposableError:
    """What an IA3 adapter gets beside another kind, or at another weight."""
    return NotComposableError(
        "an IA3 adapter multiplies: it runs at weight 1, alone or with other IA3 adapters",
        hint="leave its weight at 1 and other kinds out of the mix",
        code="ia3_in_mix",
    )


def _prompt_error() -> NotComposableError:
    return NotComposableError(
        "a soft prompt stands before the text: it runs at weight 1, one a row, alone or before adapters that are added up",
        hint="select one soft prompt, at weight 1",
        code="soft_prompt_in_mix",
    )
