"""ONNX: a model whose recurrent layers are the standard's RNN, LSTM or GRU.

The graph says all that there is to know, so nothing is asked but which of several outputs is meant.
`graph.py` follows the graph, and this file makes a network of what it finds. ONNX Runtime has the
recurrent operators in float32 and with time first alone; other models are used by the reference
evaluator of the ONNX project, which is slow and has every type.
"""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import ConfigError, check_package, first_line
from harness.core.model import ModelSpec
from harness.readers.foreign_network import ForeignNetwork, Stated, ask
from harness.readers.onnx_files.file import OnnxFile
from harness.readers.onnx_files.graph import follow
from harness.readers.onnx_files.network import model_of, network_of
from harness.readers.onnx_files.signal import Computed
from harness.readers.onnx_files.usage import usage


def read(path: Path, stated: Stated) -> ForeignNetwork:
    """Read the network that an output of an ONNX file computes from an input of the file.

    Raises `ConfigError` for a damaged file, and for a network that cannot be expressed here.
    """
    check_package(str(path), "onnxruntime", "onnxruntime", "onnx")
    try:
        return _read(OnnxFile(path), stated)
    except ConfigError as error:
        raise ConfigError(_printable(str(error))) from error
    except (ValueError, LookupError, ArithmeticError, TypeError, AttributeError) as error:
        reason = _printable(first_line(error))
        raise ConfigError(f"{path}: is damaged ({reason}); export it again.") from error


def _printable(text: str) -> str:
    """Return a text in one line, whatever characters the names in a file have."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _read(file: OnnxFile, stated: Stated) -> ForeignNetwork:
    output = _chosen(file, stated.only)
    signal, taken, left_out = follow(file, output, with_head=stated.head != "none")
    model = model_of(file, signal)
    _check_stated(file, stated, signal.by, model)
    network = network_of(file, signal.by, model)
    sizes = _sizes(file, signal.by)
    notes = _notes(file, signal.by, output, left_out)
    if any(sizes):
        N, T = sizes
        notes.append(f"The file itself takes only x of {N or 'N'} sequences by {T or 'T'} steps.")
    code = usage(file, signal, "" if taken == output else taken, output=taken)
    notes = [_printable(note) for note in notes]
    return ForeignNetwork(network=network, usage=code, notes=notes, sizes=sizes)


def _chosen(file: OnnxFile, only: str | None) -> str:
    """Return the output to take: the only one, or the one that the user names."""
    if only is None:
        if len(file.outputs) == 1:
            return file.outputs[0]
        raise ask("only", f"{file.path} has several outputs", *file.outputs)
    if only not in file.outputs:
        raise ConfigError(
            f"--only {only}: {file.path} has no such output; it has {', '.join(file.outputs)}."
        )
    return only


def _check_stated(file: OnnxFile, stated: Stated, by: Computed, model: ModelSpec) -> None:
    """Raise `ConfigError` for an option that contradicts the file."""
    found = {
        "activation": model.activation,
        "reset": model.reset if model.cell == "gru" else None,
        "returns": model.returns,
        "outputs": "probabilities" if by.sigmoid else "values",
    }
    for option, value in found.items():
        said = getattr(stated, option)
        if said is not None and said != value:
            has = f"has {value}" if value else "has no GRU"
            raise ConfigError(f"--{option} {said}: {file.path} {has}; leave the option out.")
    name = by.dense.removeprefix("node ").removeprefix("of ").rpartition(" (")[0]
    if stated.head not in (None, "none", name):
        valid = " or ".join(filter(None, [name, "none"]))
        raise ConfigError(f"--head {stated.head}: {file.path} has no such layer; say {valid}.")


def _sizes(file: OnnxFile, by: Computed) -> tuple[int | None, int | None]:
    """Return the numbers of sequences and steps that the file's input is bound to."""
    [info] = [i for i in file.inputs if i.name == by.input]
    sizes = file.sizes(info)
    return sizes[1 - by.time_axis], sizes[by.time_axis]


def _notes(file: OnnxFile, by: Computed, output: str, left_out: list[str]) -> list[str]:
    notes = []
    bare = [layer.node for layer in by.layers if not layer.has_biases]
    if by.kernel is not None and by.bias is None:
        bare.append(by.dense)
    if bare:
        names = ", ".join(bare)
        notes.append(f"{names}: without biases in the file; zeros are taken and count as weights.")
    if "float16" in by.types:
        notes.append("What is float16 in the file became float32.")
    if left_out:
        notes.append(f"Not part of the network: {', '.join(left_out)}.")
    others = [name for name in file.outputs if name != output]
    if others:
        notes.append(f"Other outputs are not part of the network: {', '.join(others)}.")
    return notes
