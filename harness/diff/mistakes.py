"""The known mistakes in copying weights: each turns one of A's tensors into what B would have.

Tensors are those of `tensors.stored`: kernels with gates side by side, biases as two rows. A gate
order is found by comparing gates, see `orders.py`; whether a tensor was never copied, by its
distribution, see `fresh.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import per_gate
from harness.core.model import GATES, ModelSpec
from harness.diff.program import rounded
from harness.diff.tensors import gate_columns

LAYER_KERNELS = ("kernel", "recurrent_kernel")
KERNELS = (*LAYER_KERNELS, "head.kernel")
ALL = (*KERNELS, "bias", "head.bias")


@dataclass(frozen=True)
class Mistake:
    """A mistake and its remedy in words: `B is A with PHRASE`, `REMEDY in TENSORS`.

    `change` makes it in a stored tensor; `undo`, where that is possible, takes it out of an acting
    one. Both give None for a tensor in which it cannot occur.
    """

    phrase: str
    remedy: str
    kinds: tuple[str, ...] = field(default=(), compare=False)
    change: Callable[[Array, ModelSpec], Array | None] | None = field(default=None, compare=False)
    undo: Callable[[Array, ModelSpec], Array | None] | None = field(default=None, compare=False)


def mistakes(model: ModelSpec, precision: str) -> tuple[Mistake, ...]:
    """Return the mistakes that a copy of the network's weights may have, but for gate orders."""
    return (*_layout(), *_rounding(precision), *_biases(model))


def _layout() -> tuple[Mistake, ...]:
    return (
        Mistake(
            "the weights of each gate transposed",
            "transpose the block of each gate",
            KERNELS,
            _transposed,
            _transposed,
        ),
        Mistake(
            "the numbers of the transposed matrix laid out in its own shape",
            "transpose the matrix instead of reshaping it",
            KERNELS,
            _reshaped,
            _reshaped_back,
        ),
    )


def _transposed(tensor: Array, model: ModelSpec) -> Array | None:
    """Return the block of each gate transposed; None where blocks are not square."""
    parts = [tensor] if tensor.shape[0] == tensor.shape[1] else gate_blocks(tensor, model)
    if parts[0].shape[0] != parts[0].shape[1]:
        return None
    return np.concatenate([part.T for part in parts], axis=1)


def gate_blocks(tensor: Array, model: ModelSpec) -> list[Array]:
    """Return the blocks of the gates; a head's kernel is one block."""
    gates = GATES[model.cell]
    return gate_columns(tensor, model) if tensor.shape[1] == gates * model.units else [tensor]


def _reshaped(tensor: Array, model: ModelSpec) -> Array | None:  # noqa: ARG001
    if 1 in tensor.shape or tensor.shape[0] == tensor.shape[1]:  # the same, or transposed
        return None
    return tensor.T.reshape(tensor.shape)


def _reshaped_back(tensor: Array, model: ModelSpec) -> Array | None:  # noqa: ARG001
    if 1 in tensor.shape or tensor.shape[0] == tensor.shape[1]:
        return None
    return tensor.reshape(tensor.shape[::-1]).T


def _rounding(precision: str) -> tuple[Mistake, ...]:
    coarser = ["float16", "bfloat16"] + ["float32"] * (precision == "float64")
    return tuple(
        Mistake(
            f"weights rounded to {name} on the way",
            "copy them again in full precision",
            ALL,
            lambda tensor, model, name=name: rounded(tensor, name),  # noqa: ARG005
        )
        for name in coarser
    )


def _biases(model: ModelSpec) -> tuple[Mistake, ...]:
    forget = _forget_gate() if model.cell == "lstm" else ()
    wrong = _second_elsewhere(model) if model.cell != "rnn" else ()
    return (*_rows(), *forget, *wrong)


def _rows() -> tuple[Mistake, ...]:
    """Return the mistakes of a row of the biases that is left out or acts twice."""
    found = []
    for which, factors in (("bias", (1, 1)), ("first bias", (1, 0)), ("second bias", (0, 1))):
        taken = np.array(factors)[:, None]
        for what, factor, remedy in (
            ("dropped", -1, "add it"),
            ("doubled", 1, "add it only once"),
        ):
            found.append(
                Mistake(
                    f"the {which} {what}",
                    remedy,
                    ("bias",),
                    lambda rows, model, t=taken, f=factor: _with_rows(rows, t, f),  # noqa: ARG005
                )
            )
    return tuple(found)


def _with_rows(rows: Array, taken: Array, factor: int) -> Array | None:
    """Return the rows plus `factor` times those `taken`; one of two only where both are used."""
    if taken.sum() == 1 and not (rows[0].any() and rows[1].any()):
        return None
    return rows + factor * taken * rows


def _forget_gate() -> tuple[Mistake, ...]:
    return tuple(
        Mistake(
            f"the forget gate's 1 {what}",
            f"{remedy} the forget gate's block",
            ("bias",),
            lambda rows, model, n=amount: _added_to_forget(rows, model, n),
            lambda acting, model, n=amount: _added_to_forget(acting, model, -n),
        )
        for what, remedy, amount in (
            ("missing", "add 1 to", -1),
            ("added twice", "subtract 1 from", 1),
        )
    )


def _added_to_forget(bias: Array, model: ModelSpec, amount: int) -> Array:
    """Return the rows `(2, 4·U)`, or their sum `(4·U,)`, with `amount` added once."""
    bias = bias.copy()
    first = bias[0] if bias.ndim == 2 else bias
    first[model.units : 2 * model.units] += amount
    return bias


def _second_elsewhere(model: ModelSpec) -> tuple[Mistake, ...]:
    """Return the mistakes of a second bias whose gates are not those of the first."""
    gates = GATES[model.cell]
    elsewhere = [order for order in permutations(range(gates)) if order != tuple(range(gates))]
    orders = tuple(
        Mistake(
            "the second bias added to the wrong gates",
            "bring its gates into the order of the first",
            ("bias",),
            lambda rows, model, o=order: _second_in_order(rows, list(o)),  # noqa: ARG005
        )
        for order in elsewhere
    )
    if model.cell != "gru":
        return orders
    one_place = Mistake(
        "the candidate's recurrent bias added to its input side",
        "keep it apart: the reset gate acts on it",
        ("bias",),
        lambda rows, model: np.stack([rows.sum(axis=0), np.zeros_like(rows[1])]),  # noqa: ARG005
    )
    return (*orders, one_place)


def _second_in_order(rows: Array, order: list[int]) -> Array | None:
    return np.stack([rows[0], per_gate(rows[1], order)]) if rows[1].any() else None
