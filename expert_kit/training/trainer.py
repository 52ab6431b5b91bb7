"""The Trainer for completions: what it computes, and what it does when that fails."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch users know
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer
from transformers.trainer_utils import EvalLoopOutput

from expert_kit.errors import TrainingError
from expert_kit.training.data import IGNORED
from expert_kit.training.faults import reading_checkpoint, writing
from expert_kit.training.kinds import is_prompted, prompted_states
from expert_kit.training.prefix_tree import can_share, prefix_tree

TOKENS_PER_PASS = 512
"""Most tokens of one forward and backward pass, beginnings that rows share counted once; a larger batch takes several.
Activations cost about 1.2 MB a token on SmolLM2-135M, and attention grows with the square; fewer would leave two cores idle."""


class CompletionTrainer(Trainer):
    """Keeps memory low: logits only where there is a label, since the output head dominates, and large batches in parts.

    Losses that are no finite numbers, and checkpoints that cannot be written or read, are typed errors.
    """

    _evaluated: list[tuple[float, int]]

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Loss and gradients of a batch, part by part; the same sum as in one pass, since the loss is divided by the count of all."""
        split = split_shared if can_share(self._peft_model(model).get_base_model().config, inputs["input_ids"].shape[1]) else split_batch
        parts = [inputs] if num_items_in_batch is None else split(inputs, TOKENS_PER_PASS)
        losses = [super(CompletionTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        # The count is that of all processes, and what is logged is the mean over them.
        loss = torch.stack(losses).sum() * (1 if num_items_in_batch is None else self.accelerator.num_processes)
        if self.accelerator.num_processes > 1 and self.accelerator.sync_gradients:
            self._add_up_gradients(mean=num_items_in_batch is None)
        refuse_not_finite("training loss", loss.item(), self.state.global_step + 1)
        return loss

    def _add_up_gradients(self, *, mean: bool) -> None:
        """Over all processes. DistributedDataParallel does it in the forward pass of its wrapper, past which our parts go."""
        for parameter in self._peft_model(self.model_wrapped).parameters():
            if parameter.grad is not None:
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean" if mean else "sum")

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> EvalLoopOutput:
        """The Trainer's, with the loss as mean over all labelled tokens instead of a mean of the batches' means."""
        self._evaluated = []
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        found = torch.tensor(
            [sum(loss * count for loss, count in self._evaluated), sum(count for _, count in self._evaluated)],
            dtype=torch.float64 if self.accelerator.device.type != "mps" else torch.float32,
            device=self.accelerator.device,
        )
        total, count = self.accelerator.reduce(found, "sum").tolist()
        loss = total / count
        refuse_not_finite("validation loss", loss, self.state.global_step)
        assert output.metrics is not None
        output.metrics[f"{metric_key_prefix}_loss"] = loss
        return output

    def prediction_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The Trainer's; the mean loss of each batch and its count of labelled tokens are kept for ``evaluation_loop``."""
        outcome = super().prediction_step(model, inputs, *args, **kwargs)
        self._evaluated.append((outcome[0].item(), int((inputs["labels"][:, 1:] != IGNORED).sum())))
        return outcome

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # A finished run that is resumed in the middle of an epoch would take one step more: the Trainer looks only after a step.
        if self._is_finished():
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)

    def _is_finished(self) -> bool:
        early = [callback for callback in self.callback_handler.callbacks if isinstance(callback, EarlyStoppingCallback)]
        spent = any(callback.early_stopping_patience_counter >= callback.early_stopping_patience for callback in early)
        return spent or self.state.global_step >= self.state.max_steps

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean cross entropy over the labelled tokens; in training over the whole accumulated batch if its count is given."""
        peft_model = self._peft_model(model)
        # Autocast brings the factors to bfloat16. PEFT would bring the inputs to float32 instead, and keep both for the backward pass.
        autocast = torch.autocast(inputs["input_ids"].device.type, dtype=torch.bfloat16, enabled=self.args.bf16)
        with autocast, disable_input_dtype_casting(peft_model, active=self.args.bf16):
            logits, targets = labelled_logits(peft_model, inputs)
        total = F.cross_entropy(logits.float(), targets, reduction="sum")
        # In an evaluation the count is that of all processes too, but ``prediction_step`` wants the mean of this batch.
        loss = total / (num_items_in_batch if num_items_in_batch is not None and model.training else max(1, targets.numel()))
        return (loss, {"logits": logits}) if return_outputs else loss

    def _peft_model(self, model: torch.nn.Module) -> PeftModel:
        unwrapped = self.accelerator.unwrap_model(model)
        assert isinstance(unwrapped, PeftModel)
        return unwrapped

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with writing("a checkpoint"):
            super()._save_checkpoint(*args, **kwargs)

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with reading_checkpoint():
            super()._load_from_checkpoint(*args, **kwargs)

    def _load_optimizer_and_scheduler(self, *args: Any, **kwargs: Any) -> None:
        with reading_checkpoint():
            super()._load_optimizer_and_scheduler(*args, **kwargs)

    def _load_rng_state(self, *args: Any, **kwargs: Any) -> None:
        with reading_checkpoint():
            super()._load_rng_state(*args, **kwargs)

    def _load_best_model(self) -> None:
        with reading_checkpoint():
            super()._load_best_model()


def refuse_not_finite(what: str, value: float, step: int) -> None:
    """Stop a run that has diverged.

    Raises:
        TrainingError: ``loss_not_finite``.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"the {what} of step {step} is not a finite number but {value}",
            hint="lower learning_rate, then start again in another folder",
            code="loss_not_finite",
        )


def split_batch(batch: dict[str, torch.Tensor], tokens: int) -> list[dict[str, torch.Tensor]]:
    """Cut a right-padded batch into parts of at most ``tokens`` tokens, at least one row each, without needless padding.

    Args:
        batch: tensors (rows, longest), ``attention_mask`` among them.
        tokens: padding counts.
    """
    lengths = batch["attention_mask"].sum(dim=1)
    order = torch.argsort(lengths, descending=True, stable=True)
    parts = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        rows = order[start : start + max(1, tokens // longest)]
        parts.append({name: values[rows, :longest] for name, values in batch.items()})
        start += len(rows)
    return parts


def split_shared(batch: dict[str, torch.Tensor], tokens: int) -> list[dict[str, torch.Tensor]]:
    """Cut a batch, in its order, into parts whose prefix trees have at most ``tokens`` nodes, at least one row each.

    Args:
        batch: tensors (rows, longest), ``attention_mask`` among them, right-padded.
        tokens: a beginning that neighbours share counts once.
    """
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    rows = [ids[:length] for ids, length in zip(batch["input_ids"].tolist(), lengths, strict=True)]
    starts, seen = [0], set(_prefixes(rows[0]))
    for i, row in enumerate(rows[1:], 1):
        grown = seen | set(_prefixes(row))
        if len(grown) > tokens:
            starts.append(i)
            grown = set(_prefixes(row))
        seen = grown
    bounds = zip(starts, [*starts[1:], len(rows)], strict=True)
    return [{name: values[a:b, : max(lengths[a:b])] for name, values in batch.items()} for a, b in bounds]


def _prefixes(row: list[int]) -> list[int]:
    hashes, running = [], 0
    for token in row:
        running = hash((running, token))
        hashes.append(running)
    return hashes


def labelled_logits(model: PeftModel, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, vocabulary) and targets (n,) at the n positions that predict a labelled token."""
    causal = model.get_base_model()
    targets = inputs["labels"][:, 1:]
    keep = targets != IGNORED
    hidden = prompted_states(model, inputs, keep) if is_prompted(model) else _hidden_states(causal, inputs, keep)
    logits = causal.get_output_embeddings()(hidden)
    # Gemma squeezes its logits, in the part of forward that is not used here.
    cap = getattr(causal.config.get_text_config(), "final_logit_softcapping", None)
    return (torch.tanh(logits / cap) * cap if cap else logits), targets[keep]


def _hidden_states(causal: PreTrainedModel, inputs: dict[str, torch.Tensor], keep: torch.Tensor) -> torch.Tensor:
    """(n, hidden size) at the n kept positions; ``keep`` is (rows, longest - 1).

    Beginnings that rows share are computed once, with one dropout mask.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    if not can_share(causal.config, ids.shape[1]):
        hidden = causal.base_model(input_ids=ids, attention_mask=mask, use_cache=False)[0]
        return hidden[:, :-1][keep]
    tree = prefix_tree(ids, mask)
    hidden = causal.base_model(input_ids=tree.tokens, attention_mask=tree.mask, position_ids=tree.positions, use_cache=False)[0]
    return hidden[0, tree.node_of[:, :-1][keep]]
