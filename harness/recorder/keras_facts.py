"""What a Keras model and its `fit` say of the rules of training, and what no recording holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from harness.core.arrays import Array
from harness.recorder.writer import plain

Note = Callable[[str], None]
CALLED = (
    *("batch_size", "epochs", "initial_epoch", "shuffle", "validation_split"),
    *("validation_freq", "steps_per_epoch", "class_weight"),
)


def stated(model: Any, called: dict[str, Any], note: Note) -> dict[str, Any]:
    """Return what the model and `fit` say; `called` are the variables of `fit`."""
    if not called:
        note("fit is not Keras' own: batch_size, shuffle and validation_split are not known")
    adapter = getattr(called.get("epoch_iterator"), "data_adapter", None)
    fit = {name: plain(called[name]) for name in CALLED if name in called}
    if adapter is not None:
        fit |= {"data": type(adapter).__name__, "steps_in_epoch": adapter.num_batches}
        fit["batch_size"] = adapter.batch_size  # also where `fit` was given none
    return {
        "model": _described(model.get_config, "the model", note),
        "model_class": type(model).__name__,
        "compile": _described(model.get_compile_config, "compile", note),
        "optimizer": _described(model.optimizer.get_config, "the optimizer", note),
        "optimizer_class": type(model.optimizer).__name__,
        "jit_compile": model.jit_compile,
        "run_eagerly": model.run_eagerly,
        "steps_per_execution": model.steps_per_execution,
        "trainable": [v.path for v in model.trainable_weights],
        "fit": fit,
        "backend": keras.backend.backend(),
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
    }


def note_rules(model: Any, note: Note) -> None:
    """Note what the model and its optimizer show before training."""
    optimizer = model.optimizer
    if int(optimizer.iterations):
        note("the optimizer has stepped before: its state (momentum, Adam's averages) is not here")
    if model.steps_per_execution != 1:
        note(
            f"steps_per_execution={model.steps_per_execution}: no losses of single steps, no order"
        )
    if type(model).train_step is not keras.Model.train_step:
        note(f"{type(model).__name__} has a train_step of its own, which may follow other rules")
    if getattr(optimizer, "gradient_accumulation_steps", None):
        note(
            f"gradient accumulation: the weights move every {optimizer.gradient_accumulation_steps}"
            " steps"
        )
    policies = [layer.dtype_policy for layer in model.layers]
    mixed = [p for p in policies if p.compute_dtype != p.variable_dtype]
    if mixed:
        note(f"mixed precision: {mixed[0].compute_dtype} with {mixed[0].variable_dtype} weights")


def seeds(model: Any) -> list[Array]:
    """Return copies of the states of the model's random generators.

    On PyTorch, Keras' dropout draws from PyTorch's own generator.
    """
    weights = {id(variable) for variable in model.weights}
    others = [variable for variable in model.variables if id(variable) not in weights]
    states = [np.array(keras.ops.convert_to_numpy(variable)) for variable in others]
    if keras.backend.backend() == "torch":
        import torch

        states.append(torch.get_rng_state().numpy())
        if torch.cuda.is_available():
            states.append(torch.cuda.get_rng_state().numpy())
    return states


def _described(describe: Callable[[], Any], what: str, note: Note) -> Any:
    """Return a configuration as JSON can hold it, or None if Keras cannot tell it."""
    try:
        return plain(describe())
    except (NotImplementedError, ValueError, TypeError, AttributeError) as error:
        note(f"the configuration of {what} is not known ({type(error).__name__})")
        return None
