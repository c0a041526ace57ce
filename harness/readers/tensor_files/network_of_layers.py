"""A network from the layers that were chosen of a file: its structure, weights and scales.

What the file cannot say is asked for. Layers without biases get biases of zeros.
"""

from collections.abc import Callable

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec, shapes
from harness.formats.trained_network import LAYER_NAMES, Network
from harness.readers.foreign_network import Stated, ask
from harness.readers.tensor_files.choose_layers import Chosen
from harness.readers.tensor_files.recurrent_stacks import SCALES, Layer
from harness.readers.tensor_files.tensor_file import TensorFile


def network_of(
    file: TensorFile,
    chosen: Chosen,
    stated: Stated,
    layer_weights: Callable[[Layer, str], dict[str, Array]],
    head_kernel: Callable[[Array], Array] = np.asarray,
    reset: str = "after",
) -> Network:
    """Return the network, and add to the notes of `chosen` what was taken to be so.

    `layer_weights` reads a layer's arrays in a precision and returns them by their canonical names
    without `rnn.N.`; `head_kernel` returns the head's as `(units, outputs)`; `reset` is where the
    reset gate of the file's GRU acts. Raises `ConfigError`.
    """
    model = _model(file, chosen, stated, reset)
    precision = _precision(file, chosen)
    weights: dict[str, Array] = {}
    for n, layer in enumerate(chosen.layers):
        arrays = layer_weights(layer, precision)
        weights |= {f"rnn.{n}.{name}": values for name, values in arrays.items()}
    if chosen.head is not None:
        weights["head.kernel"] = head_kernel(file.array(chosen.head.kernel, precision))
        if chosen.head.bias is not None:
            weights["head.bias"] = file.array(chosen.head.bias, precision)
    _fill(weights, model, chosen)
    scale = _scale_of(file, model.features, chosen.scales, chosen.notes)
    return Network(
        model=model,
        loss="bce" if stated.outputs == "probabilities" else "mse",
        precision=precision,
        padded=False,
        weights={
            name: np.ascontiguousarray(weights[name]).reshape(shape)
            for name, shape in shapes(model).items()
        },
        x_mean=scale["x_mean"],
        x_std=scale["x_std"],
        y_mean=float(scale["y_mean"]),
        y_std=float(scale["y_std"]),
        origin=f"Read from {file.path.name}.",
    )


def _answer_questions(file: TensorFile, cell: str, has_head: bool, stated: Stated) -> None:
    """Raise `ConfigError` unless the user said what weights alone do not say, and nothing else."""
    name = LAYER_NAMES[cell]
    if cell == "rnn" and stated.activation is None:
        why = f"the weights of a {name} are the same with both"
        raise ask("activation", why, "tanh", "relu")
    if cell != "rnn" and stated.activation == "relu":
        raise _contradiction(file, "activation relu", f"has layers of {name}, which is tanh")
    if cell != "gru" and stated.reset is not None:
        raise _contradiction(file, f"reset {stated.reset}", f"has layers of {name}, without such")
    alone = f"{file.path} holds weights alone, which are the same with both"
    if stated.returns is None:
        raise ask("returns", alone, "last", "every_step")
    if has_head and stated.outputs is None:
        raise ask(
            "outputs", f"{alone}: probabilities come from a sigmoid", "values", "probabilities"
        )


def _contradiction(file: TensorFile, stated: str, fact: str) -> ConfigError:
    """Return the error for an option that a file contradicts."""
    return ConfigError(f"--{stated}: {file.path} {fact}; leave the option out.")


def _scale_of(
    file: TensorFile, features: int, names: set[str], notes: list[str]
) -> dict[str, Array]:
    """Return means and deviations of inputs and targets: the file's, or none: 0 and 1."""
    neutral = (np.zeros(features), np.ones(features), np.zeros(()), np.ones(()))
    scale = dict(zip(SCALES, neutral, strict=True))
    for name in SCALES:
        if name in names:
            file.check_shape(name, scale[name].shape)
            scale[name] = file.array(name, "float64")
            if name.endswith("std") and not (scale[name] > 0).all():
                raise ConfigError(f"{file.path}: {name} must be positive; write the file anew.")
    if names:
        notes.append(f"It has {', '.join(sorted(names))}: value = mean + std · scaled.")
    return scale


def _model(file: TensorFile, chosen: Chosen, stated: Stated, reset: str) -> ModelSpec:
    first, head = chosen.layers[0], chosen.head
    _answer_questions(file, first.cell, head is not None, stated)
    if stated.reset not in (None, reset):
        fact = f"has GRU layers whose reset gate acts {reset} the recurrent product"
        raise _contradiction(file, f"reset {stated.reset}", fact)
    forms = {layer.biases for layer in chosen.layers} - {"none"}
    assert stated.returns is not None
    return ModelSpec(
        cell=first.cell,
        features=first.features,
        units=first.units,
        layers=len(chosen.layers),
        activation=stated.activation or "tanh",
        returns=stated.returns,
        head="none" if head is None else "dense",
        outputs=first.units if head is None else head.outputs,
        biases=forms.pop() if forms else "single",
        reset=reset,
    )


def _precision(file: TensorFile, chosen: Chosen) -> str:
    """Return float64 if any array is of that type, and else float32."""
    names = [name for layer in chosen.layers for name in layer.arrays]
    names += [chosen.head.kernel] if chosen.head else []
    kinds = {file.types[name][0] for name in names}
    precision = "float64" if "float64" in kinds else "float32"
    if others := sorted(kinds - {precision}):
        chosen.notes.append(f"Weights in {' and '.join(others)} became {precision}.")
    return precision


def _fill(weights: dict[str, Array], model: ModelSpec, chosen: Chosen) -> None:
    """Add biases of zeros where a layer has none."""
    missing = {name: shape for name, shape in shapes(model).items() if name not in weights}
    for name, shape in missing.items():
        assert name.endswith("bias")
        weights[name] = np.zeros(shape, weights["rnn.0.kernel"].dtype)
    if missing:
        chosen.filled.extend(missing)
        count = sum(weights[name].size for name in missing)
        chosen.notes.append(
            f"The file has no {', '.join(missing)}: zeros take their place, {count} parameters "
            "more than the file has."
        )
