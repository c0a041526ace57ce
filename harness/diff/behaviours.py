"""The known mistakes in how a program computes with weights that it has copied rightly.

Each turns A's program into what B's would be, or gives None where it cannot occur.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from backends.numpy_backend.textbook import ACTIVATIONS
from harness.diff.inputs import Inputs
from harness.diff.program import Program

PADDED = 64  # steps beyond the sequences' own that are tried, at most


@dataclass(frozen=True)
class Behaviour:
    """A mistake and its remedy in words: `B is A PHRASE`."""

    phrase: str
    remedy: str
    change: Callable[[Program], Program | None] = field(compare=False)
    in_pairs: bool = True  # whether it is also tried together with another


def behaviours(inputs: Inputs) -> tuple[Behaviour, ...]:
    """Return the mistakes that can show on these inputs."""
    return (*described(), *_gates(), *AXES, *_rounding(), *_padding(inputs))


def described() -> tuple[Behaviour, ...]:
    """Return the mistakes that show in how a network is described, without its outputs."""
    return (*RESET, *_activations(), *SCALING, *SIGMOID)


def _other_reset(program: Program) -> Program | None:
    network, model = program.network, program.network.model
    if model.cell != "gru":
        return None
    reset = {"after": "before", "before": "after"}[model.reset]
    return replace(program, network=replace(network, model=replace(model, reset=reset)))


RESET = (
    Behaviour(
        "with the GRU's reset gate on the other side of the recurrent product",
        "set reset=before or after as A has it",
        _other_reset,
    ),
)


def _activations() -> tuple[Behaviour, ...]:
    return tuple(
        Behaviour(
            f"with {name} as its activation",
            "use A's activation",
            lambda program, name=name: _with_activation(program, name),
        )
        for name in ACTIVATIONS
    )


def _gates() -> tuple[Behaviour, ...]:
    return tuple(
        Behaviour(
            f"with {name} in its gates",
            "use sigmoid there",
            lambda program, name=name: _with_gate(program, name),
        )
        for name in ACTIVATIONS
    )


def _with_activation(program: Program, name: str) -> Program | None:
    network, model = program.network, program.network.model
    if name == model.activation:
        return None
    return replace(program, network=replace(network, model=replace(model, activation=name)))


def _with_gate(program: Program, name: str) -> Program | None:
    simple = program.network.model.cell == "rnn"
    return None if simple or name == program.gate else replace(program, gate=name)


def _inputs_unscaled(program: Program) -> Program | None:
    network = program.network
    if not network.x_mean.any() and (network.x_std == 1).all():
        return None
    x_mean, x_std = np.zeros_like(network.x_mean), np.ones_like(network.x_std)
    return replace(program, network=replace(network, x_mean=x_mean, x_std=x_std))


def _outputs_unscaled(program: Program) -> Program | None:
    network = program.network
    if not network.rescaled:
        return None
    return replace(program, network=replace(network, y_mean=0.0, y_std=1.0))


SCALING = (
    Behaviour("without the scaling of its inputs", "standardise them", _inputs_unscaled),
    Behaviour("without the scaling of its outputs", "scale them back", _outputs_unscaled),
)


def _other_loss(program: Program) -> Program:
    loss = {"bce": "mse", "mse": "bce"}[program.network.loss]
    return replace(program, network=replace(program.network, loss=loss))


SIGMOID = (
    Behaviour(
        "without the sigmoid of its outputs",
        "add it",
        lambda program: _other_loss(program) if program.network.loss == "bce" else None,
    ),
    Behaviour(
        "with a sigmoid of its outputs",
        "leave it out",
        lambda program: _other_loss(program) if program.network.loss == "mse" else None,
    ),
)

AXES = (
    Behaviour(
        "with the axes of sequences and time steps swapped",
        "give it the axes in its own order, such as batch_first=True in PyTorch",
        lambda program: None if program.axes_swapped else replace(program, axes_swapped=True),
    ),
)


def _rounding() -> tuple[Behaviour, ...]:
    found = []
    for precision in ("float16", "bfloat16"):
        for what, when in (("inputs", ""), ("outputs", ""), ("states", " at each step")):
            found.append(
                Behaviour(
                    f"with its {what} rounded to {precision}{when}",
                    "leave them in full precision",
                    lambda program, f=f"rounded_{what}", p=precision: _set_once(program, f, p),
                    in_pairs=what != "states",  # its pairs are judged by fewer sequences
                )
            )
    return tuple(found)


def _set_once(program: Program, name: str, value: str) -> Program | None:
    return None if getattr(program, name) else replace(program, **{name: value})


def _padding(inputs: Inputs) -> tuple[Behaviour, ...]:
    """Return zeros in front and behind: to the longest sequence, or to any length beyond it."""
    T = inputs.x.shape[1]
    lengths = [0] if inputs.several_lengths else range(1, min(T, PADDED) + 1)
    found = []
    for where in ("front", "behind"):
        for extra in lengths:
            phrase = f"with zeros {'in front of' if where == 'front' else 'behind'} each sequence"
            phrase += f", {extra} of them," if extra else ""
            found.append(
                Behaviour(
                    f"{phrase} taken for steps",
                    "mask the padding, or take the state after the last real step",
                    lambda program, w=where, e=extra: _padded(program, w, e),
                    in_pairs=not extra,  # or there would be thousands of pairs
                )
            )
    return tuple(found)


def _padded(program: Program, where: str, extra: int) -> Program | None:
    if program.padding or program.network.model.every_step:
        return None
    return replace(program, padding=where, extra=extra)
