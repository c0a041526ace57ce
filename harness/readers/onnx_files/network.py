"""The network that a value of an ONNX graph is, in canonical names."""

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.formats.trained_network import Network
from harness.readers.onnx_files.file import OnnxFile
from harness.readers.onnx_files.signal import STEPS, Computed, Signal


def model_of(file: OnnxFile, signal: Signal) -> ModelSpec:
    """Return the network's structure; the biases are single if all recurrent ones are zero."""
    by, layers = signal.by, signal.by.layers
    names = [atom[0] for axis in signal.axes for atom in axis]
    last = "outputs" if by.kernel is not None else "units"
    inner = [name for name in names if name != last]
    width = len(layers[0].weights[1]) if by.kernel is None else by.kernel.shape[1]
    ends_well = names == [*inner, last] or (names == inner and width == 1)
    joined = any(len(axis) > 1 for axis in signal.axes)
    if joined or not ends_well or sorted(inner) not in (["batch"], ["batch", STEPS]):
        found = ", ".join(names)
        raise ConfigError(
            f"{file.path}: the output's axes are ({found}): must be (batch, {last}) or (batch, "
            f"{STEPS}, {last})."
        )
    first = layers[0]
    single = not any(layer.weights[2][1].any() for layer in layers)
    return ModelSpec(
        cell=first.cell,
        features=len(first.weights[0]),
        units=len(first.weights[1]),
        layers=len(layers),
        activation=first.activation,
        returns="every_step" if STEPS in names else "last",
        head="none" if by.kernel is None else "dense",
        outputs=width,
        biases="single" if single else "double",
        reset=first.reset,
    )


def network_of(file: OnnxFile, by: Computed, model: ModelSpec) -> Network:
    """Return the network with its weights; raise `ConfigError` for numbers that cannot be used."""
    other = sorted(by.types - {"float16", "float32", "float64"})
    if other:
        raise ConfigError(
            f"{file.path}: computes in {', '.join(other)}: must be float16, float32 or float64; "
            "export it in one of these."
        )
    precision = "float64" if by.types == {"float64"} else "float32"
    weights = {name: np.array(value, precision) for name, value in _weights(by, model).items()}
    outer = [by.x_mean, by.x_std, by.y_mean, by.y_std]
    arrays = [*weights.values(), *(a for a in outer if a is not None)]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ConfigError(f"{file.path}: has weights that are not finite; train it again.")
    if any(a is not None and not a.all() for a in (by.x_std, by.y_std)):
        raise ConfigError(f"{file.path}: scales by zero; train it again.")
    zeros, ones = np.zeros(model.features), np.ones(model.features)
    return Network(
        model=model,
        loss="bce" if by.sigmoid else "mse",
        precision=precision,
        padded=False,
        weights=weights,
        x_mean=zeros if by.x_mean is None else by.x_mean.astype(np.float64),
        x_std=ones if by.x_std is None else by.x_std.astype(np.float64),
        y_mean=0.0 if by.y_mean is None else float(by.y_mean),
        y_std=1.0 if by.y_std is None else float(by.y_std),
        origin=f"Read from the ONNX file {file.path.name}.",
    )


def _weights(by: Computed, model: ModelSpec) -> dict[str, Array]:
    """Return the weights by canonical name, in the order of `model.shapes`."""
    weights: dict[str, Array] = {}
    for n, layer in enumerate(by.layers):
        W, U, b = layer.weights
        weights |= {f"rnn.{n}.kernel": W, f"rnn.{n}.recurrent_kernel": U}
        if model.biases == "single":
            weights[f"rnn.{n}.bias"] = b[0]
        elif model.cell == "gru":
            weights[f"rnn.{n}.bias"] = b
        else:
            weights |= {f"rnn.{n}.bias": b[0], f"rnn.{n}.recurrent_bias": b[1]}
    if by.kernel is not None:
        bias = np.zeros(model.outputs) if by.bias is None else by.bias
        weights |= {"head.kernel": by.kernel, "head.bias": bias}
    return weights
