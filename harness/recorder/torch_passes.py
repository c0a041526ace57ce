"""What PyTorch computes between two steps: calls of models, losses of their outputs, gradients.

A loss belongs to the call that its graph leads back to, whatever else was called in between. Only
losses whose gradients were computed count, so an evaluation is not taken for a part of a step.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch

from harness.recorder.torch_calls import Call, calls_behind, mark, metadata, source, tensors_of
from harness.recorder.torch_notes import forward_notes

KEY = "harness.recorder pass"  # of a loss, in the metadata of its node


@dataclass(frozen=True, eq=False)
class Pass:
    """A loss, and what it was computed from."""

    loss: float
    loss_fn: Any
    settings: dict[str, Any]  # with which it was called, such as `reduction`
    x: Any
    y: Any
    models: tuple[torch.nn.Module, ...]  # in the order of their calls; empty if none was seen
    notes: list[str]


class Passes:
    """The losses whose gradients were computed, and the norms of these, until a step takes them."""

    def __init__(self) -> None:
        self.done: list[Pass] = []
        self.norms: dict[torch.Tensor, float] = {}  # of each parameter, after the backward pass
        self.roots: list[Pass | None] | None = (
            None  # on which backward was called, where that is known
        )
        self._given: list[Any] = []  # of the call that goes on

    def before_call(self, args: Any, kwargs: Any) -> None:
        """Copy what a model is given, since it may work on its input in place."""
        given = [*args, *kwargs.values()]
        first = given[0] if given else None
        self._from_data = getattr(first, "grad_fn", None) is None
        self._from_weights = any(tensor.grad_fn is not None for tensor in tensors_of(given))
        if torch.is_grad_enabled() and isinstance(first, torch.Tensor):
            given[0] = first.detach().clone()
        self._given = given
        self._random_state = torch.get_rng_state()

    def after_call(self, model: torch.nn.Module, outputs: Any) -> None:
        """Mark the outputs of a model as those of this call."""
        given, self._given = self._given, []
        if not torch.is_grad_enabled():
            return
        drawn = not torch.equal(self._random_state, torch.get_rng_state())
        notes = forward_notes(model, outputs, drawn)
        if len(list(tensors_of(given))) > 1:
            notes.append("the model takes several tensors: the first was recorded as x")
        x = given[0] if given else None
        call = Call(model, x, self._from_data, self._from_weights, notes)
        mark(call, outputs)

    def after_loss(
        self, loss_fn: Any, settings: dict[str, Any], prediction: Any, target: Any, loss: Any
    ) -> None:
        """Await the gradient of a loss."""
        if not (isinstance(loss, torch.Tensor) and loss.grad_fn is not None):
            return
        target = prediction if getattr(target, "grad_fn", None) is not None else target
        calls = calls_behind(loss)
        notes = [note for call in calls for note in call.notes]
        if others := ", ".join(name for name in settings if name != "reduction"):
            notes.append(f"the loss was given {others}, which is not recorded")
        if loss.numel() != 1:
            notes.append(f"the loss has shape {tuple(loss.shape)}; its mean was recorded")
        found = Pass(
            loss=float(loss.detach().double().mean()),
            loss_fn=loss_fn,
            settings=settings,
            x=source(calls, notes),
            y=target.detach().clone() if isinstance(target, torch.Tensor) else target,
            models=tuple(dict.fromkeys(call.model for call in calls)),
            notes=notes,
        )
        metadata(loss)[KEY] = found
        loss.register_hook(lambda gradient: self._after_gradient(found, gradient))

    def after_backward(self, parameter: torch.Tensor) -> None:
        """Note the norm of a parameter's gradient."""
        self.norms[parameter] = norm(parameter)

    def of(self, parameters: Collection[torch.Tensor]) -> list[Pass]:
        """Return the passes through models of these parameters."""
        own = {id(parameter) for parameter in parameters}
        return [found for found in self.done if _reaches(found, own)]

    def take(self, parameters: Collection[torch.Tensor]) -> list[Pass]:
        """Return the passes through models of these parameters, and forget them."""
        taken = self.of(parameters)
        self.done = [found for found in self.done if found not in taken]
        for parameter in parameters:
            self.norms.pop(parameter, None)
        return taken

    def _after_gradient(self, found: Pass, gradient: torch.Tensor) -> None:
        if gradient.numel() == 1 and float(gradient) != 1:
            found.notes.append(
                "the loss was multiplied before its backward pass; recorded as the loss_fn gave it"
            )
        elif self.roots is not None and found not in self.roots:
            found.notes.append(
                "backward was called on more than the loss, as with a penalty added to it; "
                "recorded as the loss_fn gave it"
            )
        self.done.append(found)


def norm(parameter: torch.Tensor) -> float:
    """Return the L2 norm of a parameter's gradient, in float64."""
    gradient = parameter.grad
    assert gradient is not None
    gradient = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(torch.linalg.vector_norm(gradient.detach(), dtype=torch.float64))


def _reaches(found: Pass, parameters: set[int]) -> bool:
    own = (id(parameter) for model in found.models for parameter in model.parameters())
    return not found.models or any(number in parameters for number in own)
