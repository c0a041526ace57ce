"""The words of `python -m harness.diff`: sides, inputs, exit codes and the file of `--fix`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.diff.__main__ import main
from harness.runs.run import Result
from harness.runs.stored_network import read_network
from harness.training.initial_weights import weights_in
from tests.diff.own_program import OwnProgram
from tests.support.exported_runs import trained
from tests.support.recorded_files import record_again

WEIGHTS = "weights/final.safetensors"
WORDS = "task=gaussian task.features=3 model=lstm model.units=5 semantics.biases=double replicas=2"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return trained(tmp_path_factory.mktemp("run"), *WORDS.split())


@pytest.fixture
def other(run: Result, tmp_path: Path) -> Path:
    """The run with gates c and o in each other's place."""
    place = shutil.copytree(run.directory, tmp_path / "other")
    weights = load_file(place / WEIGHTS)
    for name in weights:
        if name.startswith("rnn"):
            i, f, c, o = np.split(weights[name], 4, axis=-1)
            weights[name] = np.concatenate([i, f, o, c], axis=-1)
    save_file(weights, place / WEIGHTS)
    record_again(place, WEIGHTS)
    return place


def test_the_same_run_is_the_same(run: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run.directory), str(run.directory)]) == 0
    assert "A and B compute the same." in capsys.readouterr().out


def test_replicas_differ(run: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run.directory), str(run.directory), "b.replica=1"]) == 1
    assert "No known mistake" in capsys.readouterr().out


def test_the_answer_is_a_sentence_and_the_fix_is_right(
    run: Result, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = tmp_path / "fixed.safetensors"
    assert main([str(run.directory), str(other), "--fix", str(fixed)]) == 1
    said = capsys.readouterr().out
    assert (
        "B is A with the gates in Core ML's and Caffe's order: reorder i, f, o, c to i, f, c, o"
        in said
    )
    assert "in rnn.0.kernel, rnn.0.recurrent_kernel and rnn.0.bias." in said
    right = read_network(run.directory, 0)
    read = weights_in(str(fixed), right.model, 1, "float32")
    assert all(np.array_equal(read[name][0], value) for name, value in right.weights.items())


def test_units_in_another_order_are_said_and_put_back_for_a_mistake(
    run: Result, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = np.array([3, 0, 4, 1, 2])
    plain = shutil.copytree(run.directory, tmp_path / "plain")
    for place in (plain, other):
        weights = load_file(place / WEIGHTS)
        for name in [name for name in weights if name.startswith("rnn")]:
            columns = np.concatenate([order + start for start in range(0, 20, 5)])
            weights[name] = weights[name][..., columns]
        for name in ("rnn.0.recurrent_kernel", "head.kernel"):
            weights[name] = np.ascontiguousarray(weights[name][:, order])
        save_file({n: np.ascontiguousarray(v) for n, v in weights.items()}, place / WEIGHTS)
        record_again(place, WEIGHTS)
    assert main([str(run.directory), str(plain)]) == 0
    said = "A and B compute the same: the units of B's layer 0 are in another order."
    assert said in capsys.readouterr().out
    fixed = tmp_path / "fixed.safetensors"
    assert main([str(run.directory), str(other), "--fix", str(fixed)]) == 1
    shown = capsys.readouterr().out
    assert "The units of B's layer 0 are in another order, which changes nothing." in shown
    assert "B is A with the gates in Core ML's and Caffe's order" in shown
    right = read_network(run.directory, 0)
    read = weights_in(str(fixed), right.model, 1, "float32")
    assert all(np.array_equal(read[name][0], value) for name, value in right.weights.items())


def test_networks_of_other_shapes_are_not_compared(
    run: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    larger = trained(tmp_path, *WORDS.split(), "model.units=6")
    assert main([str(run.directory), str(larger.directory)]) == 1
    assert "different networks: units 5 and 6." in capsys.readouterr().out


def test_outputs_of_another_program_are_judged(
    run: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    network = read_network(run.directory, 0)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "right.npy", OwnProgram(network=network).outputs(x))
    np.save(tmp_path / "abs.npy", OwnProgram(network=network, activation=np.abs).outputs(x))
    words = [str(run.directory)] * 2 + ["--input", str(tmp_path / "x.npy"), "--outputs"]
    assert main([*words, str(tmp_path / "right.npy")]) == 0
    assert main([*words, str(tmp_path / "abs.npy")]) == 1
    assert "No known mistake" in capsys.readouterr().out


def test_lines_of_a_file_may_have_different_lengths(
    run: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,2,3,4,5,6\n0.5,0.5,0.5\n")
    network = read_network(run.directory, 0)
    steps = [np.array([[[1, 2, 3], [4, 5, 6]]]), np.array([[[0.5, 0.5, 0.5]]])]
    alone = [OwnProgram(network=network).outputs(x) for x in steps]
    np.save(tmp_path / "y.npy", np.concatenate(alone))
    words = [str(run.directory)] * 2 + ["--input", str(path), "--outputs", str(tmp_path / "y.npy")]
    assert main(words) == 0
    through = OwnProgram(network=network).outputs(np.array([[[0.5] * 3, [0] * 3]]))
    np.save(tmp_path / "y.npy", np.concatenate([alone[0], through]))
    assert main(words) == 1
    assert "with zeros behind each sequence taken for steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{run}"], "name two networks"),
        (["{run}", "{run}", "{run}"], "name two networks"),
        (["{run}", "nowhere/x"], "nowhere/x: there is no such directory"),
        (["{run}", ""], "a run's directory, id or name must be given"),
        (["{run}", "{run}", "b.replica=2"], "b.replica=2: must be from 0 to 1"),
        (["{run}", "{run}", "b.replica=x"], "b.replica=x: must be a whole number"),
        (["{run}", "{run}", "b.reset=before"], "b.reset: {run} is a run, which says so itself"),
        (["{run}", "{run}", "b.rset=before"], "Did you mean 'reset'?"),
        (["{run}", "{run}", "--fix", "x.npz"], "--fix x.npz: must end in .safetensors"),
        (["{run}", "{run}", "--fix", "{run}/weights/final.safetensors"], "is there already"),
        (["{run}", "{run}", "--outputs", "y.npy"], "needs --input"),
        (["{run}", "{run}", "--input", "none.npy"], "--input none.npy: cannot be read"),
        (["{run}", "{run}", "--input", "{run}/config.yaml"], "its name must end in .npy or .csv"),
        (["{run}", "{run}", "--input", "{bad}/text.npy"], "cannot be read"),
        (["{run}", "{run}", "--input", "{bad}/words.csv"], "could not convert"),
        (["{run}", "{run}", "--input", "{bad}/four.csv"], "sequence 1 has 4 numbers; a step has 3"),
        (["{run}", "{run}", "--input", "{bad}/empty.csv"], "it must be (N, T, 3)"),
        (["{run}", "{run}", "--input", "{bad}/flat.npy"], "it must be (N, T, 3)"),
        (["{run}", "{run}", "--input", "{bad}/nan.npy"], "only a whole step may be NaN"),
        (["{run}", "{run}", "--input", "{bad}/none.npy"], "sequence 1 has no step"),
        (["{run}", "{run}", "--input", "{bad}/hole.npy"], "must be behind"),
        (["{run}", "{run}", "--input", "{bad}/objects.npy"], "cannot be read"),
        (["{run}", "{run}", "--input", "{bad}/huge.npy"], "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    run: Result, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _bad_files(tmp_path)
    places = {"{run}": str(run.directory), "{bad}": str(tmp_path)}
    for key, place in places.items():
        words, said = [word.replace(key, place) for word in words], said.replace(key, place)
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


def _bad_files(folder: Path) -> None:
    for name, text in {"text.npy": "text", "words.csv": "a,b,c", "four.csv": "1,2,3,4"}.items():
        (folder / name).write_text(text)
    (folder / "empty.csv").write_text("")
    np.save(folder / "flat.npy", np.zeros(3))
    x = np.zeros((2, 3, 3))
    for name, place in {"nan": (0, 1, 1), "none": (1,), "hole": (0, 1)}.items():
        damaged = x.copy()
        damaged[place] = np.nan
        np.save(folder / f"{name}.npy", damaged)
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }"
    raw = header.ljust(117).encode() + b"\n"
    (folder / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw)
