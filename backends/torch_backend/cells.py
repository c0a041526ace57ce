"""The network on stacked weights: all replicas in one batched product, time unrolled.

Autograd differentiates it, so there is no code for backpropagation through time. An operation that
is called from Python costs microseconds whatever its size, so many replicas cost little more than
one; a compiled update (`compiled.py`) does not have that cost.

Weights are canonical, `(R, …)` each (`harness/core/model.py`): R replicas, B samples, T time steps,
F inputs, H units, G gates. Before the first step the state is zero and products with it are left
out.
"""

import torch
from torch import Tensor

from harness.core.model import ModelSpec

Weights = dict[str, Tensor]


def network(model: ModelSpec, weights: Weights, x: Tensor, mask: Tensor | None) -> Tensor:
    """Map `x` `(R, B, T, F)` and `mask` `(R, B, T)` to outputs `(R, B, O)` or `(R, B, T, O)`."""
    real = None if mask is None else mask[..., None].unbind(2)  # (R, B, 1) each
    h = x
    for layer in range(model.layers):
        prefix = f"rnn.{layer}."
        layer_weights = {
            n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)
        }
        states = recurrent_layer(model, layer_weights, h, real)
        h = torch.stack(states, 2) if model.every_step or layer < model.layers - 1 else states[-1]
    return h if model.head == "none" else head(h, weights["head.kernel"], weights["head.bias"])


def head(h: Tensor, V: Tensor, b: Tensor) -> Tensor:
    """Apply the dense head: `(R, …, H)` -> `(R, …, O)`."""
    flat = h.reshape(len(h), -1, h.shape[-1])
    return torch.baddbmm(b[:, None], flat, V).view(*h.shape[:-1], V.shape[-1])


def recurrent_layer(
    model: ModelSpec, layer_weights: Weights, x: Tensor, real: tuple[Tensor, ...] | None
) -> list[Tensor]:
    """Return the state h `(R, B, H)` of every time step; padding keeps the state before."""
    R, B, T, F = x.shape
    advance = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    input_side, recurrent_side = biases(model, layer_weights)
    # The inputs of all time steps in one product: no step waits for it.
    a = torch.baddbmm(input_side[:, None], x.reshape(R, B * T, F), layer_weights["kernel"])
    state, states = None, []
    for t, a_t in enumerate(a.view(R, B, T, -1).unbind(2)):
        after = advance(
            a_t, state, layer_weights["recurrent_kernel"], recurrent_side, model.activation
        )
        if real is not None:
            before = (None,) * len(after) if state is None else state
            pairs = zip(after, before, strict=True)
            after = tuple(torch.where(real[t], n, 0 if o is None else o) for n, o in pairs)
        state = after
        states.append(state[0])
    return states


def biases(model: ModelSpec, layer_weights: Weights) -> tuple[Tensor, Tensor | None]:
    """Return the biases of the input side `(R, GH)` and, in a GRU, of the recurrent `(R, 1, GH)`.

    In the other cells a second bias is added to the first.
    """
    first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
    if model.cell != "gru":
        return (first if second is None else first + second), None
    if model.biases == "double":
        return first[:, 0], first[:, 1:]
    zeros = torch.zeros_like(first)
    if second is not None:  # acts on the candidate alone
        zeros = torch.cat([zeros[:, : -model.units], second], 1)
    return first, zeros[:, None]


# A cell takes the projected inputs a `(R, B, GH)`, the state (a tuple with h `(R, B, H)` first, or
# None at the beginning), U `(R, H, GH)`, the recurrent side's bias and the activation's name.

State = tuple[Tensor, ...]


def rnn(a: Tensor, state: State | None, U: Tensor, b: Tensor | None, activation: str) -> State:
    """Simple cell (Elman 1990): h_t = φ(a_t + h_{t−1} U) with φ tanh or relu."""
    if state is not None:
        a = torch.baddbmm(a, state[0], U)
    return (torch.tanh(a) if activation == "tanh" else torch.relu(a),)


def lstm(a: Tensor, state: State | None, U: Tensor, b: Tensor | None, activation: str) -> State:
    """LSTM (Hochreiter & Schmidhuber 1997; Gers 2000), with its gates in the order i, f, g, o.

    i, f, o = σ(·), g = tanh(·) of a_t + h_{t−1} U; c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t).
    """
    if state is not None:
        a = torch.baddbmm(a, state[0], U)
    i, f, g, o = a.chunk(4, -1)
    c = torch.sigmoid(i) * torch.tanh(g)
    if state is not None:
        c = torch.sigmoid(f) * state[1] + c
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_after(
    a: Tensor, state: State | None, U: Tensor, b: Tensor | None, activation: str
) -> State:
    """GRU with the reset after the product, as in cuDNN: h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ.

    With q = h_{t−1} U + b: z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ q_h).
    """
    assert b is not None
    q = b if state is None else torch.baddbmm(b, state[0], U)
    units = U.shape[1]
    z, r = torch.sigmoid(a[..., : 2 * units] + q[..., : 2 * units]).chunk(2, -1)
    candidate = torch.tanh(a[..., 2 * units :] + r * q[..., 2 * units :])
    h = (1 - z) * candidate
    return (h if state is None else z * state[0] + h,)


def gru_before(
    a: Tensor, state: State | None, U: Tensor, b: Tensor | None, activation: str
) -> State:
    """GRU with the reset before the product (Cho et al. 2014): see `gru_after`, but with
    ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h + b_h)."""
    assert b is not None
    units = U.shape[1]
    a_gates, a_h = (a + b).split([2 * units, units], -1)
    if state is None:
        return ((1 - torch.sigmoid(a_gates[..., :units])) * torch.tanh(a_h),)
    (h,) = state
    z, r = torch.sigmoid(torch.baddbmm(a_gates, h, U[..., : 2 * units])).chunk(2, -1)
    candidate = torch.tanh(torch.baddbmm(a_h, r * h, U[..., 2 * units :]))
    return (z * h + (1 - z) * candidate,)


CELLS = {"rnn": rnn, "lstm": lstm, "gru after": gru_after, "gru before": gru_before}
