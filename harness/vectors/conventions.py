"""The texts of a description: equations with their source, layouts, the meaning of each array."""

from harness.vectors.cases import Case

EQUATIONS = {
    "rnn_tanh": (
        "h_t = tanh(x_t W + h_{t-1} U + b)",
        "Elman 1990",
    ),
    "rnn_relu": (
        "h_t = max(0, x_t W + h_{t-1} U + b)",
        "Elman 1990; Le, Jaitly & Hinton 2015",
    ),
    "lstm": (
        "i, f, o = σ(·) and g = tanh(·) of x_t W + h_{t-1} U + b, side by side in the order "
        "i, f, g, o; c_t = f ⊙ c_{t-1} + i ⊙ g; h_t = o ⊙ tanh(c_t)",
        "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000",
    ),
    "gru_reset_after": (
        "p = x_t W + b and q = h_{t-1} U + d, each side by side in the order z, r, h; "
        "z = σ(p_z + q_z); r = σ(p_r + q_r); n = tanh(p_h + r ⊙ q_h); "
        "h_t = z ⊙ h_{t-1} + (1 − z) ⊙ n",
        "Cho et al. 2014 in cuDNN's form: the reset gate acts after the recurrent product",
    ),
    "gru_reset_before": (
        "p = x_t W + b + d, side by side in the order z, r, h, U likewise; "
        "z = σ(p_z + h_{t-1} U_z); r = σ(p_r + h_{t-1} U_r); n = tanh(p_h + (r ⊙ h_{t-1}) U_h); "
        "h_t = z ⊙ h_{t-1} + (1 − z) ⊙ n",
        "Cho et al. 2014: the reset gate acts before the recurrent product",
    ),
}
ONE_BIAS = {
    "rnn": "b is bias",
    "lstm": "b is bias",
    "gru": "b is bias; d is 0",
}
TWO_BIASES = {
    "rnn": "b is the sum of bias and recurrent_bias; each has the same gradient",
    "lstm": "b is the sum of bias and recurrent_bias; each has the same gradient",
    "gru": "bias (2, 3U): b is its first row, d, on the recurrent side, its second",
}
GATES = {"rnn": [], "lstm": ["i", "f", "g", "o"], "gru": ["z", "r", "h"]}
CONVENTIONS = {
    "state": "h_0 = 0 and c_0 = 0",
    "shapes": "N sequences, T time steps, F features, U units, G gates; kernels are (in, G·U), "
    "gates side by side on the last axis",
    "stacked": "layer 1 takes the states of layer 0 as its inputs",
    "outputs": "the states h_t of the last layer at every step; there is no dense layer",
    "loss": "the mean of (outputs − y)² over all N·T·U entries",
    "gradients": "of that loss, by backpropagation through the whole sequence",
    "optimizers": "each starts from params and does 10 steps, every one on all N sequences",
}
PADDING = {
    "loss": "the mean of (outputs − y)² over the U entries of the real steps alone",
    "padding": "is behind each sequence; there the state of the last real step is repeated in "
    "outputs, in every layer; x and y hold numbers there that must play no part, and gradients/x "
    "is 0. Frameworks that put 0 into outputs instead agree at the real steps",
}

MEANINGS = {
    "x": ("N, T, F", "inputs"),
    "y": ("N, T, U", "targets"),
    "mask": ("N, T", "true at real steps"),
    "lengths": ("N", "number of real steps"),
    "outputs": ("N, T, U", "states of the last layer"),
    "loss": ("", "loss at params"),
    "kernel": ("in, G·U", "W: in is F in layer 0, else U"),
    "recurrent_kernel": ("U, G·U", "U: from the state before"),
    "bias": ("G·U", "b"),
    "recurrent_bias": ("G·U", "second bias, which is added to the first"),
    "losses": ("step", "loss before each step"),
}
FOLDERS = {
    "params": "weights at the start",
    "gradients": "gradient of the loss at params",
    "optimizers": "weights after the last step",
}


def meaning(name: str, case: Case) -> tuple[str, str]:
    """Return the axes of an array and its meaning, by its name in the `.npz`."""
    folder, _, rest = name.partition("/")
    last = name.rpartition("/")[2].rpartition(".")[2]
    axes, text = MEANINGS[last]
    if last == "bias" and case.model.cell == "gru" and case.biases == "two_biases":
        axes, text = "side, 3·U", "b on the input side, d on the recurrent side"
    if not rest or last == "losses":
        return axes, text
    return axes, f"{FOLDERS[folder]}: {text}"
