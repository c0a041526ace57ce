"""`python -m harness.export`: each format, loaded without this project, repeats `predictions.csv`.

The runs are real and differ in all that an export must translate. What is loaded is used as its own
header says, in a process from whose path this project was removed.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from harness.core.layer_weights import per_gate
from harness.core.tolerances import LIMITS
from harness.export import __main__ as export
from harness.export import check
from harness.formats import to_numpy, to_onnx, to_torch
from harness.formats.reference import reference
from harness.formats.trained_network import Network
from harness.runs.run import Result
from harness.runs.stored_network import read_network
from tests.support.program import uses_mlflow

pytestmark = [
    *uses_mlflow,
    # Keras 3.15 on TensorFlow reads its variables in a way that NumPy 2 has deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

Array = np.ndarray

FORMATS = ("numpy", "torch", "keras", "onnx", "jax")

# Uses each model as its own header says, in a process that could not import this project.
# Arguments: folders of models, which hold in.npz and receive out.npz.
PROGRAM = """
import os, sys
for ours in ("harness", "backends"):
    sys.modules[ours] = None  # whoever imports it gets a ModuleNotFoundError
    try:
        __import__(ours)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{ours} can be imported here")
import numpy as np
sys.path.insert(0, "")
for folder in sys.argv[1:]:
    os.chdir(folder)
    sys.path[0], model = folder, sys.modules.pop("model", None)
    results = {}
    for name, x in np.load("in.npz").items():
        exec(open("usage.py").read())
        results[name] = y
    np.savez("out.npz", **results)
assert sys.modules["harness"] is sys.modules["backends"] is None
"""


def usage(folder: Path) -> str:
    """The code that the model's own text shows."""
    page = folder / "model.md"
    if page.exists():
        [code] = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        return code
    text = ast.get_docstring(ast.parse((folder / "model.py").read_text()))
    return "\n".join(re.findall(r"^ {4}(.*)$", str(text), re.MULTILINE))


def use_elsewhere(folders: list[Path]) -> None:
    """Let the exported models answer, far from this project."""
    for folder in folders:
        (folder / "usage.py").write_text(usage(folder))
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-I", "-B", "-c", PROGRAM]
    done = subprocess.run(
        command + [str(f) for f in folders],
        cwd=folders[0],
        env=kept,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def by_length(result: Result) -> dict[str, tuple[str, Array, int]]:
    """Split, samples and their number of steps, by name: sequences of several lengths go into a
    model separately, without their padding."""
    found: dict[str, tuple[str, Array, int]] = {}
    for split, part in result.plan.splits.parts.items():
        N, T = part.x.shape[1:3]
        steps = np.full(N, T) if part.mask is None else part.mask[-1].sum(axis=1)
        for length in np.unique(steps):
            found[f"{split}, {length} steps"] = split, np.flatnonzero(steps == length), int(length)
    return found


def recorded(result: Result, split: str, samples: Array, shape: tuple[int, ...]) -> Array:
    """Those samples' rows of `predictions.csv`, of the last replica."""
    table: Any = pd.read_csv(result.directory / "predictions.csv")
    last = table["replica"] == result.plan.config.replicas - 1
    rows = table[(table["split"] == split) & last & table["sample"].isin(samples)]
    return rows["predicted"].to_numpy().reshape(shape)


def exported(result: Result, to: str) -> Network:
    """The run's last replica, as the command gives it to a format."""
    network = read_network(result.directory, result.plan.config.replicas - 1)
    return export.in_float32(network) if to == "onnx" else network


@pytest.mark.parametrize("to", FORMATS)
def test_it_repeats_the_predictions(
    runs: dict[str, Result], to: str, tmp_path: Path, capsys: Any
) -> None:
    folders = {name: tmp_path / name for name in runs}
    for name, result in runs.items():
        network = exported(result, to)
        if name == "simple":  # the command itself; its own check needs a process each time
            arguments = [str(result.directory), "--to", to, "--out", str(folders[name])]
            assert export.main([*arguments, "--replica", "1"]) == 0
            said = capsys.readouterr().out
            assert usage(folders[name]).splitlines()[-1] in said
            assert "Checked" in said
        else:
            folders[name].mkdir()
            import_module(f"harness.formats.to_{to}").write(network, folders[name])
        inputs: Any = {}
        for key, (split, samples, length) in by_length(result).items():
            x = result.plan.splits.parts[split].x[-1, samples, :length]
            inputs[key] = (x * network.x_std + network.x_mean).astype(network.outer_precision)
        np.savez(folders[name] / "in.npz", **inputs)
    use_elsewhere(list(folders.values()))
    for name, result in runs.items():
        answers = dict(np.load(folders[name] / "out.npz"))
        places = by_length(result)
        assert answers.keys() == places.keys()
        for key, y in answers.items():
            split, samples, _ = places[key]
            repeats(result, exported(result, to), split, samples, y)


def repeats(result: Result, network: Network, split: str, samples: Array, y: Array) -> None:
    """Assert that the answers for samples of a split are those of `predictions.csv`."""
    assert y.ndim == (3 if network.model.every_step else 2)
    assert y.dtype == network.outer_precision
    wanted = recorded(result, split, samples, y.shape)
    error = np.abs(y - wanted).max() / np.abs(wanted - network.y_mean).max()
    assert error <= LIMITS[network.precision].forward, f"{result.directory}: {split}"


def test_a_masked_run_says_how_its_sequences_go_in(runs: dict[str, Result]) -> None:
    for name, masked in (("masked", True), ("probabilities", True), ("gru", False)):
        network = exported(runs[name], "numpy")
        assert network.padded == masked
        assert ("go in separately" in network.interface) == masked
        assert len(by_length(runs[name])) == (3 * 4 if masked else 3)


def test_other_replicas_are_other_networks(runs: dict[str, Result]) -> None:
    one, other = (read_network(runs["simple"].directory, r) for r in (0, 1))
    assert one.x_mean != other.x_mean
    assert one.y_std != other.y_std
    x = np.ones((2, 3, 1))
    assert not np.allclose(reference(one, x), check.reference(other, x), rtol=0.01)


def swap_in_numpy(folder: Path) -> None:
    with np.load(folder / "model.npz") as file:
        arrays: Any = dict(file)
    arrays["rnn.0.W"] = per_gate(arrays["rnn.0.W"], [1, 0, 2, 3])
    np.savez(folder / "model.npz", **arrays)


def swap_in_torch(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    swapped = per_gate(state["rnn.weight_hh_l0"], [0, 1, 3, 2], axis=0)
    save_file(state | {"rnn.weight_hh_l0": swapped}, folder / "model.safetensors")


def swap_in_onnx(folder: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / "model.onnx")
    for constant in model.graph.initializer:
        if constant.name == "rnn.0.B":  # eight parts: four gates of each of two biases
            order = [0, 1, 3, 2, 4, 5, 6, 7]
            swapped = per_gate(numpy_helper.to_array(constant), order)
            constant.CopyFrom(numpy_helper.from_array(swapped, constant.name))
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize(
    ("writer", "swap"),
    [(to_numpy, swap_in_numpy), (to_torch, swap_in_torch), (to_onnx, swap_in_onnx)],
)
def test_the_check_sees_swapped_gates(
    runs: dict[str, Result], writer: Any, swap: Any, tmp_path: Path
) -> None:
    network = read_network(runs["lstm"].directory, 0)
    network = export.in_float32(network) if writer is to_onnx else network
    writer.write(network, tmp_path)
    assert check.check(network, tmp_path, writer.USAGE) <= LIMITS[network.precision].forward
    swap(tmp_path)
    with pytest.raises(check.Unfaithful, match="differs from the run's by"):
        check.check(network, tmp_path, writer.USAGE)


def test_what_fails_its_check_is_not_written(
    runs: dict[str, Result], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [str(runs["lstm"].directory), "--to", "torch", "--out", str(tmp_path / "here")]
    monkeypatch.setitem(to_torch.GATE_ORDER, "lstm", [0, 1, 3, 2])
    assert export.main(arguments) == 1
    assert capsys.readouterr().err.startswith("Export failed: the exported model differs from")
    monkeypatch.setattr(to_torch, "MODULE", "import harness")
    assert export.main(arguments) == 1
    assert "cannot be loaded and used: ModuleNotFoundError" in capsys.readouterr().err
    assert not (tmp_path / "here").exists()


def test_a_mean_far_above_the_deviation_costs_nothing(
    runs: dict[str, Result], tmp_path: Path
) -> None:
    network = read_network(runs["simple"].directory, 0)
    network = replace(network, x_mean=network.x_mean + 1e6, y_mean=network.y_mean + 1e6)
    to_numpy.write(network, tmp_path)
    assert check.check(network, tmp_path, to_numpy.USAGE) < 1e-6


def test_a_runs_name_cannot_end_the_header(runs: dict[str, Result], tmp_path: Path) -> None:
    network = read_network(runs["simple"].directory, 0)
    network = replace(network, origin='"""; raise SystemExit # \\d')
    to_numpy.write(network, tmp_path)
    assert check.check(network, tmp_path, to_numpy.USAGE) < 1e-6


@pytest.mark.parametrize("to", ["keras", "numpy"])
def test_a_tiny_deviation_is_divided_by_as_it_is(
    runs: dict[str, Result], to: str, tmp_path: Path
) -> None:
    network = read_network(runs["simple"].directory, 0)
    for n, factor in enumerate((1e-9, 1e-30)):
        (tmp_path / str(n)).mkdir()
        small = replace(network, x_mean=network.x_mean * factor, x_std=network.x_std * factor)
        writer = import_module(f"harness.formats.to_{to}")
        writer.write(small, tmp_path / str(n))
        assert check.check(small, tmp_path / str(n), writer.USAGE) < 1e-6


def test_keras_scales_in_float64(runs: dict[str, Result], tmp_path: Path) -> None:
    network = read_network(runs["simple"].directory, 0)
    to_keras = import_module("harness.formats.to_keras")
    for n, (mean, std) in enumerate(((1e9 + 1, 1 / 3), (0.1, 1e-9))):
        (tmp_path / str(n)).mkdir()
        scaled = replace(network, x_mean=network.x_mean + 1e6, y_mean=mean, y_std=std)
        to_keras.write(scaled, tmp_path / str(n))
        assert check.check(scaled, tmp_path / str(n), to_keras.USAGE) < 1e-5


def test_scalars_have_no_axis(runs: dict[str, Result], tmp_path: Path) -> None:
    to_torch.write(read_network(runs["simple"].directory, 0), tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert state["y_mean"].shape == state["y_std"].shape == ()


@pytest.mark.parametrize("changed", [False, True])
def test_an_exported_program_computes_what_the_network_does(
    runs: dict[str, Result], tmp_path: Path, changed: bool
) -> None:
    torch: Any = import_module("torch")
    for name, result in runs.items():
        network = read_network(result.directory, 0)
        steps, path = 4, tmp_path / f"{name}.pt2"
        written = replace(network, weights=swap_in_first_kernel(network)) if changed else network
        to_torch.write_program(written, steps, path)
        program = torch.export.load(path).module()
        limit = LIMITS[network.precision].forward
        for sequences in (1, 7):
            x = np.random.default_rng(0).normal(size=(sequences, steps, network.model.features))
            x = (x * network.x_std + network.x_mean).astype(network.outer_precision)
            found = program(torch.as_tensor(x)).detach().numpy()
            expected = reference(network, x)
            largest = np.abs(expected - network.y_mean).max()
            assert (np.abs(found - expected).max() <= limit * largest) is not changed, name


def swap_in_first_kernel(network: Network) -> dict[str, Array]:
    """The weights with the first layer's inputs to its units in the opposite order."""
    kernel = network.weights["rnn.0.kernel"]
    return network.weights | {"rnn.0.kernel": kernel[:, ::-1].copy()}
