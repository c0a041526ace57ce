"""Write B put right: a safetensors file that `model.weights=FILE` starts from.

Tensors in which a mistake was made are A's, which B's are when the mistake is undone; all others
are B's own. Biases have A's form.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.gates import layer_of
from harness.core.model import Params, shapes
from harness.diff.comparison import Comparison
from harness.diff.program import Program, run
from harness.diff.search import Answer
from harness.formats.trained_network import Network
from harness.system.durable_files import write_file


def put_right(a: Network, b: Network, answer: Answer) -> Params:
    """Return B's weights by canonical name, in B's precision, without the mistakes of `answer`."""
    wrong = [name for names in answer.copied.values() for name in names]
    return {name: _tensor(name, a, b, wrong).astype(b.precision) for name in shapes(a.model)}


def _tensor(name: str, a: Network, b: Network, wrong: list[str]) -> Array:
    layer = layer_of(name)
    stem = name.replace("recurrent_bias", "bias")  # mistakes name both biases so
    is_wrong = stem in wrong or f"rnn.{layer}" in wrong
    other_form = name.endswith("bias") and a.model.biases != b.model.biases
    return a.weights[name] if is_wrong or other_form else b.weights[name]


def fix(path: Path, compared: Comparison, answers: list[Answer]) -> str:
    """Write B put right, by the first answer, and say so; or say why it was not written.

    Raises `ConfigError`.
    """
    if not answers or not answers[0].copied:
        reason = "its weights are right" if answers else "what is wrong with B is not known"
        return f"{path} was not written: {reason}."
    right = put_right(compared.a, compared.b, answers[0])
    network = replace(compared.a, weights=right)
    outputs = run(Program(network=network), compared.inputs).outputs
    measure = compared.measure
    left = measure.outputs(measure.computed.outputs, outputs).error
    _write(path, right)
    return (
        f"{path}: B put right, in canonical names, for model.weights={path}; its outputs differ "
        f"from A's by {left:.1e}."
    )


def _write(path: Path, weights: Params) -> None:
    """Write weights with a leading replica axis of length 1. Raises `ConfigError`."""
    arrays = {name: np.ascontiguousarray(value[None]) for name, value in weights.items()}
    try:
        write_file(path, lambda partial: save_file(arrays, partial))
    except OSError as error:
        raise ConfigError(f"--fix {path}: cannot be written ({error.strerror}).") from error


def check_free(path: Path) -> None:
    """Raise `ConfigError` for a path that cannot become a new safetensors file."""
    if path.suffix != ".safetensors":
        raise ConfigError(f"--fix {path}: must end in .safetensors.")
    if path.exists():
        raise ConfigError(f"--fix {path}: is there already; choose another name.")
