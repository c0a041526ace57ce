"""The `README.md` beside the files: their contents, and how to check an implementation."""

from harness.vectors.cases import CASES, LENGTHS, NETWORKS, SEQUENCES, Case
from harness.vectors.conventions import EQUATIONS
from harness.vectors.description import ONNX_LIMIT, limits
from harness.vectors.optimizers import RULES, STEPS

# Programs to run in the folder; each needs only NumPy and the case that it names.
FORWARD = """\
import numpy as np
v = np.load("lstm-one_bias-T7.npz")
W, U, b = (v[f"params/rnn.0.{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
h = c = np.zeros((len(v["x"]), len(U)))
for t in range(v["x"].shape[1]):
    i, f, g, o = np.split(v["x"][:, t] @ W + h @ U + b, 4, axis=1)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c = f * c + i * np.tanh(g)
    h = o * np.tanh(c)
    assert np.abs(h - v["outputs"][:, t]).max() < 1e-12
"""
COMPARE = """\
def check(name, mine, limit):
    wanted = v[name]
    error = np.abs(mine - wanted).max() / max(np.abs(wanted).max(), 1e-300)
    assert mine.shape == wanted.shape and error <= limit, f"{name}: {error:.1e} over {limit:g}"
"""

PAGE = """\
# Reference vectors of recurrent networks

Numbers that a correct implementation of a recurrent layer repeats: its states at every step, the
gradient of every weight and of the inputs, and ten steps of five optimisers; in float64, with
random weights and biases, and no two sizes equal. Gates in another order, a transposed kernel, a
bias on the wrong side, the GRU's other reset form and padding that is read all show.

A case is `NETWORK-BIASES-SEQUENCES`, and has {files}.

| file | holds |
|---|---|
| `.npz` | every array by name: NumPy reads it, without pickle |
| `.json` | what each array is, equations with their source, loss, optimisers, limits |
{onnx_row}
| NETWORK | equations |
|---|---|
{networks}

| BIASES | |
|---|---|
| `one_bias` | one bias per gate |
| `two_biases` | one on the input side, one on the recurrent side, as in PyTorch and cuDNN |

| SEQUENCES | T | layers | lengths |
|---|--:|--:|---|
{sequences}

{names}

## Arrays

`x` (N, T, F), `y` (N, T, U), `params/rnn.LAYER.kernel`, `….recurrent_kernel`, `….bias`,
`….recurrent_bias`, `outputs` (N, T, U), `loss`, `gradients/` and a weight's name or `x`;
`optimizers/NAME/losses` (before each step) and `optimizers/NAME/params/…` (after the last); ragged
cases have `mask` (N, T) and `lengths` (N,), too. Kernels are (in, G·U), gates side by side. States
start at 0, the outputs are the states of the last layer at every step, and the loss is the mean of
(outputs − y)² over the real steps. Each optimiser starts from `params` and takes {steps} steps,
each on all N sequences:

| NAME | lr | other numbers | step with the gradient g |
|---|--:|---|---|
{optimizers}

How others have the same arrays:

| | kernels | LSTM's gates | GRU's gates | GRU's reset |
|---|---|---|---|---|
| here | (in, G·U) | i, f, g, o | z, r, h | both forms |
| Keras | (in, G·U) | i, f, g, o | z, r, h | `reset_after=True` or `False` |
| PyTorch | (G·U, in) | i, f, g, o | r, z, h | after |
| ONNX | (1, G·U, in) | i, o, f, g | z, r, h | `linear_before_reset=1` is after, 0 before |

## To check an implementation

In this folder, with NumPy alone, here of an LSTM's forward pass:

```python
{forward}```

To compare any array, gradients and optimisers included, with the limits below:

```python
{compare}```

Limits, as a share of the largest entry of the array: {limits}.
{onnx}
"""
ONNX_ROW = "| `.onnx` | the forward pass, in float32 |\n"
ONNX = """
The models take `x` (N, T, F) and, if ragged, `lengths` (N,) int32, and give `y` (N, T, U), in
float32, since ONNX Runtime has these operators in no other precision: they agree with `outputs` to
{limit:g}, and hold 0 at padding, where `outputs` repeats the last state.
"""


def page(cases: list[Case], onnx: bool) -> str:
    """Return the whole text, for these cases."""
    rows = [f"| `{name}` | {EQUATIONS[name][0]} ({EQUATIONS[name][1]}) |" for name in NETWORKS]
    given = [f"{name}: {value:g}" for name, value in limits().items() if name != "relative to"]
    return PAGE.format(
        files="three files" if onnx else "two files",
        onnx_row=ONNX_ROW if onnx else "",
        networks="\n".join(rows),
        sequences="\n".join(_sequences(name) for name in SEQUENCES),
        names=_names(cases),
        steps=STEPS,
        optimizers="\n".join(_optimizer(name) for name in RULES),
        forward=FORWARD,
        compare=COMPARE,
        limits="; ".join(given),
        onnx=ONNX.format(limit=ONNX_LIMIT) if onnx else "",
    )


def _names(cases: list[Case]) -> str:
    if len(cases) == len(CASES):
        return f"Here are all {len(cases)} cases."
    listed = "".join(f"\n- `{case.name}`" for case in cases)
    return f"Here are {len(cases)} of the {len(CASES)} cases:\n{listed}"


def _optimizer(name: str) -> str:
    rule = RULES[name]
    numbers = ", ".join(f"{word} {value:g}" for word, value in rule.numbers.items())
    return f"| `{name}` | {rule.lr} | {numbers} | {rule.formula} ({rule.source}) |"


def _sequences(name: str) -> str:
    steps, layers, ragged = SEQUENCES[name]
    lengths = ", ".join(map(str, LENGTHS)) if ragged else "all the same"
    return f"| `{name}` | {steps} | {layers} | {lengths} |"
